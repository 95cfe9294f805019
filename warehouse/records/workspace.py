"""A home belongs to one workspace: the first it sees. Another's records or credentials are refused.

Credentials of another workspace answer 404 for every record that is stored, which would look like
everything having been deleted.
"""

from __future__ import annotations

import re

import duckdb

from hatif.errors import HomeError

# The service names a client after its workspace: the workspace's id, _API_, some hex digits.
_CLIENT = re.compile(r"([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})_API_", re.IGNORECASE)


def bind_client(connection: duckdb.DuckDBPyConnection, client_id: str) -> None:
    """Bind the home to the workspace that a client id names, where it names one.

    Raises:
        HomeError: the home is bound to another's.
    """
    if named := _CLIENT.match(client_id):
        _bind(connection, "client_workspace", named[1].lower(), "these credentials")


def bind_batch(connection: duckdb.DuckDBPyConnection) -> None:
    """Bind the home to the workspace id in the records of the relation ``batch``.

    Raises:
        HomeError: they name another, or several.
    """
    rows = connection.execute(
        "SELECT DISTINCT lower(json_extract_string(payload, '$.workspaceId')) AS id FROM batch "
        "WHERE contains(payload, '\"workspaceId\"') AND length(id) = 36"
    ).fetchall()
    for (workspace_id,) in rows:
        _bind(connection, "workspace_id", workspace_id, "these records")


def known_ids(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Return the ids that the home's workspace is known by, in lower case; empty while unbound."""
    rows = connection.execute(
        "SELECT lower(value) FROM ops.home WHERE key IN ('client_workspace', 'workspace_id') "
        "AND value IS NOT NULL"
    ).fetchall()
    return frozenset(value for (value,) in rows)


def _bind(connection: duckdb.DuckDBPyConnection, key: str, value: str, what: str) -> None:
    bound = connection.execute("SELECT value FROM ops.home WHERE key = ?", [key]).fetchone()
    if bound is None:
        connection.execute("INSERT INTO ops.home VALUES (?, ?)", [key, value])
    elif bound[0] != value:
        raise HomeError(
            f"{what} are of another workspace than this home's. Use one HATIF_HOME for each "
            "workspace; nothing was stored"
        )
