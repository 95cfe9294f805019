"""What an event copies from its conversation follows it, and equals a rebuild."""

from __future__ import annotations

from typing import Any

from hatif.streams import STREAMS
from tests.warehouse.batches import batch
from warehouse.lake.connection import Lake
from warehouse.records.absences import Absences
from warehouse.records.loader import Loader
from warehouse.records.rebuild import rebuild


def _events(lake: Lake) -> list[tuple[Any, ...]]:
    with lake.reading() as connection:
        return connection.execute(
            "SELECT event_id, contact_id, channel_id, deleted_at IS NULL FROM core.timeline_events "
            "ORDER BY event_id"
        ).fetchall()


def _outdated(lake: Lake) -> list[tuple[Any, ...]]:
    with lake.reading() as connection:
        return connection.execute(
            "SELECT key FROM ops.outdated WHERE consumer = 'merge'"
        ).fetchall()


def _event(key: str) -> bytes:
    return (
        b'{"eventId":"%s","contactId":"loser","channelId":"a","sourceType":2,"direction":1,'
        b'"creationTime":"2026-01-05T10:00:00Z"}' % key.encode()
    )


def test_events_follow_a_conversation_to_another_contact_and_channel(lake: Lake) -> None:
    loader = Loader(lake, "first")
    loader.load(batch("conversations", "a", b'{"id":"v","contactId":"loser"}', b'{"id":"w"}'))
    loader.load(batch("timelines", "v", _event("e1"), _event("e2")))
    loader.load(batch("timelines", "w", _event("other")))
    Absences(lake, "run").mark_deleted(STREAMS["timelines"], ["e2"], None)
    lake.write("merged", lambda c: c.execute("DELETE FROM ops.outdated") and None)

    Loader(lake, "second").load(
        batch("conversations", "b", b'{"id":"v","contactId":"winner","channelId":"b"}')
    )

    moved = [
        ("e1", "winner", "b", True),
        ("e2", "winner", "b", False),
        ("other", "loser", "a", True),
    ]
    assert _events(lake) == moved
    assert _outdated(lake) == [("v",)]
    with lake.reading() as connection:
        hints = connection.execute("SELECT stream, parent_id, whole FROM ops.hints").fetchall()
    assert hints == [("contact_history", "winner", True)]
    rebuild(lake, lambda *_: None)
    assert _events(lake) == moved


def test_an_event_that_is_read_later_has_the_ids_of_its_conversation(lake: Lake) -> None:
    Loader(lake, "run").load(
        batch("conversations", "b", b'{"id":"v","contactId":"winner","channelId":"b"}')
    )
    Loader(lake, "run").load(batch("timelines", "v", _event("e1")))
    assert _events(lake) == [("e1", "winner", "b", True)]


def test_events_that_were_stored_before_their_conversation_take_its_ids(lake: Lake) -> None:
    Loader(lake, "first").load(batch("timelines", "v", _event("e1")))
    Loader(lake, "first").load(batch("timelines", "w", _event("other")))
    assert _events(lake) == [("e1", "loser", "a", True), ("other", "loser", "a", True)]
    second = Loader(lake, "second")
    second.load(batch("conversations", "b", b'{"id":"v","contactId":"winner"}'))
    second.load(batch("conversations", "a", b'{"id":"w","contactId":"loser"}'))
    expected = [("e1", "winner", "b", True), ("other", "loser", "a", True)]
    assert _events(lake) == expected
    rebuild(lake, lambda *_: None)
    assert _events(lake) == expected
