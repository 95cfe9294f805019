"""How core tables follow raw records: the same SQL for a batch, a deletion or a rebuild."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from warehouse.models import Model, models_of


@dataclass(frozen=True, slots=True)
class Misread:
    """A record with a value that is not of its kind, named by the service's key."""

    record_id: str
    parent_id: str | None
    payload: str
    key: str


def type_records(connection: duckdb.DuckDBPyConnection, stream: str) -> list[Misread]:
    """Type the records in ``changed`` into the temporary table ``typed``, a row each.

    Records that cannot be understood leave both tables and are returned.
    """
    model = _main(stream)
    if model.reads == "versions":
        return []
    _gather(connection, model)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE typed AS {model.select}")
    found: list[Misread] = []
    for column, key in model.instants:
        rows = connection.execute(
            "SELECT record_id, parent_id, payload FROM changed WHERE record_id IN "
            f"(SELECT {model.replace} FROM typed WHERE {column} IS NULL) "
            f"AND json_extract_string(payload, '$.{key}') IS NOT NULL"
        ).fetchall()
        found += [Misread(record, parent, payload, key) for record, parent, payload in rows]
    if found:
        bad = [misread.record_id for misread in found]
        connection.execute("DELETE FROM changed WHERE list_contains(?, record_id)", [bad])
        connection.execute(f"DELETE FROM typed WHERE list_contains(?, {model.replace})", [bad])
    return found


def retype(
    connection: duckdb.DuckDBPyConnection,
    stream: str,
    *,
    any_known: bool = True,
    old_parents: Collection[str] | None = None,
) -> None:
    """Bring every core table made of this stream up to the records in ``changed``.

    The temporary table ``changed`` holds record_id, parent_id, payload, deleted_at and was_known;
    of a deleted record, its last payload. `type_records` has been called.

    Args:
        connection: inside a transaction.
        stream: whose records they are.
        any_known: whether any of them was stored before.
        old_parents: those of their parents that had records stored before; None = maybe all.
    """
    for model in models_of(stream):
        if "." in model.reads:
            _remake(connection, model, old_parents)
            continue
        if any_known:
            _delete(connection, model, "SELECT record_id FROM changed WHERE was_known")
        if model == _main(stream) and model.reads == "latest":
            connection.execute(f"INSERT INTO {model.table} BY NAME FROM typed")
        else:
            _gather(connection, model)
            connection.execute(f"INSERT INTO {model.table} BY NAME {model.select}")


def _remake(
    connection: duckdb.DuckDBPyConnection, model: Model, old_parents: Collection[str] | None
) -> None:
    """Make the rows of a table that is made of another table's, for the parents concerned."""
    if old_parents is not None and not old_parents:
        connection.execute("CREATE OR REPLACE TEMP VIEW records AS FROM typed")
    else:
        _note_old_parents(connection, old_parents)
        key = key_of(model.stream)
        connection.execute(
            "CREATE OR REPLACE TEMP VIEW records AS FROM typed UNION ALL BY NAME "
            f"SELECT * FROM {model.reads} WHERE {model.replace} IN (FROM old_parents) "
            f"AND {key} NOT IN (SELECT {key} FROM typed)"
        )
        _delete(connection, model, "FROM old_parents")
    connection.execute(f"INSERT INTO {model.table} BY NAME {model.select}")


def _note_old_parents(
    connection: duckdb.DuckDBPyConnection, old_parents: Collection[str] | None
) -> None:
    if old_parents is None:
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE old_parents AS SELECT DISTINCT parent_id FROM changed"
        )
        return
    found = pa.table({"parent_id": pa.array(list(old_parents), pa.string())})
    connection.register("found", found)
    connection.execute("CREATE OR REPLACE TEMP TABLE old_parents AS FROM found")
    connection.unregister("found")


def _delete(connection: duckdb.DuckDBPyConnection, model: Model, scope: str) -> None:
    connection.execute(f"DELETE FROM {model.table} WHERE {model.replace} IN ({scope})")


def _gather(connection: duckdb.DuckDBPyConnection, model: Model) -> None:
    """Make the relation ``records`` that the model's SELECT reads."""
    if model.reads == "versions":
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE versions AS SELECT record_id, payload, fetched_at "
            "FROM raw.records WHERE stream = ? AND record_id IN (SELECT record_id FROM changed)",
            [model.stream],
        )
        connection.execute("CREATE OR REPLACE TEMP VIEW records AS FROM versions")
        return
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW records AS SELECT record_id, parent_id, "
        "payload::JSON AS payload, deleted_at FROM changed"
    )


def table_of(stream: str) -> str:
    """Return the core table that has one row for each record of a stream."""
    return _main(stream).table


def key_of(stream: str) -> str:
    """Return that table's key."""
    return _main(stream).replace


def _main(stream: str) -> Model:
    for model in models_of(stream):
        if model.grain == (model.replace,) or model.reads == "versions":
            return model
    raise KeyError(stream)
