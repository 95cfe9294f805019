"""A lake to merge in: deliveries and timeline events put in directly, rows taken out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from warehouse.lake import invalidation
from warehouse.lake.connection import Lake
from warehouse.merge.messages import Merged, merge, merge_all
from warehouse.webhooks.deliveries import mark_received

#: Named here, since a method of World is called list.
Rows = list[dict[str, Any]]
Tuples = list[tuple[Any, ...]]

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
RESULTS = {
    "messages": "message_key",
    "message_statuses": "delivery_id",
    "calls": "call_key",
    "ivr_calls": "ivr_id",
}
_EVENT = {
    "event_id": pa.string(),
    "conversation_id": pa.string(),
    "contact_id": pa.string(),
    "channel_id": pa.string(),
    "source": pa.string(),
    "source_id": pa.string(),
    "direction": pa.string(),
    "occurred_at": pa.timestamp("us", "UTC"),
    "status": pa.string(),
    "error_code": pa.int64(),
    "failure_reason": pa.string(),
    "is_ai": pa.bool_(),
    "attachment_url": pa.string(),
    "owner_user_id": pa.string(),
    "ai_agent_id": pa.string(),
    "handler_name": pa.string(),
    "duration_seconds": pa.float64(),
    "ringing_seconds": pa.float64(),
    "body": pa.string(),
    "ai_summary": pa.string(),
    "deleted_at": pa.timestamp("us", "UTC"),
}


def at(seconds: float) -> datetime:
    """An instant, so many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def sent(instant: datetime) -> str:
    """An instant as webhooks spell it."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True)
class Delivery:
    """A body as sent, what kind it is, and when it was received."""

    kind: str
    body: dict[str, Any]
    received_at: datetime
    is_stated: bool = True

    @property
    def bare(self) -> Delivery:
        """The same body in a file without an envelope."""
        return replace(self, is_stated=False)

    @property
    def text(self) -> str:
        return json.dumps(self.body, ensure_ascii=False)

    @property
    def delivery_id(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def message(received: float = 10, **body: Any) -> Delivery:
    """A delivery about a WhatsApp message, received so many seconds after noon."""
    known = {
        "channelId": "ch",
        "conversationId": "v",
        "contactId": "k",
        "direction": "Outbound",
        "messageType": "Text",
        "status": "Sent",
        "creationTime": sent(NOON),
        "isBillable": False,
    }
    return Delivery("message", {**known, **body}, at(received))


def call(received: float = 10, **body: Any) -> Delivery:
    """A delivery about a call."""
    known = {
        "callId": "C1",
        "channelId": "ch",
        "contactId": "k",
        "type": 1,
        "status": 1,
        "creationTime": sent(NOON),
    }
    return Delivery("call", {**known, **body}, at(received))


def ivr(received: float = 10, **body: Any) -> Delivery:
    """A delivery about an outbound IVR call."""
    known = {"id": "I1", "channelId": "ch", "destinationNumber": "1", "status": 0, "result": 0}
    return Delivery("ivr", {**known, **body}, at(received))


def event(event_id: str, **columns: Any) -> dict[str, Any]:
    """A WhatsApp event of a timeline."""
    known = {
        "conversation_id": "v",
        "contact_id": "k",
        "channel_id": "ch",
        "source": "whatsapp",
        "direction": "outbound",
        "occurred_at": NOON,
        "status": "sent",
        "is_ai": False,
    }
    return dict.fromkeys(_EVENT) | known | {"event_id": event_id} | columns


def call_event(event_id: str, **columns: Any) -> dict[str, Any]:
    """A call in a timeline."""
    return event(
        event_id, **{"source": "call", "direction": "inbound", "status": "answered", **columns}
    )


class World:
    """A lake, filled as the readers of files and of the API do it."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake

    def put(self, *deliveries: Delivery) -> None:
        """Store deliveries in this order; one whose body is there lowers its receive time."""
        if deliveries:
            self.lake.write("put", lambda c: _put(c, deliveries))

    def list(self, *events: dict[str, Any]) -> None:
        """Store timeline events; one that is there is replaced."""
        if events:
            self.lake.write("list", lambda c: _list(c, events))

    def merge(self) -> Merged:
        return merge(self.lake)

    def merge_all(self) -> Merged:
        return merge_all(self.lake)

    def rows(self, table: str, sql: str = "FROM {}") -> Rows:
        """Rows of a core table, in order of its key."""
        with self.lake.reading() as connection:
            text = f"{sql.format('core.' + table)} ORDER BY {RESULTS.get(table, 'ALL')}"
            return connection.execute(text).to_arrow_table().to_pylist()

    def one(self, table: str = "messages") -> dict[str, Any]:
        (row,) = self.rows(table)
        return row

    def reported(
        self, *deliveries: Delivery, listed: Sequence[dict[str, Any]] = ()
    ) -> dict[str, Any]:
        """Put, merge, and return the one message that comes of it."""
        self.list(*listed)
        self.put(*deliveries)
        self.merge()
        return self.one()

    def query(self, sql: str) -> Tuples:
        with self.lake.reading() as connection:
            return connection.execute(sql).fetchall()


def _put(connection: duckdb.DuckDBPyConnection, deliveries: Iterable[Delivery]) -> None:
    rows = [
        {
            "delivery_id": delivery.delivery_id,
            "place": place,
            "kind": delivery.kind,
            "channel_id": delivery.body.get("channelId"),
            "conversation_id": delivery.body.get("conversationId"),
            "received_at": delivery.received_at,
            "is_stated": delivery.is_stated,
            "body": delivery.text,
        }
        for place, delivery in enumerate(deliveries)
    ]
    text = pa.string()
    connection.register(
        "given",
        pa.Table.from_pylist(
            rows,
            pa.schema(
                {
                    "delivery_id": text,
                    "place": pa.int64(),
                    "kind": text,
                    "channel_id": text,
                    "conversation_id": text,
                    "received_at": pa.timestamp("us", "UTC"),
                    "is_stated": pa.bool_(),
                    "body": text,
                }
            ),
        ),
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE arrived AS SELECT * REPLACE (min(received_at) OVER same AS "
        "received_at) FROM given WINDOW same AS (PARTITION BY delivery_id) "
        "QUALIFY row_number() OVER (PARTITION BY delivery_id ORDER BY place) = 1"
    )
    connection.unregister("given")
    earlier = (
        "FROM arrived a WHERE webhook_events.delivery_id = a.delivery_id "
        "AND a.received_at < webhook_events.received_at"
    )
    mark_received(
        connection,
        "SELECT a.delivery_id AS key FROM arrived a JOIN raw.webhook_events e USING (delivery_id) "
        "WHERE a.received_at < e.received_at",
    )
    connection.execute(f"UPDATE raw.webhook_events SET received_at = a.received_at {earlier}")
    connection.execute(
        "INSERT INTO raw.webhook_events BY NAME SELECT * EXCLUDE (place), "
        "(SELECT coalesce(max(seq), 0) FROM raw.webhook_events) "
        "+ row_number() OVER (ORDER BY place) "
        "AS seq, 'unsigned' AS signature FROM arrived "
        "WHERE delivery_id NOT IN (SELECT delivery_id FROM raw.webhook_events)"
    )


def _list(connection: duckdb.DuckDBPyConnection, events: Iterable[dict[str, Any]]) -> None:
    connection.register("listed", pa.Table.from_pylist(list(events), pa.schema(_EVENT)))
    connection.execute("CREATE OR REPLACE TEMP TABLE seen AS FROM listed")
    connection.unregister("listed")
    where = "WHERE event_id IN (SELECT event_id FROM seen)"
    touched = (
        f"SELECT conversation_id AS key FROM core.timeline_events {where} "
        "UNION SELECT conversation_id FROM seen"
    )
    invalidation.mark(connection, "merge", "conversation", touched)
    connection.execute(f"DELETE FROM core.timeline_events {where}")
    connection.execute("INSERT INTO core.timeline_events BY NAME FROM seen")
