"""Events of another workspace, and events with values that cannot be read, in the lake."""

from __future__ import annotations

import json

import duckdb
import pytest

from tests.comparison import stored
from tests.warehouse.webhooks.conftest import Home, line
from warehouse.lake.schema import open_lake
from warehouse.records import workspace

OURS = "3a1f0000-0000-0000-0000-00000000aaaa"
OTHERS = "3a1f0000-0000-0000-0000-00000000bbbb"


def _bind(home: Home) -> None:
    def work(connection: duckdb.DuckDBPyConnection) -> None:
        workspace.bind_client(connection, f"{OURS.upper()}_API_0f")

    with open_lake(home.settings) as lake:
        lake.write("bind", work)


def test_an_event_of_another_workspace_is_set_aside_and_its_neighbours_are_not(home: Home) -> None:
    _bind(home)
    named = [
        OURS,
        OTHERS,
        OURS.upper(),
        f" {OURS}",
        "",
        None,
        "w",
        "0" * 8 + "-0000-0000-0000-" + "0" * 12,
    ]
    home.write("a.ndjson", b"\n".join(line(n, workspaceId=w) for n, w in enumerate(named)) + b"\n")

    done = home.ingest()

    assert (done.new, done.rejected) == (len(named) - 1, 1)
    (reject,) = home.rejects()
    assert (reject["reason"], reject["location"]) == ("foreign_workspace", "a.ndjson:2")
    assert json.loads(reject["raw"])["workspaceId"] == OTHERS


def test_a_home_that_knows_no_workspace_yet_takes_all(home: Home) -> None:
    home.write("a.ndjson", line(1, workspaceId=OURS) + b"\n" + line(2, workspaceId=OTHERS) + b"\n")
    assert home.ingest().new == 2


def test_a_value_that_cannot_be_read_is_noted_once_with_its_first_example(home: Home) -> None:
    for name in ("a.ndjson", "b.ndjson"):
        first = 0 if name == "a.ndjson" else 10
        odd = [line(first + 1, isBillable="maybe"), line(first + 2, errorCode=["131047"])]
        home.write(name, b"\n".join([line(first), *odd, line(first + 3, errorCode=131047.0)]))
        assert home.ingest().new == 4
    drift = stored(home.settings, "SELECT stream, kind, what FROM ops.drift ORDER BY what")
    assert drift == [
        {"stream": "webhook_events", "kind": "bad_value", "what": key}
        for key in ("errorCode", "isBillable")
    ]
    assert home.rejects() == []


@pytest.mark.parametrize("wrapper", ["payload", "event"])
def test_messages_in_an_unknown_wrapper_are_stored_and_hint_at_their_conversation(
    home: Home, wrapper: str
) -> None:
    bodies = [
        json.dumps({"eventType": "x", "id": f"evt_{n}", wrapper: json.loads(line(n))}).encode()
        for n in range(5)
    ]
    home.write("a.ndjson", b"\n".join(bodies))
    assert home.ingest().new == 5
    kinds = stored(home.settings, "SELECT kind, count(*) AS n FROM raw.webhook_events GROUP BY ALL")
    assert kinds == [{"kind": "message", "n": 5}]
    hints = stored(home.settings, "SELECT parent_id FROM ops.hints")
    assert hints == [{"parent_id": json.loads(line(0))["conversationId"]}]
