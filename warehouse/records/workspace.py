"""A home belongs to one workspace: the one that its records name. Another's are rejected.

Credentials of another workspace answer 404 for every record that is stored, which would look like
everything having been deleted. A few foreign rows among ours are no other workspace: they are set
aside. What counts is all that a run has met, since the last rows of a list, or a record that is
replayed, come alone. The empty GUID names no workspace.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from hatif.errors import HomeError
from hatif.streams import Stream
from hatif.wire import Reject
from warehouse.lake.sql import home_value, keep_home_values

# The service names a client after its workspace: the workspace's id, _API_, some hex digits.
_CLIENT = re.compile(r"([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})_API_", re.IGNORECASE)
#: The key of ``ops.home`` for the ids, joined by commas, that all stored deliveries were compared
#: with.
COMPARED = "webhook_workspaces"
_EMPTY = "00000000-0000-0000-0000-000000000000"
_NAMED = (
    "CASE WHEN json_valid(payload::VARCHAR) "
    "THEN lower(json_extract_string(payload, '$.workspaceId')) END"
)
#: Rows of ``batch`` that may name a workspace.
_NAMING = "FROM batch WHERE contains(payload, '\"workspaceId\"')"


def bind_client(connection: duckdb.DuckDBPyConnection, client_id: str) -> None:
    """Bind the home to the workspace that a client id names, where it names one.

    Raises:
        HomeError: the home is bound to another's.
    """
    if named := _CLIENT.match(client_id):
        workspace_id = named[1].lower()
        bound = home_value(connection, "client_workspace")
        if bound is None:
            keep_home_values(connection, {"client_workspace": workspace_id})
        elif bound != workspace_id:
            raise _another("these credentials")


def known_ids(values: Mapping[str, str]) -> frozenset[str]:
    """Return the ids that the home's workspace is known by, in lower case; empty while unbound.

    Args:
        values: those of ``ops.home``.
    """
    return frozenset(
        values[key].lower() for key in ("client_workspace", "workspace_id") if key in values
    )


@dataclass(frozen=True, slots=True)
class ByWorkspace:
    """Records by the workspace that they name.

    Attributes:
        contents: those of this home's workspace or of none.
        foreign: those of another, as rejects.
        ours: how many of `contents` name this home's workspace.
    """

    contents: pa.Table
    foreign: Sequence[Reject]
    ours: int


def set_foreign_aside(
    connection: duckdb.DuckDBPyConnection,
    stream: Stream,
    contents: pa.Table,
    ours_before: int | None,
) -> ByWorkspace:
    """Bind the home to the workspace that most records name; split off those of another.

    Args:
        connection: inside a transaction.
        stream: whose records they are.
        contents: with columns record_id and payload.
        ours_before: how many records the run has met that name this home's workspace; None where
            the records are too few to show whose the credentials are: then no home is bound,
            and none rejected.

    Raises:
        HomeError: most are of another workspace.
    """
    connection.register("batch", contents)
    try:
        counted = connection.execute(
            f"SELECT {_NAMED} AS id, count(*) {_NAMING} GROUP BY ALL"
        ).fetchall()
        named = {id_: rows for id_, rows in counted if id_ and len(id_) == 36 and id_ != _EMPTY}
        home = _workspace_of(connection, named, may_bind=ours_before is not None)
        ours = named.get(home or "", 0)
        others = sum(named.values()) - ours
        if home is None or not others:
            return ByWorkspace(contents, [], ours)
        if ours_before is not None and others > ours + ours_before:
            raise _another("these records")
        foreign = connection.execute(
            f"SELECT record_id, payload::VARCHAR {_NAMING} AND list_contains($others, {_NAMED})",
            {"others": [one for one in named if one != home]},
        ).fetchall()
    finally:
        connection.unregister("batch")
    ids = pa.array([record_id for record_id, _ in foreign])
    kept = contents.filter(pa.compute.invert(pa.compute.is_in(contents["record_id"], ids)))
    rejects = [
        Reject(stream.name, "foreign_workspace", payload, stream.path) for _, payload in foreign
    ]
    return ByWorkspace(kept, rejects, ours)


def _workspace_of(
    connection: duckdb.DuckDBPyConnection, named: Mapping[str, int], *, may_bind: bool
) -> str | None:
    """The home's workspace, which is bound now where more than half of the records name it.

    The client id names a workspace, too, but only the records prove that these ids are the same.
    """
    if not named:
        return None
    bound = home_value(connection, "workspace_id")
    if bound is not None or not may_bind:
        return bound
    client = home_value(connection, "client_workspace")
    most = (
        client
        if client is not None and client in named
        else max(named, key=lambda one: (named[one], one))
    )
    if 2 * named[most] <= sum(named.values()):
        return None
    keep_home_values(connection, {"workspace_id": most})
    return most


def _another(what: str) -> HomeError:
    return HomeError(
        f"{what} are of another workspace than this home's. Use one HATIF_HOME for each "
        "workspace; nothing was stored"
    )
