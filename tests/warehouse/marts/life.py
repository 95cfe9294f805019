"""A workspace that lives at random: records and webhooks as the service sends them, and changes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from hatif.streams import STREAMS
from hatif.webhooks.signatures import Secrets
from hatif.webhooks.validate import Content, Delivery, validate_body
from hatif.wire import Reject
from tests.warehouse.batches import SPELLING, batch_of_lists
from warehouse import rejects
from warehouse.lake.connection import Lake
from warehouse.records.absences import Absences
from warehouse.records.loader import Loader
from warehouse.replay import Replayed, replay
from warehouse.webhooks.batch import WebhookBatch, store

Row = dict[str, Any]
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
NO_ID = "00000000-0000-0000-0000-000000000000"
_KINDS = {name: f"{number:08x}" for number, name in enumerate(sorted(STREAMS))}
_KINDS["calls"] = "0000ca11"


def guid(kind: str, number: int) -> str:
    """An id of a kind of thing."""
    return f"{_KINDS[kind]}-0000-4000-8000-{number:012x}"


class Life:
    """Records as they are now, by stream, list and id, and what happens to them.

    Args:
        lake: open for writing, tables made.
        seed: the same seed, the same life.
    """

    def __init__(self, lake: Lake, seed: int) -> None:
        self.lake = lake
        self.random = Random(seed)
        self.records: dict[str, dict[str, Row]] = {name: {} for name in STREAMS}
        self.lists: dict[str, str] = {}
        self.bodies: list[Row] = []
        self._number = 0
        #: Those in `load` are of channels with these; those without them are set aside.
        self.secrets = Secrets("")
        self._dirty: dict[tuple[str, str | None], dict[str, Row]] = {}

    # --- people and conversations -------------------------------------------------------------

    def begin(self) -> None:
        """Some users, channels and contacts, and a conversation of each contact.

        A property of one contact was changed, so that no life is without a history.
        """
        for number in range(4):
            self.put("users", number, {"name": f"User {number}", "isAiAgent": number == 3})
        for number in range(2):
            self.channel(number)
        for number in range(3):
            self.put("tags", number, {"name": f"Tag {number}", "icon": "i"})
            self.put("property_definitions", number, {"name": "Tier", "key": "k", "type": 3})
        for number in range(8):
            self.contact(number)
            self.conversation(number)
        for _ in range(24):
            self.event()
        self.logged()

    def channel(self, number: int) -> None:
        """Make a channel, or give it another name and number."""
        digits = self.random.randrange(10**7, 10**8)
        phone = self.random.choice((f"+9661{digits}", {"id": guid("calls", 1), "number": "9200"}))
        name = f"Line {self.random.randrange(99)}"
        self.put("channels", number, {"name": name, "type": 2, "phoneNumber": phone})

    def contact(self, number: int) -> None:
        """Make or change a contact; a note of its own, or one that others hold, too."""
        country = self.random.choice(("+9665", "+9715", "+2010", "odd"))
        self.put(
            "contacts",
            number,
            {
                "name": f"Contact {self.random.randrange(100)}",
                "phoneNumber": f"{country}{self.random.randrange(10**7, 10**8)}",
                "company": self.random.choice(("A", "B", None)),
                "customProperties": self.random.sample(
                    [
                        _property(1, "Tier", 3, selectValue={"value": self.random.choice("xyz")}),
                        _property(2, f"Renamed {self.random.randrange(3)}", 1, textValue="text"),
                    ],
                    self.random.randrange(3),
                ),
                "notes": [{"id": f"note{self.random.choice((number, 0))}", "text": "text"}],
            },
        )

    def logged(self) -> None:
        """A change of a property in some contact's log."""
        contact = self.random.choice(sorted(self.records["contacts"]))
        self._number += 1
        key = guid("contact_history", self._number)
        self._dirty.setdefault(("contact_history", contact), {})[key] = {
            "id": key,
            "propertyName": self.random.choice(("Company", "Tier", "Email")),
            "oldValue": self.random.choice(("A", "{", None)),
            "newValue": self.random.choice(("B", "x", None)),
            "creationTime": self.instant(),
            "creatorId": guid("users", 1),
        }

    def observed(self) -> None:
        """A contact's company changes, and nothing else shows it than the contact itself."""
        row = self.records["contacts"][guid("contacts", 0)]
        self.put("contacts", 0, row | {"company": "B" if row["company"] == "A" else "A"})

    def conversation(self, number: int) -> None:
        """Make or change a conversation; it may move to another contact or channel."""
        key = guid("conversations", number)
        known = self.records["conversations"].get(key, {})
        contact = known.get("contactId", guid("contacts", number % 8))
        if known and self.random.random() < 0.3:
            contact = guid("contacts", self.random.randrange(8))
        user = guid("users", self.random.randrange(5))
        self.put(
            "conversations",
            number,
            {
                "contactId": contact,
                "channelId": guid("channels", self.random.randrange(2)),
                "status": self.random.choice((1, 2)),
                "assigneeId": self.random.choice((user, NO_ID, None)),
                "assigneeName": "Somebody",
                "lastActivityAt": self.instant(),
                "tags": [guid("tags", self.random.randrange(3))],
            },
        )

    # --- what happens ---------------------------------------------------------------------------

    def event(self, *sources: int) -> None:
        """A message, call or assignment in some conversation's timeline, new or changed.

        It may name another conversation than the one in whose list it is.
        """
        conversation = self.random.choice(sorted(self.records["conversations"]))
        owner = self.records["conversations"][conversation]
        self._number += 1
        known = sorted(self.records["timelines"])
        key = guid("timelines", self._number)
        if known and self.random.random() < 0.3:
            key = self.random.choice(known)
            if self.random.random() < 0.6:
                conversation = self.lists[key]
        source = self.random.choice(sources or (1, 2, 2, 2, 2, 3))
        others = (conversation, conversation, guid("conversations", 1), guid("conversations", 77))
        user = guid("users", self.random.randrange(5))
        row = {
            "eventId": key,
            "contactId": self.random.choice((owner["contactId"], guid("contacts", 0))),
            "channelId": self.random.choice((owner["channelId"], guid("channels", 1))),
            "conversationId": self.random.choice(others),
            "sourceType": source,
            "sourceId": guid("calls", self.random.randrange(9)) if source == 1 else None,
            "direction": self.random.choice((1, 2)),
            "creationTime": self.instant(),
            "status": self.random.choice(("Sent", "Read", "Failed", "Delivered", "Hovering"))
            if source == 2
            else self.random.choice(("Answered", "Missed", "Drifting")),
            "errorCode": self.random.choice((None, 131047, "odd")),
            "isAi": self.random.random() < 0.2,
            "ownerUserId": self.random.choice((user, NO_ID, None)),
            "body": self.random.choice((None, "yes", "{text")),
            "durationOrSize": "00:01:05",
            "ringingDuration": "00:00:07",
            "assignation": {"assignedUserId": user} if source == 3 else None,
        }
        self.lists[key] = conversation
        self.records["timelines"][key] = row
        if self.random.random() < 0.1:
            self._set_aside("timelines", conversation, row)
            return
        self._dirty.setdefault(("timelines", conversation), {})[key] = row

    def deliver(self) -> None:
        """A webhook about a message or call: known to a timeline or not, with ids or without."""
        random = self.random
        named = random.choice((*sorted(self.records["timelines"]), None, NO_ID))
        place = self.records["conversations"].get(self.lists.get(named or "", ""), {})
        message: Row = {
            "channelId": place.get("channelId", guid("channels", 0)),
            "conversationId": random.choice((self.lists.get(named or ""), None, NO_ID)),
            "conversationEventId": named,
            "messageId": random.choice((None, NO_ID, f"W{random.randrange(12)}")),
            "contactId": place.get("contactId", guid("contacts", random.randrange(8))),
            "direction": random.choice(("Outbound", "Outbound", "Inbound")),
            "messageType": random.choice(
                ("Text", "Template", "Reaction", "MessageEdited", "MessageDeleted", "Novel")
            ),
            "status": random.choice(("Pending", "Sent", "Delivered", "Read", "Failed", "Odd")),
            "creationTime": self.instant(),
            "isBillable": random.choice((True, False, None, "true", 1)),
            "senderUserId": random.choice((None, NO_ID, guid("users", random.randrange(5)))),
            "body": random.choice((None, "yes", "{music} hello")),
            "errorCode": random.choice((None, 131026, [1], 131047.0)),
        }
        call: Row = {
            "callId": random.choice((NO_ID, guid("calls", random.randrange(9)))),
            "channelId": guid("channels", random.randrange(2)),
            "contactId": guid("contacts", random.randrange(8)),
            "type": random.choice((1, 2)),
            "status": random.choice((0, 1, 2, 5, 8, "Unheard", 77)),
            "creationTime": self.instant(),
            "pickupTime": random.choice((None, self.instant())),
            "userId": guid("users", random.randrange(5)),
            "transcription": random.choice((None, "{music} hello", {"text": "hi"})),
        }
        ivr: Row = {
            "id": guid("calls", random.randrange(3)),
            "channelId": guid("channels", 0),
            "destinationNumber": "+966500000000",
            "status": random.choice((0, 4, "Busy", "Unheard")),
        }
        self.bodies.append(random.choice((call, message, message, message, ivr)))

    def change(self) -> None:
        """One change of any kind."""
        random = self.random
        kind = random.randrange(11)
        if kind < 4:
            self.event()
        elif kind < 7:
            self.deliver()
        elif kind == 7:
            self.contact(random.randrange(9))
        elif kind == 8:
            self.conversation(random.randrange(10))
        elif kind == 9:
            self.logged()
        else:
            number = random.randrange(5)
            user = {"name": f"User {random.randrange(99)}", "isAiAgent": random.random() < 0.4}
            self.put("users", number, user)
            self.channel(number % 2)
            self.put("tags", number % 3, {"name": f"Tag {random.randrange(99)}"})

    def delete(self) -> None:
        """A record goes, with all that hangs on it."""
        stream = self.random.choice(("timelines", "timelines", "conversations", "contacts"))
        if self.records[stream]:
            key = self.random.choice(sorted(self.records[stream]))
            Absences(self.lake, "life").mark_deleted(STREAMS[stream], [key], None)

    def _set_aside(self, stream: str, parent: str, row: Row) -> None:
        """Set a record aside, as a version before this one may have done."""
        raw = json.dumps(row)
        reject = Reject(stream, "bad_value:status", raw, STREAMS[stream].list_path(parent))
        self.lake.write("set aside", lambda c: rejects.store_records(c, [reject]))

    def replay(self) -> Replayed:
        """Validate again what was set aside, without the secrets that webhooks lacked."""
        return replay(self.lake, Secrets(""), SPELLING)

    # --- bringing it in ---------------------------------------------------------------------

    def put(self, stream: str, number: int, row: Row) -> None:
        """Note a record of a stream without parents."""
        key = guid(stream, number)
        full = {STREAMS[stream].id_key: key, "creationTime": "2026-01-01T10:00:00", **row}
        self.records[stream][key] = full
        self._dirty.setdefault((stream, None), {})[key] = full

    def load(self) -> None:
        """Store what changed since the last call, records and webhooks."""
        loader = Loader(self.lake, "life")
        lists: dict[str, dict[str | None, list[bytes]]] = {}
        for (stream, parent), rows in self._dirty.items():
            records = [json.dumps(row).encode() for row in rows.values()]
            lists.setdefault(stream, {})[parent] = records
        for stream, by_parent in lists.items():
            loader.load(batch_of_lists(stream, by_parent))
        self._dirty.clear()
        received = WebhookBatch()
        for body in self.bodies:
            received_at = BEGIN + timedelta(days=2, seconds=self.random.randrange(900_000))
            stated = received_at if self.random.random() < 0.7 else None
            content = Content(json.dumps(body).encode(), stated, None)
            found = validate_body(content, self.secrets, received_at)
            if isinstance(found, Delivery):
                received.deliveries.append(found)
            else:
                received.rejections.append(found)
        self.bodies.clear()
        if received.deliveries or received.rejections:
            store(self.lake, received)

    def instant(self) -> str:
        """Some time in ten days of March; now and then a far one."""
        if self.random.random() < 0.02:
            return self.random.choice(("1969-12-31T22:30:00Z", "2150-01-01T00:00:00Z"))
        seconds = self.random.randrange(0, 864_000, 600)
        return (BEGIN + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _property(number: int, name: str, kind: int, **value: Any) -> Row:
    definition = guid("property_definitions", number)
    return {"propertyDefinitionId": definition, "propertyName": name, "propertyType": kind, **value}
