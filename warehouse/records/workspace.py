"""A home belongs to one workspace: the one that its records name. Another's are refused.

Credentials of another workspace answer 404 for every record that is stored, which would look like
everything having been deleted. A few strange rows among ours are no other workspace: they are set
aside. The empty GUID names none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import duckdb
import pyarrow as pa

from hatif.errors import HomeError
from hatif.streams import Stream
from hatif.wire import Reject
from warehouse.lake import home_values

# The service names a client after its workspace: the workspace's id, _API_, some hex digits.
_CLIENT = re.compile(r"([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})_API_", re.IGNORECASE)
_EMPTY = "00000000-0000-0000-0000-000000000000"
_NAMED = "lower(json_extract_string(payload, '$.workspaceId'))"
#: Rows of ``batch`` that name a workspace.
_NAMING = (
    f"FROM batch WHERE contains(payload, '\"workspaceId\"') AND length({_NAMED}) = 36 "
    f"AND {_NAMED} <> '{_EMPTY}'"
)


def bind_client(connection: duckdb.DuckDBPyConnection, client_id: str) -> None:
    """Bind the home to the workspace that a client id names, where it names one.

    Raises:
        HomeError: the home is bound to another's.
    """
    if named := _CLIENT.match(client_id):
        workspace_id = named[1].lower()
        bound = home_values.read(connection, "client_workspace")
        if bound is None:
            home_values.keep(connection, {"client_workspace": workspace_id})
        elif bound != workspace_id:
            raise _another("these credentials")


def known_ids(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Return the ids that the home's workspace is known by, in lower case; empty while unbound."""
    kept = (home_values.read(connection, key) for key in ("client_workspace", "workspace_id"))
    return frozenset(value.lower() for value in kept if value is not None)


def set_foreign_aside(
    connection: duckdb.DuckDBPyConnection, stream: Stream, contents: pa.Table
) -> tuple[pa.Table, list[Reject]]:
    """Bind the home to the workspace that most records name; split off those of another.

    Args:
        connection: inside a transaction; the relation ``batch`` is `contents`.
        stream: whose records they are.
        contents: with columns record_id and payload.

    Returns:
        The records of this home's workspace or of none, and the others as rejects.

    Raises:
        HomeError: most are of another workspace.
    """
    named = dict(
        connection.execute(f"SELECT {_NAMED} AS id, count(*) {_NAMING} GROUP BY ALL").fetchall()
    )
    if not named:
        return contents, []
    ours = _ours(connection, named)
    if ours is None or set(named) == {ours}:
        return contents, []
    if 2 * named.get(ours, 0) < sum(named.values()):
        raise _another("these records")
    foreign = connection.execute(
        f"SELECT record_id, payload::VARCHAR {_NAMING} AND {_NAMED} <> $ours", {"ours": ours}
    ).fetchall()
    strange = pa.array([record_id for record_id, _ in foreign])
    kept = contents.filter(pa.compute.invert(pa.compute.is_in(contents["record_id"], strange)))
    return kept, [
        Reject(stream.name, "foreign_workspace", payload, stream.path) for _, payload in foreign
    ]


def _ours(connection: duckdb.DuckDBPyConnection, named: Mapping[str, int]) -> str | None:
    """The home's workspace, which is bound now where more than half of the records name it.

    The client id names a workspace, too, but only the records prove that these ids are the same.
    """
    bound = home_values.read(connection, "workspace_id")
    if bound is not None:
        return bound
    client = home_values.read(connection, "client_workspace")
    most = (
        client
        if client is not None and client in named
        else max(named, key=lambda one: (named[one], one))
    )
    if 2 * named[most] <= sum(named.values()):
        return None
    home_values.keep(connection, {"workspace_id": most})
    return most


def _another(what: str) -> HomeError:
    return HomeError(
        f"{what} are of another workspace than this home's. Use one HATIF_HOME for each "
        "workspace; nothing was stored"
    )
