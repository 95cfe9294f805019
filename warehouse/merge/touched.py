"""What new deliveries touch of a conversation: a few of its hundreds of messages.

A conversation that was merged, and is told of by deliveries of this transaction alone, stays as it
is but for the messages that these can interact with. By the rules of identity
(``models/merge/message_keys``) that is whatever shares an id or a message with them, or lies within
2 s of them in their conversation, and so on from there. One value of a message follows from its
neighbors: whether it came within 30 s of one of ours (``auto_replies``).

Temporary relations: ``single``, the conversations of which this holds, by ``key``; ``touched``, the
events and deliveries to be merged, as ``number``, ``seq``, ``conversation_id``, ``event_id``,
``wamid``, ``message_key`` and ``at``; ``neighbors``, the keys of messages as they are stored within
30 s of these, and whether they come after one (``follows``).
"""

from __future__ import annotations

import duckdb

from warehouse.lake import known_ids, staging
from warehouse.lake.sql import among, scalar
from warehouse.merge.ties import PLACES
from warehouse.models.model import Model

#: Seconds between events that can be one message, and between one of ours and an automatic answer.
_SAME, _ANSWER = 2, 30
#: Deliveries that are listed in a statement, which decodes no row of others then.
_MOST_LISTED = 300
#: What is read of the conversations.
_READ = ("touchable_statuses", "touchable_events")
_MARKED = "SELECT key FROM {} WHERE consumer = 'merge' AND kind"


def find_single(connection: duckdb.DuckDBPyConnection) -> None:
    """Make ``single``; empty where the transaction does not know which deliveries are new."""
    keys = "SELECT NULL::VARCHAR AS key WHERE false"
    if known_ids.of(connection) and (before := staging.marks_before(connection)):
        now = _MARKED.format(staging.marks(connection))
        keys = (
            f"{now} = 'messages' EXCEPT {now} IN ('conversation', 'delivery') "
            f"EXCEPT {_MARKED.format(before)} IN ({PLACES})"
        )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE single AS {keys}")


def read(connection: duckdb.DuckDBPyConnection, at_most: int | None = None) -> bool:
    """Read what of the conversations in ``chosen`` can be touched.

    Args:
        connection: inside the transaction.
        at_most: read no more rows of a table than this.

    Returns:
        Whether that is all there is.
    """
    of_chosen = among(connection, "conversation_id", "key", "chosen") or "false"
    limit = "" if at_most is None else f" LIMIT {at_most + 1}"
    # Each table is read by that condition alone, and not joined, see `among`.
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE touchable_statuses AS "
        "SELECT seq, conversation_id, event_id, wamid, message_key, sent_at "
        f"FROM core.message_statuses WHERE {of_chosen}{limit}"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE touchable_events AS "
        "SELECT conversation_id, event_id, occurred_at, source "
        f"FROM core.timeline_events WHERE {of_chosen}{limit}"
    )
    return at_most is None or not any(
        scalar(connection, f"SELECT count(*) FROM {table}") > at_most for table in _READ
    )


def find(connection: duckdb.DuckDBPyConnection) -> tuple[str, str]:
    """Make ``touched`` for the conversations in ``chosen``, after `read`.

    Returns:
        Conditions on rows of core.timeline_events and core.message_statuses that they are in it.
    """
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE touchable AS SELECT row_number() OVER () AS number, * FROM ("
        "SELECT seq, conversation_id, event_id, wamid, message_key, sent_at AS at "
        "FROM touchable_statuses UNION ALL "
        "SELECT NULL, conversation_id, event_id, NULL, NULL, occurred_at FROM touchable_events "
        "WHERE source = 'whatsapp')"
    )
    # What is not needed any more makes room for the marts.
    for table in _READ:
        connection.execute(f"DROP TABLE temp.{table}")
    known = known_ids.of(connection)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE touched AS FROM touchable WHERE seq IN (SELECT unnest(?))",
        [sorted(known.typed | known.received_earlier) if known else []],
    )
    same = _within(_SAME, "a.at", "t.at")
    more = f"""
        INSERT INTO touched
        WITH ids AS (
            SELECT id FROM (SELECT unnest([event_id, wamid, message_key]) AS id FROM touched)
            WHERE id IS NOT NULL
        )
        FROM touchable
        WHERE number NOT IN (SELECT number FROM touched) AND (
            event_id IN (FROM ids) OR wamid IN (FROM ids) OR message_key IN (FROM ids)
            OR number IN (
                SELECT a.number FROM touchable a JOIN touched t USING (conversation_id) WHERE {same}
            )
        )
    """
    while scalar(connection, more):
        pass
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE touched_events AS "
        "SELECT event_id AS key FROM touched WHERE seq IS NULL"
    )
    connection.execute("DROP TABLE temp.touchable")
    events = among(connection, "event_id", "key", "touched_events") or "false"
    of_chosen = among(connection, "conversation_id", "key", "chosen") or "false"
    return f"{of_chosen} AND {events}", f"{of_chosen} AND {_of_touched(connection)}"


def _of_touched(connection: duckdb.DuckDBPyConnection) -> str:
    """Return the condition that a delivery is touched; few are listed, see `among`."""
    rows = connection.execute("SELECT seq FROM touched WHERE seq IS NOT NULL").fetchall()
    if 0 < len(rows) <= _MOST_LISTED:
        return f"(seq + 0) IN ({', '.join(str(seq) for (seq,) in rows)})"
    return "seq IN (SELECT seq FROM touched)"


def _within(seconds: int, one: str, other: str) -> str:
    return f"abs(epoch_us({one}) - epoch_us({other})) <= {seconds * 1_000_000}"


def read_stored(connection: duckdb.DuckDBPyConnection, model: Model, strays: str) -> None:
    """Make ``stored``: the rows of the touched messages, and of their neighbors.

    The neighbors are merged rows, too, until it is known which are automatic answers.

    Args:
        connection: after the touched ones were computed, into ``merged_rows``.
        model: of core.messages.
        strays: a SELECT of keys that stand for touched messages, too.
    """
    of_chosen = among(connection, "conversation_id", "key", "chosen") or "false"
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE told AS "
        f"SELECT message_key, conversation_id, sent_at FROM core.messages WHERE {of_chosen}"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE neighbors AS "
        "SELECT m.message_key AS key, bool_or(m.sent_at >= t.at) AS follows FROM told m "
        f"JOIN touched t USING (conversation_id) WHERE {_within(_ANSWER, 'm.sent_at', 't.at')} "
        "GROUP BY m.message_key"
    )
    connection.execute("DROP TABLE temp.told")
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE touched_keys AS SELECT DISTINCT key FROM ("
        f"SELECT message_key AS key FROM merged_rows UNION ALL {strays}) WHERE key IS NOT NULL"
    )
    connection.execute("DELETE FROM neighbors WHERE key IN (FROM touched_keys)")
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE wanted AS "
        "FROM touched_keys UNION ALL SELECT key FROM neighbors"
    )
    columns = ", ".join(f'"{column.name}"' for column in model.columns)
    of_wanted = among(connection, "message_key", "key", "wanted") or "false"
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE stored AS "
        f"SELECT {columns} FROM {model.table} WHERE {of_chosen} AND {of_wanted}"
    )
    # Of those before the touched ones nothing changes, nor is all that they follow at hand.
    connection.execute(
        "INSERT INTO merged_rows BY NAME SELECT s.* REPLACE (CASE WHEN follows "
        "THEN CASE WHEN direction IS NOT NULL THEN false END ELSE is_probable_auto_reply END "
        "AS is_probable_auto_reply) FROM stored s JOIN neighbors n ON n.key = s.message_key"
    )
