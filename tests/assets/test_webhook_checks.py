"""Checks of webhooks and of what is merged from them: what cannot be read, or has no time."""

from __future__ import annotations

import json
from typing import Any, cast

import dagster as dg

from assets.merged import merged_checks
from assets.webhooks import webhook_checks
from tests.comparison import stored
from tests.warehouse.webhooks.conftest import AT, CHANNEL, TALK, Home, line
from tests.warehouse.webhooks.conftest import home as home
from warehouse.lake.schema import open_lake
from warehouse.merge.messages import merge


def _failed(home: Home) -> dict[str, dict[str, Any]]:
    """Merge, run the checks of webhooks and messages; return numbers of those that failed."""
    with open_lake(home.settings) as lake:
        merge(lake)
        results = [
            *cast(Any, webhook_checks)(lake=lake, settings=home.settings),
            *cast(Any, merged_checks)(lake=lake),
        ]
    assert all(one.passed or one.severity == dg.AssetCheckSeverity.WARN for one in results)
    return {
        one.check_name: {name: value.value for name, value in one.metadata.items()}
        for one in results
        if not one.passed
    }


def test_values_and_codes_never_seen_and_events_without_a_time_are_warned_of(home: Home) -> None:
    home.write("a.ndjson", line(1))
    home.ingest()
    assert _failed(home) == {}
    call = {"callId": TALK, "channelId": CHANNEL, "status": 17, "creationTime": AT}
    lines = [
        line(2, status="Teleported"),
        line(3, direction=["Outbound"]),
        line(4, creationTime=None),
        json.dumps(call).encode(),
        json.dumps(call | {"callId": CHANNEL, "creationTime": None}).encode(),
    ]
    home.write("b.ndjson", b"\n".join(lines) + b"\n")
    assert home.ingest().new == 5
    assert _failed(home) == {
        "service_is_as_known": {"new_bad_value": 1, "new_code": 2},
        "all_have_a_time": {"without_time": 2},
    }
    noted = stored(home.settings, "SELECT kind, what FROM ops.drift ORDER BY ALL")
    assert [(row["kind"], row["what"]) for row in noted] == [
        ("bad_value", "direction"),
        ("code", "status 17"),
        ("code", "status Teleported"),
    ]
