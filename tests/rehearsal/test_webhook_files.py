"""Webhooks as files: every format, every way they can lie there, and a list of what was written."""

import hashlib
import json
from collections import Counter, defaultdict
from datetime import timedelta

import pytest

from rehearsal import WorldSpec
from rehearsal.stage import Stage
from rehearsal.webhooks import FORMATS
from tests.rehearsal import postbag
from tests.traffic import MONTH, month_of_traffic


@pytest.fixture
def stage():
    return Stage(WorldSpec(contacts=60, conversations=90, events=1_500, channels=3))


def times(found):
    received = defaultdict(list)
    for one in found:
        if one.body:
            received[one.id].append(one.received_at)
    return {key: sorted(reported) for key, reported in received.items()}


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_written_in_any_format_is_what_a_careful_reader_finds(stage, tmp_path, form):
    since = stage.now - timedelta(days=90)
    written = stage.write_webhooks(tmp_path, since, formats=[form], repeated=0.1, empty=0.02)
    found = postbag.bodies(tmp_path)
    assert times(found) == {r.delivery_id: r.received_at for r in written.receipts}
    assert {one.path for one in found} == set(written.files)
    assert written.empty == sum(not one.body for one in found) > 0
    assert sum(len(r.received_at) for r in written.receipts) > len(written.receipts)


def test_formats_are_mixed_and_there_are_many_folders_and_one_event_files(stage, tmp_path):
    written = stage.write_webhooks(tmp_path)
    endings = Counter(path.name.partition(".")[2] for path in written.files)
    wanted = {"json", "ndjson", "jsonl", "ndjson.gz", "jsonl.gz", "ndjson.zst", "jsonl.zst"}
    assert endings.keys() == wanted
    assert len({path.parent for path in written.files}) > 5
    assert {one.headers is None for one in postbag.bodies(tmp_path)} == {True, False}


def test_each_channel_signs_in_its_own_way(stage, tmp_path):
    written = stage.write_webhooks(tmp_path)
    secrets = stage.webhook_secrets
    assert sorted(len(held) for held in secrets.values()) == [1, 2]
    receipts, used = {r.delivery_id: r for r in written.receipts}, defaultdict(set)
    for one in postbag.bodies(tmp_path):
        receipt = receipts[one.id]
        held = secrets.get(receipt.channel_id, ())
        assert receipt.is_signed == bool(held) == postbag.is_signed_by(one, held)
        used[receipt.channel_id] |= {s for s in held if postbag.is_signed_by(one, (s,))}
    assert all(used[channel] == set(held) for channel, held in secrets.items())


def test_header_names_come_in_any_casing_and_times_with_any_offset(stage, tmp_path):
    stage.write_webhooks(tmp_path, formats=["json_envelope"])
    envelopes = [json.loads(path.read_bytes()) for path in tmp_path.rglob("*.json")]
    names = {name for one in envelopes for name in one.get("headers", {})}
    assert {"X-Voxa-Signature", "x-voxa-signature", "X-VOXA-SIGNATURE"} <= names
    assert {one["received_at"][-6:] for one in envelopes} == {"+00:00", "+03:00"}
    assert {bool(one.get("body_base64")) for one in envelopes} == {True, False}


def test_an_unsigned_workspace_signs_nothing(stage, tmp_path):
    written = stage.write_webhooks(tmp_path, signed=False)
    assert not any(receipt.is_signed for receipt in written.receipts)
    assert not any("x-voxa-signature" in (one.headers or {}) for one in postbag.bodies(tmp_path))


def test_losses_delays_and_disorder_come_at_the_rates_that_were_asked_for(stage, tmp_path):
    form = ["json_envelope"]
    calm = stage.write_webhooks(tmp_path / "calm", formats=form, late=0, reordered=0)
    rough = stage.write_webhooks(tmp_path / "rough", formats=form, lost=0.2, late=0.5, reordered=1)
    assert (calm.lost, calm.empty) == (0, 0)
    assert rough.lost / len(calm.receipts) == pytest.approx(0.2, abs=0.05)
    sent = {r.delivery_id: r.received_at[0] for r in calm.receipts}
    waits = [r.received_at[0] - sent[r.delivery_id] for r in rough.receipts]
    minutes = Counter(wait // timedelta(minutes=1) for wait in waits)
    assert sum(minutes[m] for m in minutes if m > 1) / len(waits) == pytest.approx(0.5, abs=0.05)
    assert max(waits) < timedelta(minutes=64)


def test_two_batches_of_adjoining_times_hold_everything_once(stage, tmp_path):
    middle = stage.now - timedelta(days=30)
    first = stage.write_webhooks(tmp_path, until=middle)
    second = stage.write_webhooks(tmp_path, middle)
    everything = stage.write_webhooks(tmp_path / "all")
    before, after, ever = (
        {r.delivery_id for r in one.receipts if r.kind != "workspace"}
        for one in (first, second, everything)
    )
    assert not before & after
    assert before | after == ever
    assert len({p.name for p in first.files + second.files}) == len(first.files + second.files)


def test_the_same_seed_writes_the_same_files(tmp_path):
    contents = []
    for name in ("first", "second"):
        stage = Stage(WorldSpec(contacts=30, conversations=30, events=300))
        stage.write_webhooks(tmp_path / name, repeated=0.2, lost=0.1)
        paths = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        contents.append([(path.name, path.stat().st_mtime_ns, path.read_bytes()) for path in paths])
    assert contents[0] == contents[1]


def test_an_unknown_format_is_refused(stage, tmp_path):
    with pytest.raises(ValueError, match="no such format: xml"):
        stage.write_webhooks(tmp_path, formats=["ndjson", "xml"])


def test_a_month_of_traffic_has_losses_repeats_and_disorder(tmp_path):
    stage = Stage(WorldSpec(contacts=60, conversations=90, events=3_000))
    written = month_of_traffic(stage, tmp_path)
    sent = len(written.receipts) + written.lost
    assert written.lost / sent == pytest.approx(0.05, abs=0.03)
    assert stage.now - MONTH <= min(r.received_at[0] for r in written.receipts)
    assert {hashlib.sha256(one.body).hexdigest() for one in postbag.bodies(tmp_path)} == {
        r.delivery_id for r in written.receipts
    }
