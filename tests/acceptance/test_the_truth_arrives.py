"""A full sync ends with the service's truth in the warehouse, whatever the service is like."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from rehearsal import Quirks
from tests.comparison import differences, stored
from tests.conftest import Serve, full_sync, settings_for


@pytest.mark.parametrize(
    "quirks",
    [
        Quirks(),
        Quirks(casing="pascal"),
        Quirks(enums="text", options="text", channel_phone="text"),
        Quirks(page_cap=7, ignore_sorting=True, channel_phone="null"),
        Quirks(max_page=100),
    ],
    ids=[
        "as it is live",
        "PascalCase",
        "text for codes and objects",
        "cap and no order",
        "small max",
    ],
)
def test_every_id_and_every_column_equals_the_truth(
    serve: Serve, tmp_path: Path, quirks: Quirks
) -> None:
    server = serve(quirks)
    settings = settings_for(server, tmp_path / "home")

    results = full_sync(settings)

    assert differences(settings, server) == []
    assert {name: result.status for name, result in results.items()} == dict.fromkeys(
        results, "done"
    )
    assert {name: result.rows_read for name, result in results.items()} == server.truth_counts()


def test_one_request_in_ten_going_wrong_changes_nothing(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    settings = settings_for(server, tmp_path / "home")
    server.fault_rate(0.10, seed=5)

    results = full_sync(settings)

    assert sum(request.fault is not None for request in server.requests) > 10
    assert {result.status for result in results.values()} == {"done"}
    assert differences(settings, server) == []


def test_every_scan_leaves_a_certificate(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    settings = settings_for(server, tmp_path / "home")

    full_sync(settings)

    scans = stored(
        settings,
        "SELECT stream, count(*) AS n, sum(distinct_ids) AS ids FROM ops.scans "
        "WHERE verdict = 'complete' GROUP BY stream",
    )
    assert {row["stream"]: row["ids"] for row in scans} == server.truth_counts()
    lists = {row["stream"]: row["n"] for row in scans}
    assert lists["timelines"] == 40
    assert lists["contact_history"] == 60


def test_a_second_sync_of_an_unchanged_service_changes_nothing(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve()
    settings = settings_for(server, tmp_path / "home")
    full_sync(settings)
    before = stored(settings, "SELECT * FROM raw.records ORDER BY seq")

    results = full_sync(settings)

    assert sum(result.rows_changed for result in results.values()) == 0
    assert stored(settings, "SELECT * FROM raw.records ORDER BY seq") == before


def test_what_changed_since_arrives_and_every_version_is_kept(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    settings = settings_for(server, tmp_path / "home")
    full_sync(settings)
    rows = stored(settings, "SELECT count(*) AS n FROM raw.records")[0]["n"]

    server.advance(timedelta(days=2), deleted_conversations=2, deleted_tags=1)
    results = full_sync(settings)

    assert differences(settings, server) == []
    changed = sum(result.rows_changed for result in results.values())
    assert changed > 50
    after = stored(settings, "SELECT count(*) AS n, count(DISTINCT seq) AS seqs FROM raw.records")[
        0
    ]
    assert after["n"] == after["seqs"] >= rows + changed
    gone = server.deleted("conversations") & {
        row["record_id"]
        for row in stored(settings, "SELECT record_id FROM raw.records WHERE op = 'tombstone'")
    }
    assert len(gone) == 2
