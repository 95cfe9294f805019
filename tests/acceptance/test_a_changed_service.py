"""Keys and codes that are undocumented are reported with an example; few of them stop a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal import Fault, Quirks
from sync.check import CheckResult
from sync.stream_checks import drift_result
from tests.comparison import differences, stored
from tests.conftest import Serve, full_sync, settings_for
from warehouse.lake.connection import Lake
from warehouse.settings.environment import Settings

_SMALL = {"contacts": 30, "conversations": 8, "events": 60}


def _check(settings: Settings, stream: str) -> CheckResult:
    with Lake(settings) as lake:
        return drift_result(lake, stream)


def test_a_new_key_is_told_once_and_stops_nothing(serve: Serve, tmp_path: Path) -> None:
    server = serve(Quirks(unknown_keys=True), **_SMALL)
    settings = settings_for(server, tmp_path / "home")

    first = full_sync(settings, "contacts")["contacts"]
    full_sync(settings, "contacts")

    assert first.status == "done"
    assert differences(settings, server, "contacts") == []
    reported = stored(settings, "FROM ops.drift WHERE stream = 'contacts' ORDER BY what")
    assert [row["what"] for row in reported] == ["engagementProfile", "labels", "score"]
    assert {row["example"] for row in reported} <= server.world.contacts.keys()
    check = _check(settings, "contacts")
    assert check.message is not None
    assert check.loses_nothing
    assert f"key engagementProfile, first in {reported[0]['example']}" in check.message
    kept = "SELECT count(*) AS n FROM raw.records WHERE payload LIKE '%engagementProfile%'"
    assert stored(settings, kept)[0]["n"] == 30


def test_a_new_code_is_kept_as_unknown_and_told(serve: Serve, tmp_path: Path) -> None:
    server = serve(**_SMALL)
    talk = next(iter(server.world.conversations.values()))
    event = talk.events[-1]
    event.status = "Hovering"
    server.world.changed(talk.id)
    settings = settings_for(server, tmp_path / "home")

    results = full_sync(settings, "channels", "conversations", "timelines")

    assert {result.status for result in results.values()} == {"done"}
    row = f"SELECT status FROM core.timeline_events WHERE event_id = '{event.id}'"
    assert stored(settings, row) == [{"status": "unknown:Hovering"}]
    reported = (
        "SELECT example FROM ops.drift WHERE stream = 'timelines' AND what = 'status Hovering'"
    )
    assert stored(settings, reported) == [{"example": event.id}]
    assert not _check(settings, "timelines").is_error


def test_a_changed_clock_stops_its_stream_alone_until_it_is_as_it_was(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(**_SMALL)
    settings = settings_for(server, tmp_path / "home")
    full_sync(settings, "channels", "contacts", "conversations")
    times = "SELECT contact_id, created_at FROM core.contacts ORDER BY ALL"
    before = stored(settings, times)
    server.set_quirks(v1_times="utc_naive")

    results = full_sync(settings, "channels", "contacts", "conversations")

    assert results["contacts"].status == "failed"
    assert "-180 minutes off" in (results["contacts"].message or "")
    assert results["conversations"].status == "done"
    assert stored(settings, times) == before
    check = _check(settings, "contacts")
    assert check.message is not None
    assert check.is_error

    server.set_quirks(v1_times="naive")
    assert full_sync(settings, "contacts")["contacts"].status == "done"
    assert _check(settings, "contacts").message is None


@pytest.mark.parametrize("full_before", [True, False], ids=["known", "never read"])
def test_a_page_without_ids_stops_its_stream_and_deletes_nothing(
    serve: Serve, tmp_path: Path, full_before: bool
) -> None:
    server = serve(**_SMALL)
    settings = settings_for(server, tmp_path / "home")
    if full_before:
        full_sync(settings, "tags")
    nameless = {"totalCount": 2, "items": [{"uid": "a"}, {"uid": "b"}]}
    server.fault(Fault("garbage", stream="tags", every=1, params={"body": nameless}))

    results = full_sync(settings, "tags", "users")

    assert results["tags"].status == "failed"
    assert results["users"].status == "done"
    assert _check(settings, "tags").is_error
    gone = "SELECT count(*) AS n FROM raw.records WHERE op = 'tombstone'"
    assert stored(settings, gone) == [{"n": 0}]

    server.clear_faults()
    assert full_sync(settings, "tags")["tags"].status == "done"
    assert differences(settings, server, "tags") == []
    assert _check(settings, "tags").message is None
