"""What a batch of deliveries and the manifest of their files do to the lake: one transaction.

A body is stored once, under the earliest receive time ever seen for it, in whatever order its
copies are found. What it makes outdated is noted when it is typed (`deliveries`).
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import duckdb
import pyarrow as pa

from hatif.webhooks.reasons import Reason
from hatif.webhooks.signatures import Secrets
from hatif.webhooks.validate import Content, Delivery, Rejection, validate_body
from warehouse import rejects
from warehouse.errors import ValueRefused
from warehouse.lake import known_ids
from warehouse.lake.connection import Lake
from warehouse.lake.isolation import REFUSED, VALUE_ERRORS, Refused, isolate
from warehouse.lake.known_ids import IdSet
from warehouse.lake.sql import exists, forget_home_values, home_value, scalar
from warehouse.records import drift, workspace
from warehouse.webhooks import manifest
from warehouse.webhooks.deliveries import STREAM, mark_received
from warehouse.webhooks.manifest import Entry

#: Deliveries and rejections in one transaction, and the bytes of their text.
LARGEST_BATCH = 20_000
_LARGEST_TEXT = 32 << 20
_ARRIVALS = pa.schema(
    [
        ("delivery_id", pa.string()),
        ("kind", pa.string()),
        ("channel_id", pa.string()),
        ("conversation_id", pa.string()),
        ("received_at", pa.timestamp("us", "UTC")),
        ("signature", pa.string()),
        ("body", pa.string()),
        ("payload", pa.string()),
        ("is_stated", pa.bool_()),
    ]
)
_VALID = "valid"
#: How `ops.drift` calls a value in a form that cannot be read.
_DRIFT = "bad_value"
# Only of what can be a conversation's id: a timeline is read for each.
_IS_GUID = "regexp_full_match(conversation_id, '[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}')"


def delivery_ids() -> IdSet:
    """Return the set of the ids of all deliveries, for a process that remembers them."""
    table = "raw.webhook_events"
    return IdSet(f"SELECT delivery_id AS id FROM {table}", frozenset((table,)), table)


@dataclass(slots=True)
class WebhookBatch:
    """Deliveries, rejections and how far their files have been read with them.

    Attributes:
        workspaces: ids of the home's own that the deliveries were validated with.
        entries: the state of each file, by path.
        former: entries that those carry on, and replace.
        reread: which part of each file was read with this batch, by path.
        moved: paths of files that were read under another, which is the key.
    """

    deliveries: list[Delivery] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    entries: dict[str, Entry] = field(default_factory=dict)
    former: list[Entry] = field(default_factory=list)
    reread: dict[str, manifest.Reread] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    text: int = 0
    workspaces: frozenset[str] = frozenset()

    def has_room_for(self, units: Sequence[bytes]) -> bool:
        """Return whether these can be added; anything can be added to an empty batch."""
        held = len(self.deliveries) + len(self.rejections)
        more = sum(map(len, units))
        return not held or (
            held + len(units) <= LARGEST_BATCH
            and self.text + more <= _LARGEST_TEXT
            and len(self.entries) < LARGEST_BATCH
        )

    def take_again(
        self,
        secrets: Secrets,
        raw: str,
        received_at: datetime | None,
        signature: str | None,
        *,
        is_stated: bool,
        is_verified: bool,
    ) -> bool:
        """Add a body that had been set aside, if it is valid now; return whether it is.

        Args:
            secrets: by channel.
            raw: the body.
            received_at: when it came; None where `raw` is not all of the body.
            signature: as sent with it.
            is_stated: an envelope stated `received_at`.
            is_verified: its signature had been verified when it was set aside, see `validate_body`.
        """
        if received_at is None:
            return False
        content = Content(raw.encode(), received_at, signature)
        verdict = validate_body(
            content, secrets, received_at, self.workspaces, is_verified=is_verified
        )
        if not isinstance(verdict, Delivery):
            return False
        self.deliveries.append(verdict._replace(is_stated=is_stated))
        return True

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to store."""
        return not (self.deliveries or self.rejections or self.entries)


def store(lake: Lake, batch: WebhookBatch) -> tuple[int, int]:
    """Store a batch; return how many deliveries, and how many rejections, were not known before.

    Deliveries that DuckDB refuses are set aside.

    Raises:
        WarehouseError: DuckDB refused otherwise; what it had stored before stays, and the
            manifest does not count the files as read.
    """
    arrivals = _distinct(batch.deliveries)
    try:
        return lake.write("store webhook deliveries", partial(_store, batch, arrivals))
    except (ValueRefused, *VALUE_ERRORS):
        counts, refused = isolate(
            arrivals,
            lambda part: lake.write("store webhook deliveries", lambda c: add(c, part)),
        )
        batch.rejections += [_rejection_of(one) for one in refused]
        new, opened = lake.write("store webhook files", partial(_store, batch, []))
        return new + sum(counts), opened


def _store(
    batch: WebhookBatch, arrivals: Sequence[Delivery], connection: duckdb.DuckDBPyConnection
) -> tuple[int, int]:
    if arrivals:
        _check_workspaces(connection, batch.workspaces)
    new = add(connection, arrivals)
    found = [rejected(one) for one in batch.rejections]
    opened = len({one.reject_id for one in found} - _open(connection, found))
    manifest.move_rejects(connection, batch.moved)
    manifest.close_reread(connection, batch.reread)
    manifest.record(connection, list(batch.entries.values()), batch.former)
    rejects.store(connection, "webhook", found)
    return new, opened


def _check_workspaces(connection: duckdb.DuckDBPyConnection, workspaces: Set[str]) -> None:
    """Have all deliveries compared again where the home was bound after these were validated."""
    if home_value(connection, workspace.COMPARED) not in (None, ",".join(sorted(workspaces))):
        forget_home_values(connection, workspace.COMPARED)


def _rejection_of(one: Refused[Delivery]) -> Rejection:
    """Return a delivery that DuckDB refused; its signature was verified and is not kept."""
    delivery = one.item
    return Rejection(one.reason, delivery.body, delivery.received_at, is_stated=delivery.is_stated)


def is_verified(reason: str) -> bool:
    """Return whether what was set aside for this reason had its signature verified before."""
    return reason == Reason.FOREIGN or reason.startswith(REFUSED)


def _open(connection: duckdb.DuckDBPyConnection, found: Sequence[rejects.Rejected]) -> set[str]:
    """Return the ids of those rejects that are open already."""
    if not found:
        return set()
    connection.register("ids", pa.table({"reject_id": [one.reject_id for one in found]}))
    rows = connection.execute(
        "SELECT reject_id FROM ops.rejects WHERE replayed_at IS NULL "
        "AND reject_id IN (SELECT reject_id FROM ids)"
    ).fetchall()
    connection.unregister("ids")
    return {reject_id for (reject_id,) in rows}


def rejected(rejection: Rejection) -> rejects.Rejected:
    """Return a rejection as it is stored."""
    return rejects.Rejected(
        rejection.reject_id,
        STREAM,
        rejection.reason,
        rejection.raw,
        rejection.location,
        rejection.received_at,
        rejection.signature,
        rejection.is_stated,
    )


def _distinct(deliveries: Sequence[Delivery]) -> list[Delivery]:
    """Return each body once: its earliest time, and its signature if any copy had a good one.

    A stated receive time counts before any that a file's modification time stands in for.
    """
    found: dict[str, Delivery] = {}
    for delivery in deliveries:
        known = found.setdefault(delivery.delivery_id, delivery)
        if known is not delivery:
            best = min(known, delivery, key=lambda one: (not one.is_stated, one.received_at))
            found[delivery.delivery_id] = known._replace(
                received_at=best.received_at,
                is_stated=best.is_stated,
                signature=_VALID if _VALID in (known.signature, delivery.signature) else "unsigned",
            )
    return list(found.values())


def add(connection: duckdb.DuckDBPyConnection, arrivals: Sequence[Delivery]) -> int:
    """Store distinct deliveries, inside a transaction; return how many were not known."""
    if not arrivals:
        return 0
    *columns, unreadable = zip(*arrivals, strict=True)
    arrays = [pa.array(column, kind.type) for column, kind in zip(columns, _ARRIVALS, strict=True)]
    table = pa.Table.from_arrays(arrays, schema=_ARRIVALS)
    position = pa.array(range(1, len(arrivals) + 1))
    connection.register("arrivals", table.append_column("position", position))
    _find_known(connection)
    known = scalar(connection, "SELECT count(*) FROM known_deliveries")
    _improve(connection)
    # Sequence numbers give the order and may leave some out: no row needs to wait for the others.
    connection.execute(
        "INSERT INTO raw.webhook_events BY NAME SELECT delivery_id, "
        "(SELECT coalesce(max(seq), 0) FROM raw.webhook_events) + position AS seq, "
        "kind, channel_id, conversation_id, received_at, is_stated, signature, body, "
        "payload::JSON AS payload "
        "FROM arrivals WHERE delivery_id NOT IN (SELECT delivery_id FROM known_deliveries)"
    )
    # The service has moved on there: its own view of the conversation is to be read.
    connection.execute(
        "INSERT INTO ops.hints BY NAME SELECT DISTINCT 'timelines' AS stream, "
        "conversation_id AS parent_id, now() AS hinted_at FROM arrivals "
        "WHERE kind IN ('message', 'workspace') AND conversation_id IS NOT NULL "
        f"AND delivery_id NOT IN (SELECT delivery_id FROM known_deliveries) AND {_IS_GUID}"
    )
    connection.unregister("arrivals")
    if any(unreadable):
        examples = {key: one.delivery_id for one in arrivals for key in one.unreadable}
        drift.note(connection, STREAM, _DRIFT, examples.items())
    return len(arrivals) - int(known)


def _find_known(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``known_deliveries``: those of the arrivals that are stored already."""
    ids = "SELECT delivery_id AS id FROM arrivals"
    remembered = known_ids.of(connection)
    known = remembered.deliveries if remembered else None
    may_be_there = known.may_hold(connection, ids) if known else None
    with known.search() if known else nullcontext():
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE known_deliveries AS "
            "SELECT delivery_id, received_at, signature, is_stated IS NOT FALSE AS is_stated, "
            "is_stated IS NULL AS is_unknown FROM raw.webhook_events WHERE "
            + ("false" if may_be_there == set() else f"delivery_id IN ({ids})")
        )
    if known:
        known.add(connection, ids)


def _improve(connection: duckdb.DuckDBPyConnection) -> None:
    """Correct what is known where a copy came earlier, or with a signature that fits.

    Older versions kept the earliest time, stated or a file's modification time, and not which it
    was: a copy that states a time decides, or one whose file has that very modification time.
    """
    decides = "(f.is_unknown AND (a.is_stated OR a.received_at = f.received_at))"
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE earlier AS SELECT a.delivery_id, "
        f"CASE WHEN {decides} OR a.is_stated > f.is_stated THEN a.received_at "
        "WHEN a.is_stated < f.is_stated THEN f.received_at "
        "ELSE least(a.received_at, f.received_at) END AS received_at, "
        f"a.is_stated OR (f.is_stated AND NOT {decides}) AS is_stated, "
        "CASE WHEN 'valid' IN (a.signature, f.signature) THEN 'valid' ELSE 'unsigned' END "
        "AS signature FROM arrivals a JOIN known_deliveries f USING (delivery_id) "
        f"WHERE {decides} OR a.is_stated > f.is_stated "
        "OR (a.is_stated = f.is_stated AND a.received_at < f.received_at) "
        "OR (a.signature = 'valid' AND f.signature <> 'valid')"
    )
    if exists(connection, "FROM earlier"):
        connection.execute(
            "UPDATE raw.webhook_events e SET received_at = b.received_at, "
            "is_stated = b.is_stated, signature = b.signature "
            "FROM earlier b WHERE b.delivery_id = e.delivery_id"
        )
        mark_received(connection, "SELECT delivery_id AS key FROM earlier")
