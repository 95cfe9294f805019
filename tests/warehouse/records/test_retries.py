"""A record that was set aside for its form is read again, and settled once it is sound."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hatif.sink import ListFailure, Verdict
from hatif.streams import STREAMS, keys_of_streams
from hatif.webhooks.signatures import Secrets
from hatif.wire import Spelling
from tests.warehouse.batches import batch
from warehouse import rejects
from warehouse.lake.connection import Lake
from warehouse.models.model import wire_keys
from warehouse.queue import plan
from warehouse.queue.reread import RereadRequest, request_reread
from warehouse.records.loader import Loader
from warehouse.replay import replay

_SOUND = b'{"eventId":"e","sourceType":2,"direction":1,"creationTime":"2026-01-05T10:00:00Z"}'
_EPOCH = b'{"eventId":"e","sourceType":2,"direction":1,"creationTime":1767607200000}'
_OTHER = _SOUND.replace(b'"e"', b'"other"')


def _due(lake: Lake) -> dict[str, int]:
    policy = plan.ReadPolicy(datetime.now(UTC), timedelta(days=7), timedelta(hours=72))
    with lake.reading() as connection:
        return plan.reasons(connection, "timelines", policy)


def _open(lake: Lake) -> list[Any]:
    with lake.reading() as connection:
        return [one["reason"] for one in rejects.listed(connection)]


def _load(lake: Lake, *events: bytes) -> None:
    Loader(lake, "run").load(batch("timelines", "v", *events))


def _world(lake: Lake) -> None:
    """One conversation, whose timeline was read while the service sent epoch milliseconds."""
    Loader(lake, "run").load(batch("conversations", "c", b'{"id":"v"}'))
    _load(lake, _EPOCH, _OTHER)


def test_its_list_is_read_again_at_the_next_run_and_then_after_a_wait(lake: Lake) -> None:
    _world(lake)
    assert _due(lake) == {"requested": 1}
    _load(lake, _EPOCH, _OTHER)
    assert "requested" not in _due(lake)
    with lake.reading() as connection:
        waiting = connection.execute("SELECT whole, hinted_at > now() FROM ops.hints").fetchall()
    assert waiting == [(True, True)]


def test_a_whole_reading_without_it_settles_it(lake: Lake) -> None:
    _world(lake)
    assert _open(lake) == ["bad_value:creationTime"]
    _load(lake, _SOUND, _OTHER)
    assert _open(lake) == []
    assert "requested" not in _due(lake)


def test_one_that_turns_bad_again_is_open_again(lake: Lake) -> None:
    _world(lake)
    _load(lake, _SOUND, _OTHER)
    _load(lake, _EPOCH, _OTHER)
    assert _open(lake) == ["bad_value:creationTime"]


def test_a_reading_of_another_list_settles_nothing(lake: Lake) -> None:
    _world(lake)
    Loader(lake, "run").load(batch("timelines", "w", _OTHER))
    assert _open(lake) == ["bad_value:creationTime"]


def test_one_that_is_acknowledged_is_not_read_again_for_its_own_sake(lake: Lake) -> None:
    _world(lake)
    lake.write(
        "acknowledge",
        lambda c: (
            c.execute(
                "INSERT INTO ops.acknowledgements BY NAME SELECT reject_id, "
                "now() AS acknowledged_at, 'x' AS acknowledged_by, 'y' AS why FROM ops.rejects"
            )
            and None
        ),
    )
    _load(lake, _EPOCH, _OTHER)
    with lake.reading() as connection:
        assert connection.execute("FROM ops.hints").fetchall() == []


def test_a_replay_settles_one_whose_record_was_stored_since(lake: Lake) -> None:
    _world(lake)
    loader = Loader(lake, "run")
    made = batch("timelines", "v", _SOUND)
    made.ended.clear()  # the list's beginning alone
    loader.load(made)
    assert _open(lake) == ["bad_value:creationTime"]
    spelling = Spelling(wire_keys() | keys_of_streams())
    assert replay(lake, Secrets(""), spelling).settled == 1


def test_a_replay_does_not_settle_one_that_turned_bad_again(lake: Lake) -> None:
    _world(lake)
    _load(lake, _SOUND, _OTHER)
    _load(lake, _EPOCH, _OTHER)
    assert replay(lake, Secrets(""), Spelling(wire_keys() | keys_of_streams())).left == 1


def test_a_list_that_fails_is_put_off_whatever_it_holds_until_it_is_requested(lake: Lake) -> None:
    _world(lake)
    for _ in range(3):
        Loader(lake, "run").note_failures(
            STREAMS["timelines"], [ListFailure("v", "HTTP 410")], datetime.now(UTC)
        )
    assert _due(lake) == {}
    request_reread(lake, RereadRequest(("v",)), "Asia/Riyadh")
    assert _due(lake) == {"requested": 1}


def test_a_list_that_stays_unproven_is_not_read_at_every_run_for_its_bad_record(
    lake: Lake,
) -> None:
    _world(lake)
    made = batch("timelines", "v", _EPOCH, _OTHER)
    made.ended[0].verdict = Verdict.UNPROVEN
    Loader(lake, "run").load(made)
    assert "requested" not in _due(lake)


@pytest.mark.parametrize(
    ("whole", "hours", "reason"),
    [(None, 24, "hint"), (None, 0.5, "hint"), (True, 48, "requested"), (True, 20, None)],
)
def test_a_hint_of_a_clock_that_was_set_back_since_holds_at_once(
    lake: Lake, whole: bool | None, hours: float, reason: str | None
) -> None:
    """Only a bad record's list is put off, a day at most."""
    Loader(lake, "run").load(batch("conversations", "c", b'{"id":"v"}'))
    _load(lake, _SOUND, _OTHER)
    before = _due(lake)
    lake.write(
        "hint",
        lambda c: c.execute(
            "INSERT INTO ops.hints BY NAME SELECT 'timelines' AS stream, 'v' AS parent_id, "
            "now() + to_seconds(?) AS hinted_at, ? AS whole",
            [hours * 3_600, whole],
        ),
    )
    assert _due(lake) == ({reason: 1} if reason else before)
    _load(lake, _SOUND, _OTHER)
    assert "hint" not in _due(lake) or hours < 1
    assert "requested" not in _due(lake)
