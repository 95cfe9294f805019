"""Deliveries of another workspace than the home's, whenever it becomes known which that is.

A home that is not bound to a workspace yet takes every delivery, and one that is bound by its
client id alone may not know its workspace's id. So when the ids change that its workspace is known
by, the stored deliveries are compared with them once, and those of another workspace become
rejects; and what was set aside as another's before comes back.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from functools import partial

import duckdb

from hatif.webhooks.reasons import Reason
from hatif.webhooks.signatures import Secrets
from warehouse import rejects
from warehouse.lake.connection import Lake
from warehouse.lake.sql import (
    exists,
    forget_home_values,
    keep_home_values,
    literal,
    scalar,
)
from warehouse.records import workspace
from warehouse.webhooks import batch, deliveries

#: Deliveries compared in one transaction, and rejects validated at once.
_AT_ONCE = 100_000
_REJECTS_AT_ONCE = 500
_FOREIGN = (
    f"FROM ops.rejects WHERE source = 'webhook' AND reason = '{Reason.FOREIGN}' "
    "AND replayed_at IS NULL AND received_at IS NOT NULL"
)
# A GUID in any of its forms as its digits; what is none, as it is.
_NAMED = (
    "regexp_replace(lower(trim(json_extract_string("
    "coalesce(payload, TRY_CAST(body AS JSON)), '$.workspaceId'))), '[{}()-]', '', 'g')"
)


def set_aside(lake: Lake, values: Mapping[str, str]) -> int:
    """Set stored deliveries of another workspace aside, where that was not done yet.

    Args:
        lake: open for writing.
        values: those of ``ops.home``, as they were just read.

    Returns:
        How many. Where there are any, the next merge makes its tables again.

    Raises:
        WarehouseError: the lake refused; the next call begins anew.
    """
    known = workspace.known_ids(values)
    if not known or values.get(workspace.COMPARED) == ",".join(sorted(known)):
        return 0
    with lake.reading() as connection:
        last = scalar(connection, "SELECT max(seq) FROM raw.webhook_events")
    found = 0
    for first in range(1, last + 1, _AT_ONCE):
        where = f"seq BETWEEN {first} AND {first + _AT_ONCE - 1} AND {_is_foreign(known)}"
        with lake.reading() as connection:
            is_there = exists(connection, f"FROM raw.webhook_events WHERE {where}")
        if is_there:
            found += lake.write("set deliveries aside", partial(_move, where))
    lake.write("note the workspace", lambda c: _note(c, known, last))
    return found


def _is_foreign(known: Set[str]) -> str:
    """Return the SQL condition on a delivery that it names another workspace; see `validate`."""
    ours = ", ".join(literal(one.replace("-", "")) for one in sorted(known))
    return (
        f"regexp_full_match({_NAMED}, '[0-9a-f]{{32}}') AND {_NAMED} NOT IN ({ours}) "
        f"AND {_NAMED} <> '{'0' * 32}'"
    )


def _move(where: str, connection: duckdb.DuckDBPyConnection) -> int:
    """Make rejects of deliveries, inside a transaction; return how many these were."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE foreign_deliveries AS "
        "SELECT delivery_id, conversation_id, body, received_at, is_stated "
        f"FROM raw.webhook_events WHERE {where}"
    )
    # The id that the body would have had as a reject from the start, see `Rejection.reject_id`.
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE foreign_rejects AS SELECT "
        f"sha256(concat_ws(chr(31), 'webhook', '{Reason.FOREIGN}', body, '', '')) AS reject_id, "
        f"'{deliveries.STREAM}' AS stream, '{Reason.FOREIGN}' AS reason, body AS raw, "
        "'read before the workspace was known' AS location, received_at, "
        "NULL::VARCHAR AS signature, is_stated FROM foreign_deliveries"
    )
    rejects.store_relation(connection, "webhook", "foreign_rejects")
    rejects.settle(
        connection, f"{deliveries.REFUSED_ID} IN (SELECT delivery_id FROM foreign_deliveries)"
    )
    ids = "(SELECT delivery_id FROM foreign_deliveries)"
    connection.execute(f"DELETE FROM raw.webhook_events WHERE delivery_id IN {ids}")
    connection.execute(
        "DELETE FROM ops.hints WHERE stream = 'timelines' "
        "AND parent_id IN (SELECT conversation_id FROM foreign_deliveries)"
    )
    forget_home_values(connection, "merge")
    return scalar(connection, "SELECT count(*) FROM foreign_deliveries")


def _note(connection: duckdb.DuckDBPyConnection, known: Set[str], last: int) -> None:
    """Note with what the deliveries were compared, unless others have been stored meanwhile."""
    if not exists(connection, f"FROM raw.webhook_events WHERE seq > {last}"):
        keep_home_values(connection, {workspace.COMPARED: ",".join(sorted(known))})


def restore(lake: Lake, secrets: Secrets, known: frozenset[str]) -> int:
    """Store deliveries that were set aside as another workspace's and are ours; return how many.

    Args:
        lake: open for writing.
        secrets: by channel.
        known: the ids that the home's workspace is known by.
    """
    if not known:
        return 0
    with lake.reading() as connection:
        if not exists(connection, _FOREIGN):
            return 0
        forms = known | {one.replace("-", "") for one in known}
        ours = " OR ".join(f"contains(lower(raw), {literal(one)})" for one in sorted(forms))
        ids = connection.execute(f"SELECT reject_id {_FOREIGN} AND ({ours})").fetchall()
    restored = 0
    for start in range(0, len(ids), _REJECTS_AT_ONCE):
        some = [reject_id for (reject_id,) in ids[start : start + _REJECTS_AT_ONCE]]
        restored += _restore(lake, secrets, known, some)
    return restored


def _restore(lake: Lake, secrets: Secrets, known: frozenset[str], ids: list[str]) -> int:
    listed = ", ".join(map(literal, ids))
    with lake.reading() as connection:
        rows = connection.execute(
            "SELECT reject_id, raw, received_at, signature, is_stated IS NOT FALSE "
            f"FROM ops.rejects WHERE reject_id IN ({listed})"
        ).fetchall()
    found = batch.WebhookBatch(workspaces=known)
    settled = [
        reject_id
        for reject_id, raw, received_at, signature, is_stated in rows
        if found.take_again(
            secrets, raw, received_at, signature, is_stated=is_stated, is_verified=True
        )
    ]
    if settled:
        batch.store(lake, found)
        which = f"reject_id IN ({', '.join(map(literal, settled))})"
        lake.write("settle rejects", lambda c: rejects.settle(c, which))
    return len(settled)
