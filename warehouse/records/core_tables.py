"""How core tables follow raw records: the same SQL for a batch, a deletion or a rebuild."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from warehouse.lake.sql import exists
from warehouse.models.model import Model, main_model, models_of


@dataclass(frozen=True, slots=True)
class UnreadableValue:
    """A record with a value that is not of its kind, named by the service's key."""

    record_id: str
    parent_id: str | None
    payload: str
    key: str


def type_records(connection: duckdb.DuckDBPyConnection, stream: str) -> list[UnreadableValue]:
    """Type the records in ``changed`` into the temporary table ``typed``, a row each.

    Records that cannot be understood leave both and are returned.
    """
    model = main_model(stream)
    if model.reads == "versions":
        # Typed later, in a way that passes over what is no JSON; this cast does not.
        connection.execute("SELECT count(payload::VARCHAR::JSON) FROM changed").fetchone()
        return []
    _gather(connection, model)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE typed AS {model.select}")
    found: list[UnreadableValue] = []
    for column, key in model.instants:
        missing = f"FROM typed WHERE {column} IS NULL"
        if not exists(connection, missing):
            continue
        rows = connection.execute(
            "SELECT record_id, parent_id, payload FROM changed "
            f"WHERE record_id IN (SELECT {model.replace} {missing}) "
            f"AND json_extract_string(payload, '$.{key}') IS NOT NULL"
        ).fetchall()
        found += [UnreadableValue(record, parent, payload, key) for record, parent, payload in rows]
    if found:
        bad = [misread.record_id for misread in found]
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE sound AS "
            "SELECT * FROM changed WHERE NOT list_contains(?, record_id)",
            [bad],
        )
        connection.execute("CREATE OR REPLACE TEMP VIEW changed AS FROM sound")
        connection.execute(f"DELETE FROM typed WHERE list_contains(?, {model.replace})", [bad])
    return found


def retype(connection: duckdb.DuckDBPyConnection, stream: str, *, any_known: bool = True) -> None:
    """Bring every core table made of this stream up to the records in ``changed``.

    The temporary view ``changed`` holds record_id, parent_id, payload, deleted_at and
    was_known; of a deleted record, its last payload. `type_records` has been called.

    Args:
        connection: inside a transaction.
        stream: whose records they are.
        any_known: whether any of them was stored before.
    """
    for model in models_of(stream):
        if model.is_view:
            continue
        if any_known:
            connection.execute(
                f"DELETE FROM {model.table} WHERE {model.replace} IN "
                "(SELECT record_id FROM changed WHERE was_known)"
            )
        if model == main_model(stream) and model.reads == "latest":
            connection.execute(f"INSERT INTO {model.table} BY NAME FROM typed")
        else:
            insert(connection, model)


def insert(connection: duckdb.DuckDBPyConnection, model: Model) -> None:
    """Add the rows of a model made of the records in ``changed``."""
    _gather(connection, model)
    connection.execute(f"INSERT INTO {model.table} BY NAME {model.select}")


def _gather(connection: duckdb.DuckDBPyConnection, model: Model) -> None:
    """Make the relation ``records`` that the model's SELECT reads."""
    if model.reads == "versions":
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE versions AS SELECT record_id, seq, payload, fetched_at "
            "FROM raw.records WHERE stream = ? AND record_id IN (SELECT record_id FROM changed)",
            [model.stream],
        )
        connection.execute("CREATE OR REPLACE TEMP VIEW records AS FROM versions")
        return
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW records AS SELECT record_id, parent_id, "
        "payload::JSON AS payload, deleted_at FROM changed"
    )
