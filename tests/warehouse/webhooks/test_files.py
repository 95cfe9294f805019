"""Files of every format, growing, replaced, doubled: each body once, nothing skipped."""

from __future__ import annotations

import gzip
import json
import os
from datetime import UTC, datetime
from typing import Any

import pytest
import zstandard

from hatif.errors import SettingsError
from hatif.webhooks.signatures import Secrets
from hatif.webhooks.sources import place_of
from tests.comparison import stored
from tests.warehouse.webhooks.conftest import AT, TALK, Home, encoded, envelope, line
from warehouse.lake.schema import open_lake
from warehouse.webhooks import batch, ingest


def _lines(*numbers: int) -> bytes:
    return b"".join(line(n) + b"\n" for n in numbers)


def _seen(home: Home) -> list[int]:
    return sorted(int(json.loads(body)["body"].split()[1]) for body in home.bodies())


def test_every_format_is_read_in_any_mix_and_nesting(home: Home) -> None:
    home.write("one.json", line(1))
    home.write("deep/er/array.json", b"[" + line(2) + b",\n" + envelope(line(3)) + b"]")
    home.write("envelope.JSON", envelope(line(4)))
    home.write("lines.ndjson", _lines(5) + envelope(line(6)) + b"\n\n" + encoded(line(7)) + b"\n")
    home.write("lines.jsonl.gz", gzip.compress(_lines(8)) + gzip.compress(_lines(9)))
    home.write("lines.ndjson.zst", zstandard.compress(_lines(10)))
    home.write("array.json.gz", gzip.compress(b"[" + line(11) + b"]"))
    home.write("notes.txt", line(99))

    done = home.ingest()

    assert _seen(home) == list(range(1, 12))
    assert (done.new, done.rejected) == (11, 0)
    received = {row["body"]: row["received_at"] for row in home.events()}
    assert received[line(4).decode()] == datetime.fromisoformat(AT)
    assert home.ingest().files == 0


def test_half_a_line_waits_until_it_is_whole(home: Home) -> None:
    path = home.write("grows.ndjson", _lines(1, 2) + line(3)[:40])
    assert home.ingest().new == 2
    with path.open("ab") as file:
        file.write(line(3)[40:] + b"\n" + _lines(4))
    assert home.ingest().new == 2
    assert _seen(home) == [1, 2, 3, 4]
    assert home.rejects() == []


def test_another_file_under_an_old_name_is_read_even_with_the_old_time(home: Home) -> None:
    path = home.write("same.ndjson", _lines(1))
    home.ingest()
    before = path.stat()
    path.unlink()
    home.write("same.ndjson", _lines(2))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert home.ingest().new == 1
    assert _seen(home) == [1, 2]


@pytest.mark.parametrize("numbers", [(1,), (3,), ()], ids=["cut off", "replaced", "emptied"])
def test_a_file_that_became_shorter_is_read_anew_and_takes_nothing_along(
    home: Home, numbers: tuple[int, ...]
) -> None:
    path = home.write("same.ndjson", _lines(1, 2))
    home.ingest()
    with path.open("r+b") as file:
        file.write(_lines(*numbers))
        file.truncate()
    assert home.ingest().new == len({*numbers} - {1, 2})
    with path.open("ab") as file:
        file.write(_lines(4))
    assert home.ingest().new == 1
    assert _seen(home) == sorted({1, 2, 4, *numbers})
    assert home.ingest().files == 0


def test_a_late_event_finds_its_file_packed_and_the_lake_compacted(home: Home) -> None:
    path = home.write("20261101.ndjson", _lines(1, 2))
    home.ingest()
    path.unlink()
    home.write("20261101.ndjson.gz", gzip.compress(_lines(1, 2)))
    with open_lake(home.settings) as lake, lake.reading() as connection:
        for step in ("ducklake_flush_inlined_data", "ducklake_merge_adjacent_files"):
            connection.execute(f"CALL {step}('wh')")
    home.write("20261102.ndjson", _lines(2, 3))

    done = home.ingest()

    assert (done.deliveries, done.new, done.rejected) == (4, 1, 0)
    assert _seen(home) == [1, 2, 3]


def test_one_body_in_several_files_is_one_row_with_the_earliest_receive_time(home: Home) -> None:
    home.write("b.json", envelope(line(1)))
    home.ingest()
    home.write("a.json", envelope(line(1)).replace(b"10:00:02Z", b"09:00:00Z"))
    home.write("c.json", envelope(line(1)).replace(b"10:00:02Z", b"11:00:00Z"))

    assert home.ingest().new == 0

    rows = home.events()
    assert [row["received_at"] for row in rows] == [datetime(2026, 11, 1, 9, tzinfo=UTC)]


def test_thousands_of_small_files_are_read_once(home: Home) -> None:
    for number in range(2_000):
        home.write(f"{number % 50}/{number}.json", line(number))
    assert home.ingest().new == 2_000
    again = home.ingest()
    assert (again.files, again.new) == (0, 0)


def test_an_interrupted_run_and_another_end_as_one_run(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "LARGEST_BATCH", 100)
    home.write("many.ndjson", _lines(*range(450)) + b"nonsense\n")
    home.write("more.ndjson", _lines(*range(400, 500)))
    store, calls = batch.store, 0

    def failing(*arguments: Any) -> tuple[int, int]:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise RuntimeError("killed")
        return store(*arguments)

    monkeypatch.setattr(batch, "store", failing)
    with pytest.raises(RuntimeError):
        home.ingest()
    monkeypatch.setattr(batch, "store", store)
    home.ingest()

    assert _seen(home) == list(range(500))
    manifest = stored(
        home.settings, "SELECT path, lines, accepted, rejected FROM ops.webhook_files"
    )
    assert {row["path"]: (row["accepted"], row["rejected"]) for row in manifest} == {
        "many.ndjson": (450, 1),
        "more.ndjson": (100, 0),
    }
    assert all(row["lines"] == row["accepted"] + row["rejected"] for row in manifest)


def test_a_conversation_that_is_named_is_hinted_and_an_id_of_another_form_is_not(
    home: Home,
) -> None:
    other = json.dumps({"eventType": "LastEventUpdated", "id": "evt_17"}).encode()
    home.write("a.ndjson", _lines(1, 2) + other + b"\n")
    home.ingest()
    hints = stored(home.settings, "SELECT DISTINCT stream, parent_id FROM ops.hints")
    assert hints == [{"stream": "timelines", "parent_id": TALK}]


@pytest.mark.parametrize(
    ("secrets", "signed_with", "signature"),
    [
        ("", None, "unsigned"),
        ("other=x", None, "unsigned"),
        ("c1=new,c1=old", b"old", "valid"),
        ("c1=new,c1=old", b"new", "valid"),
        ("*=all", b"all", "valid"),
        ("*=all,c1=own", b"all", "valid"),
        ("c1=new,c1=old", b"older", None),
        ("*=all", None, None),
    ],
)
def test_signatures_are_judged_by_channel(
    home: Home, secrets: str, signed_with: bytes | None, signature: str | None
) -> None:
    home.write("a.json", envelope(line(1, channelId="C1"), signed_with))
    home.ingest(secrets)
    assert [row["signature"] for row in home.events()] == ([signature] if signature else [])
    assert len(home.rejects()) == (0 if signature else 1)


def test_a_bucket_that_is_none_is_said_in_words() -> None:
    assert not Secrets("")
    with pytest.raises(SettingsError, match="HATIF_WEBHOOK_DIR: must be a path or s3://"):
        place_of("ftp://somewhere/else")


def test_a_directory_that_is_not_there_is_like_an_empty_one(home: Home) -> None:
    with open_lake(home.settings) as lake:
        done = ingest.ingest(lake, place_of(str(home.directory / "missing")), Secrets(""))
    assert done.files == 0
