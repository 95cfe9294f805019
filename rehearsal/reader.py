"""Answers to GET: pages, bare lists and single records of the world.

It also remembers what the current scan of each list has served, so that an action can
choose rows that were read already, or that were not.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from rehearsal.abp import AbpError, not_found
from rehearsal.bad_records import bad_record
from rehearsal.ids import naive_instant
from rehearsal.listing import ORDERS, Listing
from rehearsal.model import Contact, Conversation, Definition
from rehearsal.render import Record, Renderer
from rehearsal.spec import Quirks
from rehearsal.statistics import NOT_A_NUMBER, first, statistics
from rehearsal.streams import Address
from rehearsal.world import World

Query = Mapping[str, str]

_LISTS = (*ORDERS, "users", "property_definitions")
_FOLLOWED = ("contacts", "conversations")
_CHANNEL_TYPES = {"phonenumber": 1, "whatsapp": 2, "phonenumberandwhatsapp": 3}


class Reader:
    """Reads one world; ``quirks`` may be replaced at any time between two requests."""

    def __init__(self, world: World, quirks: Quirks) -> None:
        self.world = world
        self.served: dict[Address, list[str]] = {}
        self._planted: dict[Address, list[tuple[int, bytes]]] = {}
        self._ordered: dict[tuple[Address, str], list[Any]] = {}
        self._version = world.version
        self.use(quirks)

    def use(self, quirks: Quirks) -> None:
        """Answer with these quirks from now on."""
        self.quirks = quirks
        self.world.wire.clear()
        self._ordered.clear()
        self._renderer = Renderer(self.world, quirks)

    def answer(self, address: Address, query: Query) -> bytes:
        """The body of a 200.

        Raises:
            AbpError: whatever the service would refuse.
        """
        stream, parent = address
        if stream in ORDERS:
            return self._page(address, query)
        if stream in ("users", "property_definitions"):
            rows = [self._bytes(row) for row in self._with_planted(address, self._rows(address))]
            return b"[%s]" % b",".join(rows)
        if stream == "contact":
            return self._renderer.record(self._contact(parent or ""))
        if stream == "conversation":
            return self._renderer.single_conversation(self._conversation(parent or ""))
        if stream == "property_statistics":
            return self._statistics(parent or "")
        raise AbpError(404, "The requested resource was not found!")

    def plant(self, address: Address, query: Query, offset: int, kinds: Iterable[str]) -> None:
        """Put bad records into a list, ``offset`` rows into the requested page.

        They count in the total and keep their places. Where there is no list, or no good
        row to stand beside, nothing is planted.
        """
        try:
            position = Listing.parse(query, self.quirks).skip + offset
            rows = self._rows(address) if address.stream in _LISTS else []
        except AbpError:
            return
        if not rows:
            return
        planted = self._planted.setdefault(address, [])
        for step, kind in enumerate(kinds):
            neighbour = self._bytes(rows[(position + step) % len(rows)])
            bad = bad_record(kind, neighbour, self.world.guid(self.world.now))
            planted.append((position + step, bad))

    def uproot(self) -> None:
        """Take all bad records out again."""
        self._planted.clear()

    def prerender(self) -> None:
        """Render every list record now, so that serving it later costs next to nothing."""
        world = self.world
        for contact in world.contacts.values():
            self._renderer.record(contact)
        for talk in world.conversations.values():
            self._renderer.record(talk)
            for event in talk.events:
                self._renderer.record(event)

    def _page(self, address: Address, query: Query) -> bytes:
        listing = Listing.parse(query, self.quirks)
        rows = self._with_planted(address, self._filtered(address, listing, query))
        empty = listing.skip in self.quirks.holes
        wanted = [] if empty else rows[listing.skip : listing.skip + listing.take]
        if address.stream in _FOLLOWED:
            self._follow(address, listing.skip, wanted)
        is_counted = address.stream != "timelines" or self.quirks.timeline_total == "live"
        total = len(rows) if is_counted else None
        return self._renderer.page(total, [self._bytes(row) for row in wanted])

    def _filtered(self, address: Address, listing: Listing, query: Query) -> list[Any]:
        """The filters that work live; every other one is ignored without a word."""
        rows = self._sorted(address, listing.sorting)
        if address.stream == "contacts":
            for name, part in (("name", query.get("name")), ("phone", query.get("phonenumber"))):
                if part:
                    rows = [row for row in rows if part in _text(row, name)]
        if address.stream == "conversations" and self.quirks.date_filters:
            until = naive_instant(query.get("todate", ""))
            rows = [row for row in rows if until is None or row.active <= until]
        if address.stream == "channels" and query.get("type"):
            wanted = _CHANNEL_TYPES.get(query["type"].lower())
            rows = [row for row in rows if row.type == wanted]
        return rows

    def _sorted(self, address: Address, sorting: str) -> list[Any]:
        if self._version != self.world.version:
            self._ordered.clear()
            self._version = self.world.version
        key = (address, sorting)
        if key not in self._ordered:
            self._ordered[key] = ORDERS[address.stream].apply(self._rows(address), sorting)
        return self._ordered[key]

    def _rows(self, address: Address) -> list[Any]:
        world, (stream, parent) = self.world, address
        if stream == "contact_history":
            if self.quirks.history == "missing":
                raise AbpError(404, "The requested resource was not found!")
            return self._contact(parent or "").history
        if stream == "timelines":
            return list(self._conversation(parent or "").events)
        if stream == "conversations":
            if parent not in world.by_channel:
                raise not_found("Channel", parent or "")
            return list(world.by_channel[parent].values())
        tables: dict[str, Mapping[str, Any]] = {
            "channels": world.channels,
            "users": world.users,
            "tags": world.tags,
            "contacts": world.contacts,
            "property_definitions": world.definitions,
        }
        return list(tables[stream].values())

    def _with_planted(self, address: Address, rows: list[Any]) -> list[Any]:
        planted = self._planted.get(address)
        if not planted:
            return rows
        rows = list(rows)
        for position, bad in sorted(planted):
            rows.insert(position, bad)
        return rows

    def _follow(self, address: Address, skip: int, wanted: list[Record | bytes]) -> None:
        # Taken out and put back, so that the last entry is the list read last.
        served = self.served.pop(address, [])
        self.served[address] = served = [] if skip == 0 else served
        served.extend(row.id for row in wanted if not isinstance(row, bytes))

    def _bytes(self, row: Record | bytes) -> bytes:
        return row if isinstance(row, bytes) else self._renderer.record(row)

    def _statistics(self, definition_id: str) -> bytes:
        definition: Definition | None = self.world.definitions.get(definition_id)
        if definition is None or self.quirks.statistics == "missing":
            raise not_found("ContactPropertyDefinition", definition_id)
        if self.quirks.statistics == "one_nan" and definition is first(self.world):
            return NOT_A_NUMBER
        as_text = self.quirks.statistics == "text"
        return self._renderer.encode(statistics(self.world, definition, as_text=as_text))

    def _contact(self, contact_id: str) -> Contact:
        if contact_id not in self.world.contacts:
            raise not_found("Contact", contact_id)
        return self.world.contacts[contact_id]

    def _conversation(self, conversation_id: str) -> Conversation:
        if conversation_id not in self.world.conversations:
            raise not_found("Conversation", conversation_id)
        return self.world.conversations[conversation_id]


def _text(contact: Contact, name: str) -> str:
    if name == "name":
        return contact.name
    return contact.phone.text if contact.phone else ""
