"""How core tables follow raw records: the same SQL for a batch, a deletion or a rebuild."""

from __future__ import annotations

import duckdb

from warehouse.models import Model, models_of


def retype(connection: duckdb.DuckDBPyConnection, stream: str) -> None:
    """Bring every core table made of this stream up to the records in ``changed``.

    The temporary table ``changed`` holds record_id, parent_id, payload, deleted_at and was_known;
    of a deleted record, its last payload.
    """
    for model in models_of(stream):
        scope = "SELECT record_id FROM changed WHERE was_known"
        if model.reads == "latest":
            connection.execute(
                "CREATE OR REPLACE TEMP VIEW records AS SELECT record_id, parent_id, "
                "payload::JSON AS payload, deleted_at FROM changed"
            )
        elif model.reads == "versions":
            _gather_versions(connection, stream)
        else:
            scope = "SELECT DISTINCT parent_id FROM changed"
            connection.execute(
                f"CREATE OR REPLACE TEMP VIEW records AS FROM {model.reads} "
                f"WHERE {model.replace} IN ({scope})"
            )
        replace(connection, model, scope)


def replace(connection: duckdb.DuckDBPyConnection, model: Model, scope: str) -> None:
    """Replace the rows of a table whose `model.replace` is in `scope`, a SELECT.

    The temporary relation ``records`` must hold all that the new rows are made of.
    """
    some = connection.execute(f"SELECT 1 FROM ({scope}) LIMIT 1").fetchone()
    if some is not None:
        connection.execute(f"DELETE FROM {model.table} WHERE {model.replace} IN ({scope})")
    connection.execute(f"INSERT INTO {model.table} BY NAME {model.select}")


def _gather_versions(connection: duckdb.DuckDBPyConnection, stream: str) -> None:
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE all_versions AS SELECT record_id, payload, fetched_at "
        "FROM raw.records WHERE stream = ? AND record_id IN (SELECT record_id FROM changed)",
        [stream],
    )
    connection.execute("CREATE OR REPLACE TEMP VIEW records AS FROM all_versions")


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
