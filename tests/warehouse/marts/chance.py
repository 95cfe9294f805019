"""Conversations by chance, rich in what is awkward: ties, gaps of just a day, failures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.warehouse.marts.world import World, call, message, number_in

Row = dict[str, Any]
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
_GAPS = (0, 0, 1, 30, 300, 3600, 7200, 40_000, 86_400, 86_401, 200_000)  # seconds
_WHO = ("customer",) * 5 + ("agent",) * 4 + ("ai", "ai", "template", "automatic", "call")
_USERS = ("amal", "badr", "chi")
_COUNTRIES = ("SA", "AE", "EG", None)


class Chance:
    """A source of conversations and changes; the same seed tells the same story."""

    def __init__(self, seed: int, days: int = 40) -> None:
        self.random = Random(seed)
        self.days = days
        self.messages: dict[str, Row] = {}
        self.calls: dict[str, Row] = {}
        self.contacts: dict[str, Row] = {}
        self._keys = 0

    def conversation(self, name: str, events: int) -> None:
        """Tell a conversation of about so many events."""
        contact = f"k-{name}"
        country = self.random.choice(_COUNTRIES)
        self.contacts[contact] = {"contact_id": contact, "name": name, **number_in(country)}
        moment = BEGIN + timedelta(seconds=self.random.randrange(self.days * 86_400))
        for _ in range(self.random.randint(1, 2 * events)):
            self.event(name, moment)
            moment += timedelta(seconds=self.random.choice(_GAPS))

    def event(self, name: str, moment: datetime) -> None:
        """Add one event."""
        self._keys += 1
        # Keys in another order than time, so that ties are broken by them and not by luck.
        key = f"{self.random.randrange(10**6):06}-{self._keys}"
        own = {"contact_id": f"k-{name}", "channel_id": f"line{sum(map(ord, name)) % 3}"}
        who = self.random.choice(_WHO)
        if who == "call":
            self.calls[key] = self.changed_call(call(key, name, moment, **own))
            return
        kind = self.random.choice(("text", "text", "image", None))
        receipts = {"delivered_at": None, "read_at": None}
        row = receipts | {"message_type": kind} | message(key, name, moment, who, **own)
        if who == "agent" and self.random.random() < 0.9:
            row["sender_user_id"] = self.random.choice(_USERS)
        elif who == "agent":
            row["sender_user_id"] = None
        self.messages[key] = self.changed_message(row)

    def changed_message(self, row: Row) -> Row:
        """The same message as it may be later."""
        row = dict(row)
        if row["direction"] == "inbound":
            row["message_type"] = self.random.choice(("text", "image"))
            return row
        row["status"] = self.random.choice(
            ("read", "read", "delivered", "sent", "failed", "pending")
        )
        arrived = row["status"] in ("delivered", "read")
        delay = timedelta(seconds=self.random.randrange(100_000))
        row["delivered_at"] = row["sent_at"] + delay if arrived else None
        row["read_at"] = row["sent_at"] + delay / 2 if row["status"] == "read" else None
        row["is_billable"] = self.random.choice((True, True, False, None))
        row["is_charged"] = row["is_billable"] if arrived else False
        row["error_code"] = self.random.choice((1, 2, None)) if row["status"] == "failed" else None
        row["deleted_at"] = BEGIN if self.random.random() < 0.05 else None
        return row

    def changed_call(self, row: Row) -> Row:
        """The same call as it may be later."""
        done = self.random.choice((True, True, False, None))
        status = {True: "completed", False: "missed", None: "ringing"}[done]
        picked_up = None if done is None else done or self.random.random() < 0.2
        return row | {
            "is_completed": done,
            "status": status,
            "is_answered": picked_up,
            "ringing_seconds": float(self.random.randrange(60)),
            "duration_seconds": float(self.random.randrange(600)) if done else None,
            "direction": self.random.choice(("inbound", "inbound", "outbound")),
            "user_id": self.random.choice(_USERS),
        }

    def put(self, world: World) -> None:
        """Put all of it."""
        world.put("users", *({"user_id": user, "name": user.title()} for user in _USERS[:2]))
        world.put("contacts", *self.contacts.values())
        names = {row["conversation_id"] for row in (*self.messages.values(), *self.calls.values())}
        world.put(
            "conversations",
            *(
                {
                    "conversation_id": name,
                    "contact_id": f"k-{name}",
                    "channel_id": f"line{sum(map(ord, name)) % 3}",
                    "status": "closed" if hash_of(name) % 4 == 0 else "open",
                }
                for name in sorted(names)
            ),
        )
        world.put("messages", *self.messages.values())
        world.put("calls", *self.calls.values())


def hash_of(name: str) -> int:
    """A number that is the same in every process."""
    return sum(map(ord, name))
