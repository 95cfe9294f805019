"""How core tables follow raw records: the same SQL for a batch, a deletion or a rebuild.

Temporary relations, all on the connection of the transaction:

``changed``
    made by the caller (`versions.store`, `tombstones`, `rebuild`): a row a record, with record_id,
    parent_id, payload (of a deleted record its last one), deleted_at; was_known where
    rows of it may be stored already.
``records``
    what the SELECT of a core model reads: ``changed`` with its payload as JSON, or all versions of
    these records (the table ``versions``).
``typed``
    the rows of the stream's main model, from which unreadable records have been taken.
``typed_more``
    the rows of another model of the stream whose unreadable values are noted.
``moved``, ``following``
    conversations that moved to another channel or contact, and their events as ``changed``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

from warehouse.lake import invalidation
from warehouse.lake.sql import exists, literal
from warehouse.models.model import Model, main_model, models_of
from warehouse.models.model import model as model_of
from warehouse.records import drift

#: A record whose time of creation is unreadable is set aside, since nothing could place it; any
#: other unreadable value is NULL and noted.
_SET_ASIDE = "creationTime"
#: A column that a model may have beside those of its table: keys whose values were not readable.
_UNREAD = "unread_keys"
#: So many records are looked up by ids that are written out.
_FEW = 500


@dataclass(frozen=True, slots=True)
class UnreadableValue:
    """A record with a value that is not of its kind, named by the service's key."""

    record_id: str
    parent_id: str | None
    payload: str
    key: str

    @property
    def reason(self) -> str:
        """For ``ops.rejects``."""
        return f"bad_value:{self.key}" if self.key else "bad_json"


def type_records(connection: duckdb.DuckDBPyConnection, stream: str) -> list[UnreadableValue]:
    """Type the records in ``changed`` into ``typed``; take out and return the unreadable ones."""
    model = main_model(stream)
    if model.reads == "versions":
        found = _unreadable(connection, "NOT coalesce(json_valid(payload::VARCHAR), true)", "")
    else:
        _gather(connection, model)
        _make_table(connection, "typed", model)
        found = _check_instants(connection, model)
        _note_unread(connection, model, "typed")
    if found:
        bad = [unreadable.record_id for unreadable in found]
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE readable AS "
            "SELECT * FROM changed WHERE NOT list_contains(?, record_id)",
            [bad],
        )
        connection.execute("CREATE OR REPLACE TEMP VIEW changed AS FROM readable")
        if model.reads != "versions":
            connection.execute(f"DELETE FROM typed WHERE list_contains(?, {model.replace})", [bad])
    return found


def retype(connection: duckdb.DuckDBPyConnection, stream: str, *, any_known: bool = True) -> None:
    """Bring every core table made of this stream up to ``changed``, after `type_records`.

    Args:
        connection: inside a transaction.
        stream: whose records they are.
        any_known: whether any of them was stored before; ``changed`` then has was_known.
    """
    if any_known:  # while the rows are those of before
        for model in models_of(stream):
            if model.reads == "changes":
                _observe(connection, model)
    for model in models_of(stream):
        if model.is_view or model.reads == "changes":
            continue
        if any_known:
            connection.execute(
                f"DELETE FROM {model.table} WHERE {model.replace} IN "
                "(SELECT record_id FROM changed WHERE was_known)"
            )
        if model == main_model(stream) and model.reads == "latest":
            connection.execute(f"INSERT INTO {model.table} BY NAME {rows_for(model, 'typed')}")
        else:
            _insert_noting(connection, model)
        if model.table == NOTES:
            _share_notes_out(connection)


def _observe(connection: duckdb.DuckDBPyConnection, model: Model) -> None:
    """Make the rows of a model of changes again for the known records in ``changed`` that have any.

    All versions of a record are read for that, so it is not done where nothing watched differs.
    """
    known = "SELECT record_id FROM changed WHERE was_known"
    queries = [_differing(connection, model, *one, known) for one in model.watches] or [known]
    ids = [key for (key,) in connection.execute(" UNION ".join(queries)).fetchall()]
    if not ids:
        return
    # Ids that are written out let a scan pass over the payloads of all others.
    listed = ", ".join(map(literal, ids)) if len(ids) <= _FEW else known
    connection.execute(f"DELETE FROM {model.table} WHERE {model.replace} IN ({listed})")
    _gather_versions(connection, model.stream, listed)
    with _records_probe(connection):
        connection.execute(f"INSERT INTO {model.table} BY NAME {model.select}")


def _differing(
    connection: duckdb.DuckDBPyConnection,
    observer: Model,
    table: str,
    columns: tuple[str, ...],
    known: str,
) -> str:
    """Return SQL for the ids of known records in ``changed`` whose rows of a table will differ."""
    watched = model_of(table)
    wanted = f"{watched.replace} AS record_id, {', '.join(columns)}"
    if watched == main_model(observer.stream):
        made = "typed"
    else:
        _gather(connection, watched)
        made = f"({watched.select})"
    both = " UNION ALL ".join(
        f"SELECT {wanted}, {side} AS side FROM {rows} WHERE {watched.replace} IN ({known})"
        for rows, side in ((made, 1), (table, -1))
    )
    keys = ", ".join(columns)
    return f"SELECT record_id FROM ({both}) GROUP BY record_id, {keys} HAVING sum(side) <> 0"


def insert(connection: duckdb.DuckDBPyConnection, model: Model) -> None:
    """Add the rows of a model made of the records in ``changed``, whatever they hold."""
    _gather(connection, model)
    rows = rows_for(model, f"({model.select})")
    with _records_probe(connection):
        connection.execute(f"INSERT INTO {model.table} BY NAME {rows}")


def remove_unreadable(connection: duckdb.DuckDBPyConnection, stream: str) -> list[UnreadableValue]:
    """Take out of the tables, after `insert`, the records that `type_records` would have.

    Raw has records that another version of this program accepted.
    """
    model = main_model(stream)
    column = next((column for column, key in model.instants if key == _SET_ASIDE), None)
    undated = f"FROM {model.table} WHERE {column} IS NULL AND deleted_at IS NULL"
    if column is None or not exists(connection, undated):
        return []
    rows = connection.execute(
        "SELECT record_id, parent_id, payload::VARCHAR FROM raw.records "
        f"WHERE stream = '{stream}' AND record_id IN (SELECT {model.replace} {undated}) "
        f"AND json_extract_string(payload, '$.{_SET_ASIDE}') IS NOT NULL "
        "QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY seq DESC) = 1"
    ).fetchall()
    for found in models_of(stream):
        if not found.is_view:
            connection.execute(
                f"DELETE FROM {found.table} WHERE list_contains(?, {found.replace})",
                [[record_id for record_id, _, _ in rows]],
            )
    return [UnreadableValue(record, parent, text, _SET_ASIDE) for record, parent, text in rows]


def _insert_noting(connection: duckdb.DuckDBPyConnection, model: Model) -> None:
    """Add the rows of a model made of the records in ``changed``; note unreadable values."""
    if not _notes_unread(model):
        insert(connection, model)
        return
    _gather(connection, model)
    _make_table(connection, "typed_more", model)
    _note_unread(connection, model, "typed_more")
    connection.execute(f"INSERT INTO {model.table} BY NAME {rows_for(model, 'typed_more')}")


def _make_table(connection: duckdb.DuckDBPyConnection, name: str, model: Model) -> None:
    with _records_probe(connection):
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {model.select}")


@contextmanager
def _records_probe(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let a join keep its right side, ids of the parents, in memory, never the payloads.

    DuckDB takes a batch in Arrow for a table without rows and would swap them: typing events took
    half as long again. After an error the transaction takes no statement; what follows its
    rollback is planned like this until the next batch.
    """
    connection.execute("SET disabled_optimizers = 'build_side_probe_side'")
    yield
    connection.execute("RESET disabled_optimizers")


def _gather(connection: duckdb.DuckDBPyConnection, model: Model) -> None:
    """Make the relation ``records`` that the model's SELECT reads."""
    if model.reads != "latest":
        _gather_versions(connection, model.stream, "SELECT record_id FROM changed")
        return
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW records AS SELECT record_id, parent_id, "
        "payload::JSON AS payload, deleted_at FROM changed"
    )


def _gather_versions(connection: duckdb.DuckDBPyConnection, stream: str, ids: str) -> None:
    """Make the relation ``records`` of all versions of some records, given as SQL for a list."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE versions AS SELECT record_id, seq, payload, fetched_at "
        f"FROM raw.records WHERE stream = '{stream}' AND record_id IN ({ids})"
    )
    connection.execute("CREATE OR REPLACE TEMP VIEW records AS FROM versions")


def _check_instants(connection: duckdb.DuckDBPyConnection, model: Model) -> list[UnreadableValue]:
    """Return the records without a readable time of creation; note other unreadable instants.

    A deleted record is only marked: it keeps what it has.
    """
    found: list[UnreadableValue] = []
    for column, key in model.instants:
        missing = f"FROM typed WHERE {column} IS NULL"
        if not exists(connection, missing):
            continue
        unreadable = _unreadable(
            connection,
            f"deleted_at IS NULL AND record_id IN (SELECT {model.replace} {missing}) "
            f"AND json_extract_string(payload, '$.{key}') IS NOT NULL",
            key,
        )
        if key == _SET_ASIDE:
            found += unreadable
        elif unreadable:
            drift.note(connection, model.stream, "value", [(key, unreadable[0].record_id)])
    return found


def _unreadable(
    connection: duckdb.DuckDBPyConnection, condition: str, key: str
) -> list[UnreadableValue]:
    rows = connection.execute(
        f"SELECT record_id, parent_id, payload::VARCHAR FROM changed WHERE {condition}"
    ).fetchall()
    return [UnreadableValue(record, parent, payload, key) for record, parent, payload in rows]


def _notes_unread(model: Model) -> bool:
    return f"AS {_UNREAD}" in model.sql


def rows_for(model: Model, relation: str) -> str:
    """Return SQL for the rows of a typed relation that go into the model's table."""
    columns = f"SELECT * EXCLUDE ({_UNREAD}) " if _notes_unread(model) else ""
    return f"{columns}FROM {relation}"


def _note_unread(connection: duckdb.DuckDBPyConnection, model: Model, relation: str) -> None:
    """Note the keys whose values could not be read and are NULL."""
    unread = f"FROM {relation} WHERE {_UNREAD} <> ''"
    if not _notes_unread(model) or not exists(connection, unread):
        return
    keys = connection.execute(
        f"SELECT key, min({model.replace}) FROM (SELECT {model.replace}, "
        f"unnest(string_split({_UNREAD}, ',')) AS key {unread}) GROUP BY key ORDER BY key"
    ).fetchall()
    drift.note(connection, model.stream, "value", keys)


# --- a note that several contacts hold, as after a merge of contacts: one row, of the smallest id.
# The other holders' rows wait in ``ops.shared_notes``, nearly always empty, and take the place when
# that contact loses the note or is deleted. So the rows follow from what the contacts hold now, in
# whatever order it came, and equal a rebuild.

NOTES = "core.contact_notes"
_WAITING = "FROM ops.shared_notes"
_COLUMNS = "note_id, contact_id, text, creator_name, creator_id, created_at, deleted_at"


def _share_notes_out(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep one row of each note, after the notes of the contacts in ``changed`` were written."""
    if exists(connection, _WAITING):
        connection.execute(
            "DELETE FROM ops.shared_notes WHERE contact_id IN (SELECT record_id FROM changed)"
        )
    new = f"SELECT note_id FROM {NOTES} WHERE contact_id IN (SELECT record_id FROM changed)"
    _keep_one_each(connection, f"WHERE note_id IN ({new})")


def share_all_notes_out(connection: duckdb.DuckDBPyConnection) -> None:
    """Keep one row of each note, after a rebuild wrote them all."""
    if exists(connection, _WAITING):
        connection.execute("DELETE FROM ops.shared_notes")
    _keep_one_each(connection, "")


def _keep_one_each(connection: duckdb.DuckDBPyConnection, candidates: str) -> None:
    several = f"SELECT note_id FROM {NOTES} {candidates} GROUP BY note_id HAVING count(*) > 1"
    if not exists(connection, _WAITING) and not exists(connection, f"FROM ({several})"):
        return
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE held_notes AS SELECT {_COLUMNS}, "
        "row_number() OVER (PARTITION BY note_id ORDER BY contact_id) AS rank FROM ("
        f"SELECT {_COLUMNS} FROM {NOTES} WHERE note_id IN ({several} "
        f"UNION SELECT note_id {_WAITING}) UNION ALL SELECT {_COLUMNS} {_WAITING})"
    )
    connection.execute(f"DELETE FROM {NOTES} WHERE note_id IN (SELECT note_id FROM held_notes)")
    connection.execute("DELETE FROM ops.shared_notes")
    for table, rank in ((NOTES, "rank = 1"), ("ops.shared_notes", "rank > 1")):
        connection.execute(
            f"INSERT INTO {table} BY NAME SELECT {_COLUMNS} FROM held_notes WHERE {rank}"
        )


# --- ids that an event copies from its conversation, which follow it when it moves: to another
# channel, or to the contact that its own was merged into. Its events are not sent again for that.

_PARENT, _CHILD = "conversations", "timelines"


def find_moved(connection: duckdb.DuckDBPyConnection, stream: str) -> bool:
    """Compare ``typed`` with the rows that it will replace; return whether any record moved.

    A conversation that is stored after events of its own, as when it had been set aside, counts as
    moved where they name another contact or channel.
    """
    if stream != _PARENT:
        return False
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE moved AS "
        "SELECT t.conversation_id, t.contact_id, "
        "t.contact_id IS DISTINCT FROM c.contact_id AS is_merged "
        "FROM typed t JOIN core.conversations c USING (conversation_id) "
        "WHERE t.contact_id IS DISTINCT FROM c.contact_id "
        "OR t.channel_id IS DISTINCT FROM c.channel_id"
    )
    if exists(connection, "FROM core.timeline_events"):  # not so when a first sync begins
        connection.execute(
            "INSERT INTO moved SELECT DISTINCT t.conversation_id, t.contact_id, false "
            "FROM typed t JOIN core.timeline_events e USING (conversation_id) "
            "WHERE t.conversation_id NOT IN (SELECT conversation_id FROM core.conversations) "
            "AND (e.contact_id IS DISTINCT FROM coalesce(t.contact_id, e.contact_id) "
            "OR e.channel_id IS DISTINCT FROM coalesce(t.channel_id, e.channel_id))"
        )
    return exists(connection, "FROM moved")


def follow(connection: duckdb.DuckDBPyConnection) -> None:
    """Type the events of ``moved`` again, the conversations' new rows being stored.

    The contact that took a conversation over may have taken the other's history, too: its list is
    read again.
    """
    connection.execute(_FOLLOWING)
    connection.execute("CREATE OR REPLACE TEMP VIEW changed AS FROM following")
    type_records(connection, _CHILD)
    retype(connection, _CHILD)
    invalidation.mark_records(connection, _CHILD, "following")
    connection.execute(
        "INSERT INTO ops.hints BY NAME SELECT DISTINCT 'contact_history' AS stream, "
        "contact_id AS parent_id, now() AS hinted_at, true AS whole "
        "FROM moved WHERE is_merged AND contact_id IS NOT NULL"
    )


_FOLLOWING = f"""
    CREATE OR REPLACE TEMP TABLE following AS
    SELECT
        record_id,
        max_by(parent_id, seq) AS parent_id,
        max_by(payload, seq) FILTER (WHERE op = 'upsert') AS payload,
        true AS was_known,
        CASE WHEN max_by(op, seq) = 'tombstone' THEN max_by(fetched_at, seq) END AS deleted_at
    FROM raw.records
    WHERE stream = '{_CHILD}' AND record_id IN (
        SELECT event_id FROM core.timeline_events
        WHERE conversation_id IN (SELECT conversation_id FROM moved)
    )
    GROUP BY record_id
"""
