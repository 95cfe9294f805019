"""Steps that webhooks have settled are not due; all others are."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.warehouse.batches import batch
from warehouse.lake.connection import Lake
from warehouse.queue import settled
from warehouse.queue.plan import ReadPolicy, WorkPlan, reasons
from warehouse.records.loader import Loader

_SENT = datetime.now(UTC).replace(microsecond=0)
_TIME = f"{_SENT:%Y-%m-%dT%H:%M:%SZ}"
_MESSAGE = (
    f'{{"eventId":"m","sourceType":2,"direction":2,"status":"Sent","creationTime":"{_TIME}"}}'
)
_CALL = (
    f'{{"eventId":"k","sourceType":1,"direction":1,"status":"Answered","creationTime":"{_TIME}",'
    '"durationOrSize":"00:02:00"}'
)
_STATUS: dict[str, Any] = {
    "delivery_id": "d",
    "seq": 1,
    "received_at": _SENT,
    "sent_at": _SENT,
}


def _policy(after: timedelta) -> ReadPolicy:
    return ReadPolicy(_SENT + after, timedelta(days=7), timedelta(hours=72))


def _due(lake: Lake, after: timedelta = timedelta(minutes=20)) -> dict[str, int]:
    with lake.reading() as connection:
        return reasons(connection, "timelines", _policy(after))


def _read(lake: Lake, *events: str) -> None:
    """A conversation whose timeline was read a minute after these events."""
    talk = f'{{"id":"v","channelId":"c","lastActivityAt":"{_TIME}"}}'
    Loader(lake, "run").load(batch("conversations", "c", talk.encode()))
    with WorkPlan(lake, "timelines", _policy(timedelta(minutes=1))) as plan:
        (target,) = plan
    timeline = batch("timelines", "v", *(event.encode() for event in events))
    timeline.ended[0].began_at = _SENT + timedelta(minutes=1)
    timeline.ended[0].signal = target.signal
    Loader(lake, "run").load(timeline)


def _insert(lake: Lake, table: str, **row: Any) -> None:
    columns = ", ".join(f"${name} AS {name}" for name in row)
    lake.write("test", lambda c: c.execute(f"INSERT INTO {table} BY NAME SELECT {columns}", row))


def _webhook(lake: Lake, status: str) -> None:
    """The message as merged with a delivery of this status."""
    _insert(lake, "core.message_statuses", message_key="m", status=status, **_STATUS)
    _insert(
        lake,
        "core.messages",
        message_key="m",
        event_id="m",
        conversation_id="v",
        channel_id="c",
        direction="outbound",
        sent_at=_SENT,
        status=status,
        in_timeline=True,
        in_webhooks=True,
        is_joined_by_time=False,
    )


def test_a_step_is_due_where_no_webhook_told_of_its_message(lake: Lake) -> None:
    _read(lake, _MESSAGE)
    assert _due(lake) == {"step": 1}


@pytest.mark.parametrize("status", ["read", "failed"])
def test_a_step_is_not_due_whose_message_webhooks_settled(lake: Lake, status: str) -> None:
    _read(lake, _MESSAGE)
    _webhook(lake, status)
    assert _due(lake) == {}
    with WorkPlan(lake, "timelines", _policy(timedelta(minutes=20))) as plan:
        assert (plan.count, plan.left_out) == (0, 1)


def test_a_message_on_its_way_is_looked_at_where_its_channel_is_not_proven(lake: Lake) -> None:
    _read(lake, _MESSAGE)
    _webhook(lake, "delivered")
    assert _due(lake) == {"step": 1}


def test_a_message_on_its_way_is_left_to_webhooks_where_its_channel_is_proven(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settled, "LEAST_MESSAGES", 1)
    monkeypatch.setattr(settled, "ONE_IN", 10**15)  # no sample
    _read(lake, _MESSAGE)
    _webhook(lake, "delivered")
    since = (_SENT - timedelta(hours=1)).isoformat()
    _insert(lake, "ops.home", key=settled.FOLLOWED_SINCE, value=since)
    assert _due(lake, timedelta(hours=3)) == {}


def test_an_open_call_keeps_a_step_due_beside_a_settled_message(lake: Lake) -> None:
    _read(lake, _MESSAGE, _CALL)
    _webhook(lake, "read")
    assert _due(lake) == {"step": 1}
    _insert(lake, "core.calls", call_key="k", event_id="k", summary="text")
    assert _due(lake) == {}


def test_the_weekly_turn_comes_all_the_same(lake: Lake) -> None:
    _read(lake, _MESSAGE)
    _webhook(lake, "read")
    assert sum(_due(lake, timedelta(days=8)).values()) == 1


_TALK: dict[str, Any] = {
    "id": "v",
    "channelId": "c",
    "lastActivityAt": _TIME,
    "lastEventOccurredAt": _TIME,
    "lastEventsCount": 1,
}
_IN_TWO_MINUTES = timedelta(minutes=2)
_LATER = f"{_SENT + _IN_TWO_MINUTES:%Y-%m-%dT%H:%M:%SZ}"


def _shows(lake: Lake, **talk: Any) -> None:
    """The conversation as its channel's list shows it now."""
    Loader(lake, "run").load(batch("conversations", "c", json.dumps(_TALK | talk).encode()))


def test_a_timeline_is_not_read_for_a_change_that_an_earlier_reading_found(lake: Lake) -> None:
    _read(lake, _MESSAGE)
    _shows(lake, lastEventStatus="Sent")
    assert _due(lake, _IN_TWO_MINUTES) == {}


@pytest.mark.parametrize(
    "shown",
    [
        {"lastEventStatus": "Read"},
        {"lastEventStatus": None},
        {"lastEventStatus": "Sent", "lastEventsCount": 2},
        {"lastEventStatus": "Sent", "lastEventsCount": None},
        {
            "lastEventStatus": "Sent",
            "lastEventOccurredAt": _LATER,
        },
        {"lastEventStatus": "Sent", "lastEventOccurredAt": None},
        {
            "lastEventStatus": "Sent",
            "lastActivityAt": _LATER,
        },
    ],
)
def test_a_timeline_is_read_for_any_change_beyond_what_it_showed(
    lake: Lake, shown: dict[str, Any]
) -> None:
    _read(lake, _MESSAGE)
    _shows(lake, **shown)
    assert _due(lake, _IN_TWO_MINUTES) == {"changed": 1}


def test_a_step_is_due_whatever_else_has_changed_and_is_known(lake: Lake) -> None:
    _read(lake, _CALL)
    _shows(lake, lastEventStatus="Answered")
    assert _due(lake, _IN_TWO_MINUTES) == {}
    assert _due(lake) == {"changed": 1}
    _insert(lake, "core.calls", call_key="k", event_id="k", summary="text")
    assert _due(lake) == {}


_READ = timedelta(hours=3)
_AFTER = {"kind": "message", "received_at": _SENT + timedelta(hours=3, minutes=2)}


def _arrived(lake: Lake, name: str, **row: Any) -> None:
    """A delivery after the channel's list was read; with a `sent_at` it is typed already."""
    raw = {"delivery_id": name, "seq": 2, "channel_id": "c", "signature": "valid", "body": "{}"}
    _insert(lake, "raw.webhook_events", **raw | _AFTER)
    if row:
        typed = {"delivery_id": name, "seq": 2, "message_key": "m", "status": "read"}
        _insert(lake, "core.message_statuses", **typed, received_at=_AFTER["received_at"], **row)


def _heads(lake: Lake) -> dict[str, int]:
    with lake.reading() as connection:
        return reasons(connection, "conversations", _policy(_READ + timedelta(minutes=4)))


@pytest.fixture
def proven(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """A proven channel whose list was read after three hours."""
    monkeypatch.setattr(settled, "LEAST_MESSAGES", 1)
    monkeypatch.setattr(settled, "ONE_IN", 10**15)  # no sample
    Loader(lake, "run").load(batch("channels", None, b'{"id":"c"}'))
    _read(lake, _MESSAGE)
    _webhook(lake, "delivered")
    since = (_SENT - timedelta(hours=1)).isoformat()
    _insert(lake, "ops.home", key=settled.FOLLOWED_SINCE, value=since)
    heads = batch("conversations", "c", json.dumps(_TALK).encode())
    heads.ended[0].began_at = _SENT + _READ
    Loader(lake, "run").load(heads)
    return lake


def test_a_channel_is_not_read_for_receipts_of_what_its_list_has_shown(proven: Lake) -> None:
    assert _heads(proven) == {}
    _arrived(proven, "receipt", sent_at=_SENT)
    assert _heads(proven) == {}
    _arrived(proven, "new", sent_at=_AFTER["received_at"])
    assert _heads(proven) == {"head": 1}


@pytest.mark.parametrize("row", [{}, {"sent_at": None}])
def test_a_channel_is_read_for_a_delivery_whose_time_is_not_known(
    proven: Lake, row: dict[str, Any]
) -> None:
    _arrived(proven, "unknown", **row)
    assert _heads(proven) == {"head": 1}
