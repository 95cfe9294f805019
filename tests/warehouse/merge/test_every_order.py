"""Every order, every split, the timeline's row before, between, after or never: one row.

Each way of telling a story has a conversation of its own, so that one lake holds them all. Receive
times belong to the deliveries and stay with them; the parts of a split are files of their own, read
and merged one after the other.
"""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hatif.webhooks.signatures import Secrets
from hatif.webhooks.sources import place_of
from tests.warehouse.merge.world import Delivery, World, at, call, call_event, event, message
from warehouse.webhooks.ingest import ingest

#: When the timeline's row comes: before all, between the parts, after all, or never.
BEFORE, BETWEEN, AFTER, NEVER = range(4)


class Way(NamedTuple):
    """One way of telling: which deliveries come first, which then, and when the event comes."""

    first: tuple[Delivery, ...]
    then: tuple[Delivery, ...]
    listed: int
    event: dict[str, Any]


Story = Callable[[str], tuple[list[Delivery], dict[str, Any]]]


def outbound(n: str) -> tuple[list[Delivery], dict[str, Any]]:
    """Six deliveries: the first without ids, others with either of them or both, an edit."""
    known = {"conversationId": f"v{n}", "contactId": n, "body": "hello"}
    event_id, wamid = {"conversationEventId": f"e{n}"}, {"messageId": f"W{n}"}
    reported = [
        message(1, **known, status="Pending", isBillable=None),
        message(2, **known, **event_id, **wamid, status="Sent", senderUserId="agent"),
        message(3, **known, **wamid, status="Failed", errorCode=131026, errorReason="why"),
        message(4, **known, **event_id, status="Delivered", isBillable=True),
        message(5, **known, **wamid, status="Read", mimeType="text/plain"),
        message(6, **known | {"body": "hi"}, **wamid, messageType="MessageEdited", status="Read"),
    ]
    columns = {"conversation_id": f"v{n}", "contact_id": n, "owner_user_id": "owner"}
    return reported, event(f"e{n}", **columns, body="hello")


def picture(n: str) -> tuple[list[Delivery], dict[str, Any]]:
    """An image without text, which no delivery calls as the timeline does."""
    known = {"conversationId": f"v{n}", "contactId": n, "messageType": "Image"}
    wamid = {"messageId": f"W{n}"}
    reported = [
        message(1, **known, **wamid, status="Read"),
        message(2, **known, **wamid, status="Read", mediaUrl="https://x/1", mimeType="image/png"),
        message(3, **known, status="Read", mediaUrl="https://x/2"),
        message(4, **known, **wamid, status="Delivered"),
    ]
    columns = {"conversation_id": f"v{n}", "contact_id": n, "occurred_at": at(1.5)}
    return reported, event(f"e{n}", **columns, attachment_url="https://x/0")


def phone_call(n: str) -> tuple[list[Delivery], dict[str, Any]]:
    """Five deliveries: two on the way, two final ones, a rating that comes late."""
    known = {"callId": f"C{n}", "contactId": n}
    reported = [
        call(1, **known, status=8),
        call(2, **known, status="Active", pickupTime="2026-01-05T12:00:03Z", userId="u1"),
        call(3, **known, status=2, hangupTime="2026-01-05T12:01:03Z", callLength="00:01:00"),
        call(4, **known, status=1, recordingUrl="https://x/r", summary="all well", userName="U"),
        call(5, **known, status=8, csatRating=4, csatMethod="Dtmf", transcription={"text": "hi"}),
    ]
    columns = {"conversation_id": f"v{n}", "contact_id": n, "occurred_at": at(0)}
    return reported, call_event(f"e{n}", **columns, source_id=f"c{n}", ringing_seconds=3.0)


def call_without_source(n: str) -> tuple[list[Delivery], dict[str, Any]]:
    """The timeline does not know the call's id: contact, channel, direction and time tell."""
    reported, listed = phone_call(n)
    return reported[:4], listed | {"source_id": None, "occurred_at": at(4.5)}


def _ways(story: Story) -> Iterator[Way]:
    """Yield all permutations, each split at every point, and the event at each of its times.

    Of five and six deliveries these would be too many: there, the event's times take turns.
    """
    number = itertools.count()
    length = len(story("")[0])
    for order in itertools.permutations(range(length)):
        for split in range(length):
            times = range(4) if length < 5 else [(sum(order[:3]) + split) % 4]
            for listed in times:
                reported, row = story(f"{story.__name__}-{next(number)}")
                turned = tuple(reported[place] for place in order)
                yield Way(turned[:split], turned[split:], listed, row)


def _write(path: Path, deliveries: list[Delivery]) -> None:
    with path.open("w") as file:
        for one in deliveries:
            envelope = {"received_at": one.received_at.isoformat(), "body": one.text}
            file.write(json.dumps(envelope) + "\n")


def _tell(world: World, directory: Path, ways: list[Way]) -> None:
    """Go all ways at once: what comes first of each, then the rest."""

    def go_on(name: str, time: int | None, part: Callable[[Way], tuple[Delivery, ...]]) -> None:
        world.list(*(way.event for way in ways if way.listed == time))
        if reported := [one for way in ways for one in part(way)]:
            _write(directory / f"{name}.ndjson", reported)
        done = ingest(world.lake, place_of(str(directory)), Secrets(""))
        assert (done.new, done.rejected) == (len(reported), 0)
        world.merge()

    go_on("0", BEFORE, lambda _: ())
    go_on("1", None, lambda way: way.first)
    go_on("2", BETWEEN, lambda way: way.then)
    go_on("3", AFTER, lambda _: ())


_MESSAGE = ("message_key", "event_id", "wamid", "conversation_id", "contact_id")
_CALL = ("call_key", "event_id", "conversation_id", "contact_id")


def _outcomes(
    world: World, directory: Path, table: str, stories: list[Story], own: tuple[str, ...]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Go all ways of the stories; return of each the row with the timeline's row, and without.

    There must be one of either, but for the columns that are each way's own.
    """
    ways = [list(_ways(story)) for story in stories]
    _tell(world, directory, list(itertools.chain(*ways)))
    rows = world.rows(table)
    assert len(rows) == sum(map(len, ways))
    found = defaultdict(set)
    for row in rows:
        wording = tuple((name, value) for name, value in row.items() if name not in own)
        found[row["contact_id"].split("-")[0], row["in_timeline"]].add(wording)
    outcomes = []
    for story in stories:
        (listed,), (unlisted,) = found[story.__name__, True], found[story.__name__, False]
        outcomes.append((dict(listed), dict(unlisted)))
    return outcomes


def test_a_message_is_one_row_in_every_order(world: World, tmp_path: Path) -> None:
    ordinary, image = _outcomes(world, tmp_path, "messages", [outbound, picture], _MESSAGE)

    listed, unlisted = ordinary
    assert {k for k in listed if listed[k] != unlisted[k]} == {"in_timeline", "owner_user_id"}
    assert (listed["status"], listed["body"], listed["mime_type"]) == ("read", "hi", "text/plain")
    assert (listed["is_billable"], listed["is_charged"], listed["error_code"]) == (True, True, None)
    received = (listed["failed_at"], listed["delivered_at"], listed["read_at"])
    assert received == (at(3), at(4), at(5))
    stray = "event_id <> 'e' || contact_id OR wamid <> 'W' || contact_id OR conversation_id IS NULL"
    assert world.query(f"SELECT message_key FROM core.messages WHERE {stray}") == []
    listed, unlisted = image
    assert (listed["is_joined_by_time"], unlisted["is_joined_by_time"]) == (True, False)
    assert listed["media_url"] == unlisted["media_url"] == "https://x/2"
    assert (listed["sent_at"], unlisted["sent_at"]) == (at(1.5), at(0))


def test_a_call_is_one_row_in_every_order(world: World, tmp_path: Path) -> None:
    outcomes = _outcomes(world, tmp_path, "calls", [phone_call, call_without_source], _CALL)

    for listed, unlisted in outcomes:
        for row in (listed, unlisted):
            assert (row["status"], row["is_answered"]) == ("completed", True)
            assert (row["duration_seconds"], row["summary"]) == (60, "all well")
        assert (listed["ringing_seconds"], unlisted["ringing_seconds"]) == (3, None)
