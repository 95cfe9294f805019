"""The catalogue of streams: what is read from the service, and how. One entry a stream.

A new stream is one entry here and one SQL file in ``warehouse/models/core``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Order:
    """An order we ask for. It counts only where the rows that come back keep it.

    Attributes:
        sorting: the ``Sorting`` parameter.
        key: the record's key that then must not increase from row to row.
    """

    sorting: str
    key: str


@dataclass(frozen=True, slots=True)
class Stream:
    """One list of the service.

    Attributes:
        name: as used in tables, commands and Dagster.
        path: address of the list; ``{parent}`` stands for the parent's id.
        about: what a record is, in one sentence.
        id_key: the record's own id, unique within the stream.
        parent: the stream whose records the list hangs on.
        paged: offset paging; False = the whole list in one answer (but see `Scan`).
        order: the order asked for, None where nothing is documented.
        time_key: the record's creation time, checked against the instant inside `time_id_key`.
        time_id_key: the id that carries the instant of insertion.
        own_path: the record's own address, which answers 404 when it is gone.
        whole: the answer as a whole is the one record, named after its parent.
        secret_keys: keys that can hold a secret; cut before anything is hashed or stored.
    """

    name: str
    path: str
    about: str
    id_key: str = "id"
    parent: str | None = None
    paged: bool = True
    order: Order | None = None
    time_key: str | None = "creationTime"
    time_id_key: str = "id"
    own_path: str | None = None
    whole: bool = False
    secret_keys: frozenset[str] = field(default_factory=frozenset)

    @property
    def order_key(self) -> str | None:
        """The record's key that the order asked for goes by."""
        return self.order.key if self.order else None


_ENTRIES = (
    Stream(
        name="channels",
        path="/v1/channels/service-account",
        about="A phone line or WhatsApp number of the workspace.",
        secret_keys=frozenset({"postCallWebhookUrl"}),
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
    ),
    Stream(
        name="property_definitions",
        path="/v1/contact-property-definitions",
        about="A custom property that contacts can have.",
        paged=False,
    ),
    Stream(
        name="property_statistics",
        path="/v1/contact-property-definitions/{parent}/statistics",
        about="What the service counts for a property definition; its shape is undocumented.",
        parent="property_definitions",
        paged=False,
        time_key=None,
        whole=True,
    ),
    Stream(
        name="contacts",
        path="/v1/contacts",
        about="A person or company that wrote, called, was written to or was entered by hand.",
        own_path="/v1/contacts/{id}",
    ),
    Stream(
        name="contact_history",
        path="/v1/contacts/{parent}/history",
        about="One change of one property of a contact.",
        parent="contacts",
    ),
    Stream(
        name="conversations",
        path="/v2/conversations/service-account/channels/{parent}",
        about="The one long-lived conversation of a contact on a channel.",
        parent="channels",
        order=Order("LastActivityAt DESC", "lastActivityAt"),
        time_key=None,
        own_path="/v2/conversations/service-account/{id}",
        secret_keys=frozenset({"postCallWebhookUrl"}),
    ),
    Stream(
        name="timelines",
        path="/v2/conversations/service-account/{parent}/timeline",
        about="A message, call or assignment in a conversation.",
        id_key="eventId",
        parent="conversations",
        order=Order("CreationTime DESC", "creationTime"),
        time_id_key="eventId",
    ),
)

#: All streams by name, parents before their children.
STREAMS = MappingProxyType({stream.name: stream for stream in _ENTRIES})


def catalogue_keys() -> frozenset[str]:
    """Return every key of the service that the catalogue names."""
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
