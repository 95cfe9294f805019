"""Events of another workspace, and events with values that cannot be read, in the lake."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import duckdb
import pytest

from hatif.webhooks.signatures import Secrets
from hatif.webhooks.validate import Delivery, validate_unit
from hatif.wire import Spelling
from tests.comparison import stored
from tests.warehouse.webhooks.conftest import AT, CHANNEL, Home, line, message
from warehouse.lake.connection import Lake
from warehouse.lake.schema import open_lake
from warehouse.lake.sql import home_values, keep_home_values
from warehouse.merge.messages import merge
from warehouse.records import workspace
from warehouse.replay import replay
from warehouse.webhooks import foreign
from warehouse.webhooks.batch import WebhookBatch, store

OURS = "3a1f0000-0000-0000-0000-00000000aaaa"
NOW = datetime(2026, 11, 1, tzinfo=UTC)
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


def test_a_workspace_is_known_in_any_form_of_its_id(home: Home) -> None:
    _bind(home)
    forms = ["{%s}", "(%s)", " %s "]
    ours = [form % OURS.upper() for form in forms] + [OURS.replace("-", "")]
    others = [form % OTHERS for form in forms] + [OTHERS.replace("-", "").upper()]
    lines = [line(n, workspaceId=named) for n, named in enumerate(ours + others)]
    home.write("a.ndjson", b"\n".join(lines))
    assert (home.ingest().new, len(home.rejects())) == (len(ours), len(others))


def _merged(home: Home) -> list[list[dict[str, Any]]]:
    """Merge, and return all that webhooks make; without numbers that only give an order."""
    with open_lake(home.settings) as lake:
        merge(lake)
        assert merge(lake).messages == 0
    return [
        stored(home.settings, f"SELECT * EXCLUDE (seq) FROM {table} ORDER BY delivery_id")
        for table in ("raw.webhook_events", "core.message_statuses", "core.call_statuses")
    ] + [
        stored(home.settings, f"FROM {table} ORDER BY ALL")
        for table in ("core.messages", "core.calls")
    ]


def _of_two_workspaces() -> bytes:
    call = {"callId": OTHERS, "channelId": CHANNEL, "status": 1, "creationTime": AT}
    events = [
        message(1, workspaceId=OURS),
        message(2, workspaceId=OTHERS),
        message(3, workspaceId=OTHERS.replace("-", "").upper(), conversationId=None),
        {"data": message(4, workspaceId="{" + OTHERS + "}"), "eventType": "x"},
        message(5, workspaceId=None),
        call | {"workspaceId": OTHERS},
        call | {"workspaceId": OURS, "callId": OURS},
    ]
    return b"\n".join(json.dumps(event).encode() for event in events)


def test_what_came_before_the_home_was_bound_ends_as_if_it_had_been(
    home: Home, tmp_path: Path
) -> None:
    bound = Home(tmp_path / "bound", home.directory)
    _bind(bound)
    home.write("a.ndjson", _of_two_workspaces())
    assert home.ingest().new == 7
    assert len(_merged(home)[3]) == 5
    _bind(home)
    with open_lake(home.settings) as lake:  # a run that reads no files ends so, too
        merge(lake)
    bound.ingest()
    assert _merged(home) == _merged(bound)
    assert _rejected(home) == _rejected(bound) == ["foreign_workspace"] * 4
    assert (home.ingest().rejected, _rejected(home)) == (0, ["foreign_workspace"] * 4)
    with open_lake(home.settings) as lake:
        assert replay(lake, Secrets(""), Spelling(())).left == 4


def _rejected(home: Home) -> list[str]:
    return [row["reason"] for row in home.rejects() if row["replayed_at"] is None]


def test_what_was_set_aside_before_the_workspace_had_a_second_id_comes_back(home: Home) -> None:
    _bind(home)
    home.write("a.ndjson", _of_two_workspaces())
    home.ingest()
    assert len(_rejected(home)) == 4

    def work(connection: duckdb.DuckDBPyConnection) -> None:
        keep_home_values(connection, {"workspace_id": OTHERS})

    with open_lake(home.settings) as lake:
        lake.write("bind", work)
    assert (home.ingest().new, _rejected(home), len(home.events())) == (4, [], 7)


def _set_aside(lake: Lake) -> int:
    with lake.reading() as connection:
        values = home_values(connection)
    return foreign.set_aside(lake, values)


def test_deliveries_stored_while_the_home_is_being_bound_are_compared_again(home: Home) -> None:
    home.write("a.ndjson", _of_two_workspaces())
    with open_lake(home.settings) as lake:
        # A run that began before the home was bound stores when the comparison is over.
        late = WebhookBatch()
        late.deliveries.append(
            cast(Delivery, validate_unit(line(9, workspaceId=OTHERS), Secrets(""), NOW))
        )
        _bind(home)
        assert _set_aside(lake) == 0
        store(lake, late)
        assert _set_aside(lake) == 1
        assert _set_aside(lake) == 0


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
