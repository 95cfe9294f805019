"""The longer a list has stayed the same, the more seldom it is read; a setting is kept as it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hatif.streams import STREAMS
from tests.warehouse.batches import batch
from warehouse.lake.connection import Lake
from warehouse.queue import intervals
from warehouse.queue.plan import ReadPolicy, reasons
from warehouse.records.loader import Loader

_BEGIN = datetime.now(UTC).replace(microsecond=0)
_HOUR = timedelta(hours=1)


def _read(lake: Lake, at: datetime, name: str, stream: str = "tags") -> None:
    """Read a list of one record with this name."""
    read = batch(stream, None, f'{{"id":"one","name":"{name}"}}'.encode())
    read.ended[0].began_at = at
    Loader(lake, "run").load(read)


def _is_due(lake: Lake, at: datetime, stream: str = "tags", *, learns: bool = True) -> bool:
    policy = ReadPolicy(at, STREAMS[stream].interval, timedelta(hours=72), learns=learns)
    with lake.reading() as connection:
        return bool(reasons(connection, stream, policy))


def test_a_list_that_stayed_the_same_waits_a_quarter_of_that_time(lake: Lake) -> None:
    _read(lake, _BEGIN, "first")
    assert _is_due(lake, _BEGIN + timedelta(minutes=1))
    _read(lake, _BEGIN + 5 * _HOUR, "first")

    assert not _is_due(lake, _BEGIN + 6 * _HOUR)
    assert _is_due(lake, _BEGIN + 7 * _HOUR)


def test_a_list_that_brought_something_is_read_soon_again(lake: Lake) -> None:
    _read(lake, _BEGIN, "first")
    _read(lake, _BEGIN + 20 * _HOUR, "second")

    assert _is_due(lake, _BEGIN + 20.3 * _HOUR)


def test_no_list_waits_longer_than_eight_hours(lake: Lake) -> None:
    _read(lake, _BEGIN, "first")
    _read(lake, _BEGIN + timedelta(days=90), "first")

    assert not _is_due(lake, _BEGIN + timedelta(days=90, hours=7))
    assert _is_due(lake, _BEGIN + timedelta(days=90, hours=8))
    with lake.reading() as connection:
        learned = intervals.of_lists(connection, "tags", _BEGIN + timedelta(days=90))
    assert learned == 8 * _HOUR


def _insert(lake: Lake, table: str, **row: object) -> None:
    columns = ", ".join(f"${name} AS {name}" for name in row)
    lake.write("test", lambda c: c.execute(f"INSERT INTO {table} BY NAME SELECT {columns}", row))


_LATER = _BEGIN + timedelta(days=90)


@pytest.mark.parametrize(
    ("stream", "rows"),
    [
        ("users", {"core.conversations": {"assignee_user_id": "x", "last_activity_at": _LATER}}),
        (
            "tags",
            {
                "core.conversations": {"conversation_id": "v", "last_activity_at": _LATER},
                "core.conversation_tags": {"conversation_id": "v", "tag_id": "x"},
            },
        ),
        (
            "property_definitions",
            {
                "core.contacts": {"contact_id": "p", "modified_at": _LATER},
                "core.contact_properties": {"contact_id": "p", "property_id": "x"},
            },
        ),
        (
            "channels",
            {
                "raw.webhook_events": {
                    "delivery_id": "d",
                    "seq": 1,
                    "kind": "message",
                    "channel_id": "x",
                    "received_at": _LATER,
                    "signature": "valid",
                    "body": "{}",
                }
            },
        ),
    ],
)
def test_a_list_is_due_at_once_that_lacks_what_was_in_use_since(
    lake: Lake, stream: str, rows: dict[str, dict[str, object]]
) -> None:
    read, soon = _LATER - timedelta(minutes=1), _LATER + timedelta(minutes=1)
    _read(lake, _BEGIN, "first", stream)
    _read(lake, read, "first", stream)
    assert not _is_due(lake, soon, stream)
    for table, row in rows.items():
        _insert(lake, table, **row)

    assert _is_due(lake, soon, stream)
    _read(lake, _LATER + timedelta(seconds=1), "first", stream)
    assert not _is_due(lake, soon, stream)


def test_an_interval_that_is_set_does_not_grow(lake: Lake) -> None:
    _read(lake, _BEGIN, "first")
    _read(lake, _BEGIN + timedelta(days=90), "first")

    assert _is_due(lake, _BEGIN + timedelta(days=90, minutes=1), learns=False)


def test_streams_with_a_change_signal_or_a_longer_interval_learn_none() -> None:
    learning = {name for name in STREAMS if intervals.may_learn(name)}
    assert learning == {"channels", "users", "tags", "property_definitions"}
