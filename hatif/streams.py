"""The list of streams: what is read from the service, and how. One entry a stream.

A new stream is one entry here and one SQL file in ``warehouse/models/core``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from types import MappingProxyType
from urllib.parse import quote

#: A part of an address that is an id: long, with a digit.
_ID = re.compile(r"(?=.*\d).{8,}")


@dataclass(frozen=True, slots=True)
class Order:
    """An order that a list may have. It counts only where the rows that come back keep it.

    Attributes:
        sorting: the ``Sorting`` parameter; None = not requested, but recognised.
        key: the record's key that then must not increase from row to row.
    """

    sorting: str | None
    key: str


@dataclass(frozen=True)
class Stream:
    """One list of the service.

    Attributes:
        name: as used in tables, commands and Dagster.
        path: address of the list; ``{parent}`` stands for the parent's id.
        about: what a record is, in one sentence.
        id_key: the record's own id, unique within the stream.
        parent: the stream whose records the list hangs on.
        parent_count: column of the parent's table that counts the records of the list.
        parent_least: SQL over the parent's table: records that the list has at least, NULL where
            nothing is known of it.
        paged: offset paging; False = the whole list in one answer (but see `Scan`).
        order: the order requested, None where nothing is documented.
        until_filter: the parameter that leaves out what the order's key dates later than an
            instant, given in Riyadh's time; for lists too long for offsets.
        time_key: the record's creation time, checked against the instant inside `time_id_key`.
        time_id_key: the id that carries the instant of insertion.
        own_path: the record's own address, which answers 404 when it is gone.
        whole: the answer as a whole is the one record, named after its parent.
        secret_keys: keys that can hold a secret; cut before anything is hashed or stored.
        interval: least time between two whole reads of one of its lists (`HATIF_INTERVALS`).
            Between them an ordered list is read down to what is known, any other only where
            a change signal points to it; None = it is never read again without one.
        aliases: other names that commands accept.
        is_hourly: scheduled every hour, with what its records have changed; others are every
            quarter of an hour.
        is_personal: its records hold data of persons; True until checked.
    """

    name: str
    path: str
    about: str
    id_key: str = "id"
    parent: str | None = None
    parent_count: str | None = None
    parent_least: str | None = None
    paged: bool = True
    order: Order | None = None
    until_filter: str | None = None
    time_key: str | None = "creationTime"
    time_id_key: str = "id"
    own_path: str | None = None
    whole: bool = False
    secret_keys: frozenset[str] = field(default_factory=frozenset)
    interval: timedelta | None = timedelta()
    aliases: tuple[str, ...] = ()
    is_hourly: bool = False
    is_personal: bool = True

    def list_path(self, parent: str | None) -> str:
        """Return the address of one of its lists."""
        return self.path.replace("{parent}", quote(parent or "", safe=""))

    @cached_property
    def order_key(self) -> str | None:
        """The record's key that the order requested goes by."""
        return self.order.key if self.order else None

    @cached_property
    def newest_first(self) -> bool:
        """Whether the list can be requested in an order in which what is new comes first."""
        return self.order is not None and self.order.sorting is not None


_ENTRIES = (
    Stream(
        name="channels",
        path="/v1/channels/service-account",
        about="A phone line or WhatsApp number of the workspace.",
        secret_keys=frozenset({"postCallWebhookUrl"}),
        is_personal=False,
    ),
    Stream(
        name="users",
        path="/v1/workspaces/users",
        about="A person or AI agent of the workspace.",
        id_key="userId",
        paged=False,
    ),
    Stream(
        name="tags",
        path="/v1/tags/service-account",
        about="A label that conversations can carry.",
        is_personal=False,
    ),
    Stream(
        name="property_definitions",
        path="/v1/contact-property-definitions",
        about="A custom property that contacts can have.",
        paged=False,
        aliases=("definitions",),
        is_personal=False,
    ),
    Stream(
        name="conversations",
        path="/v2/conversations/service-account/channels/{parent}",
        about="The one long-lived conversation of a contact on a channel.",
        parent="channels",
        order=Order("LastActivityAt DESC", "lastActivityAt"),
        until_filter="ToDate",
        time_key=None,
        own_path="/v2/conversations/service-account/{id}",
        secret_keys=frozenset({"postCallWebhookUrl"}),
        interval=timedelta(hours=1),
    ),
    Stream(
        name="contacts",
        path="/v1/contacts",
        about="A person or company that wrote, called, was written to or was entered by hand.",
        order=Order(None, "creationTime"),
        own_path="/v1/contacts/{id}",
        interval=timedelta(hours=1),
        is_hourly=True,
    ),
    Stream(
        name="property_statistics",
        path="/v1/contact-property-definitions/{parent}/statistics",
        about="What the service counts for a property definition; its shape is undocumented.",
        parent="property_definitions",
        paged=False,
        time_key=None,
        whole=True,
        interval=timedelta(hours=24),
        aliases=("statistics",),
        is_personal=False,
        is_hourly=True,
    ),
    Stream(
        name="timelines",
        path="/v2/conversations/service-account/{parent}/timeline",
        about="A message, call or assignment in a conversation.",
        id_key="eventId",
        parent="conversations",
        parent_count="event_count",
        order=Order("CreationTime DESC", "creationTime"),
        time_id_key="eventId",
        interval=timedelta(days=7),
        aliases=("timeline", "timeline_events"),
    ),
    Stream(
        name="contact_history",
        path="/v1/contacts/{parent}/history",
        about="One change of one property of a contact.",
        parent="contacts",
        # A contact that was changed has a history; one that has not been may have none.
        parent_least="CASE WHEN p.modified_at IS NOT NULL THEN 1 END",
        order=Order(None, "creationTime"),
        interval=None,
        aliases=("history",),
        is_hourly=True,
    ),
)

#: All streams by name, in the order in which they are read: parents before their children, the
#: lists that tell what changed before what is then read one by one.
STREAMS = MappingProxyType({stream.name: stream for stream in _ENTRIES})


def stream_named(name: str) -> Stream | None:
    """Return the stream of that name or alias."""
    for stream in _ENTRIES:
        if name == stream.name or name in stream.aliases:
            return stream
    return None


def endpoint_of(path: str) -> str:
    """Return an address with its ids replaced: all lists of a stream have one endpoint."""
    return "/".join("{id}" if _ID.fullmatch(part) else part for part in path.split("/"))


def other_endpoint(endpoint: str) -> str:
    """Return the address of a list that is at another endpoint, for a second opinion."""
    tops = (stream.path for stream in _ENTRIES if stream.parent is None)
    return next(path for path in tops if endpoint_of(path) != endpoint)


def keys_of_streams() -> frozenset[str]:
    """Return every key of the service's JSON that the list of streams names."""
    return frozenset(
        key
        for stream in STREAMS.values()
        for key in (
            stream.id_key,
            stream.time_key,
            stream.time_id_key,
            stream.order_key,
            *stream.secret_keys,
        )
        if key
    )
