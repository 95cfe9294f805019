"""What ``hatif query`` runs: one statement that reads the warehouse's tables, and nothing else.

DuckDB's own parser takes the statement apart, so neither comments nor quotes nor ways of writing a
name hide anything. Functions in FROM must be on a list of those that only read the warehouse;
others of DuckDB's read and write files, change settings, or run text as SQL. Beyond that the
connection is shut (`shut`): whatever a statement does, it can reach no file but the lake's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb

from warehouse.errors import QueryRefused
from warehouse.lake.catalog import Catalog
from warehouse.lake.sql import literal

_LAKE_FUNCTIONS = frozenset(
    {
        "snapshots",
        "table_info",
        "table_insertions",
        "table_deletions",
        "table_changes",
        "list_files",
        "options",
        "settings",
        "current_snapshot",
        "last_committed_snapshot",
    }
)
#: Functions that may stand in FROM.
_TABLE_FUNCTIONS = frozenset(
    {
        "range",
        "generate_series",
        "unnest",
        "json_each",
        "json_tree",
        "repeat",
        "repeat_row",
        "duckdb_columns",
        "duckdb_functions",
        "duckdb_keywords",
        "duckdb_schemas",
        "duckdb_tables",
        "duckdb_types",
        "duckdb_views",
        "pragma_table_info",
        "pragma_version",
        "pg_timezone_names",
        "icu_calendar_names",
    }
) | {f"ducklake_{name}" for name in _LAKE_FUNCTIONS}
#: DuckDB's own views that may stand in FROM; others show settings and connection strings.
_SYSTEM_VIEWS = frozenset(
    {"duckdb_columns", "duckdb_schemas", "duckdb_tables", "duckdb_types", "duckdb_views"}
)
_SYSTEM_PREFIXES = ("duckdb_", "pragma_", "pg_")
_SHOWS = frozenset(("tables", "databases", "schemas", "__show_tables_expanded"))
#: Functions with an effect that is none on the lake; of others with effects none is run.
_HARMLESS = frozenset({"random", "uuid", "uuidv4", "uuidv7", "gen_random_uuid", "error"})
#: Functions without an effect that reach what is none of the warehouse's data.
_REACHING = frozenset({"current_setting", "getenv", "getvariable", "current_query", "which_secret"})
_EXPLAIN = re.compile(r"\s*explain\b(\s+analyze\b)?(\s*\(\s*\w+(\s+\w+)?\s*\))?", re.IGNORECASE)
_PIVOT = (
    "PIVOT needs the values that become columns: PIVOT … ON column IN ('a', 'b') USING …; without "
    "them DuckDB has to create a type first, and nothing is created here"
)
_ONLY_READS = (
    "only SQL that reads the warehouse is accepted (SELECT, FROM, DESCRIBE, SHOW, SUMMARIZE, "
    "EXPLAIN)"
)


def checked(connection: duckdb.DuckDBPyConnection, sql: str) -> str:
    """Return the statement to run.

    Raises:
        QueryRefused: it is not one, or does anything but read the warehouse.
        duckdb.Error: DuckDB cannot parse it.
    """
    try:
        sql.encode()
    except UnicodeEncodeError:
        raise QueryRefused("the SQL is not valid UTF-8") from None
    statements = connection.extract_statements(sql)
    if len(statements) > 1 and not any(statement.query for statement in statements):
        raise QueryRefused(_PIVOT)  # of several statements, each made by DuckDB itself
    if len(statements) != 1:
        raise QueryRefused("give exactly one SQL statement")
    kind = statements[0].type
    if kind == duckdb.StatementType.EXPLAIN and (explain := _EXPLAIN.match(sql)):
        # What is run is put together from what was checked.
        return f"{explain[0].strip()} {checked(connection, sql[explain.end() :])}"
    if kind != duckdb.StatementType.SELECT:
        raise QueryRefused(_ONLY_READS)
    found = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    parsed = json.loads(found[0]) if found else {"error": True}
    if parsed["error"]:
        raise QueryRefused(_ONLY_READS)
    _check(connection, list(_nodes(parsed["statements"])))
    return sql


def shut(connection: duckdb.DuckDBPyConnection, catalog: Catalog) -> None:
    """Take from a connection, and all others of its lake, every file but the lake's, for good."""
    lake = literal(f"{catalog.lake_path.rstrip('/')}/")
    connection.execute(f"SET allowed_directories = [{lake}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _check(connection: duckdb.DuckDBPyConnection, nodes: list[dict[str, Any]]) -> None:
    in_from = [id(node["function"]) for node in nodes if node.get("type") == "TABLE_FUNCTION"]
    called = set()
    for node in nodes:
        if "function_name" in node:
            name = str(node["function_name"]).lower()
            if id(node) not in in_from:
                called.add(name)
            elif not _may_stand_in_from(node, name):
                raise QueryRefused(f"{name}(…) is not accepted: {_ONLY_READS}")
        elif node.get("type") == "BASE_TABLE":
            _check_table(node)
        elif node.get("type") == "SHOW_REF" and node.get("query") is None:
            _check_shown(node)
    _check_called(connection, called - _HARMLESS)


def _may_stand_in_from(node: dict[str, Any], name: str) -> bool:
    owner = (str(node.get("catalog", "")).lower(), str(node.get("schema", "")).lower())
    if "wh" in owner:
        return name in _LAKE_FUNCTIONS
    return name in _TABLE_FUNCTIONS


def _check_table(node: dict[str, Any]) -> None:
    place = [str(node.get(key, "")).lower() for key in ("catalog_name", "schema_name")]
    name = str(node["table_name"]).lower()
    if any(part.startswith("__ducklake_metadata") for part in place) or "pg_catalog" in place:
        raise QueryRefused(f"the tables of {'.'.join(filter(None, place))} are not accepted")
    if "/" in name or "\\" in name:
        raise QueryRefused("files are not accepted: name a table")
    if name.startswith(_SYSTEM_PREFIXES) and name not in _SYSTEM_VIEWS:
        raise QueryRefused(f"{name} is not accepted: {_ONLY_READS}")


def _check_shown(node: dict[str, Any]) -> None:
    """SHOW and DESCRIBE of a name: tables of ours, or lists of names."""
    name = str(node.get("table_name", "")).strip('"').lower()
    if str(node.get("show_type")) == "SHOW_UNQUALIFIED" and name not in _SHOWS:
        raise QueryRefused(f"SHOW {name} is not accepted: {_ONLY_READS}")
    _check_table(node)


def _check_called(connection: duckdb.DuckDBPyConnection, names: set[str]) -> None:
    reaching = names & _REACHING
    if names and not reaching:
        listed = ", ".join(literal(name) for name in sorted(names))
        reaching = {
            name
            for (name,) in connection.execute(
                "SELECT function_name FROM duckdb_functions() WHERE has_side_effects AND "
                f"function_name IN ({listed})"
            ).fetchall()
        }
    if reaching:
        raise QueryRefused(f"{min(reaching)}(…) is not accepted: {_ONLY_READS}")


def _nodes(tree: object) -> Iterator[dict[str, Any]]:
    """Yield every node of a parsed statement; the tree can be deeper than Python's stack."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
