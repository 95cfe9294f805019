"""A record that cannot be used is set aside, named and whole; its neighbours are not touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal import BAD_RECORDS, Fault
from tests.comparison import differences, stored
from tests.conftest import Serve, full_sync, settings_for

_REASONS = {
    "not_object": "not_an_object",
    "no_id": "missing_id",
    "wrong_types": "bad_value:creationTime",
    "lone_surrogate": "bad_json",
    "nan": "bad_json",
}


@pytest.mark.parametrize("kind", sorted(_REASONS))
@pytest.mark.parametrize("stream", ["contacts", "users"])
def test_it_is_set_aside_beside_good_neighbours(
    serve: Serve, tmp_path: Path, kind: str, stream: str
) -> None:
    assert set(BAD_RECORDS) == {*_REASONS, "number_id", "nul"}
    server = serve(contacts=30, conversations=5, events=20)
    server.fault(Fault("bad_records", stream=stream, params={"kinds": [kind]}))
    settings = settings_for(server, tmp_path / "home")

    results = full_sync(settings, stream)

    rejects = stored(settings, "SELECT stream, reason, raw FROM ops.rejects")
    assert [(row["stream"], row["reason"]) for row in rejects] == [(stream, _REASONS[kind])]
    assert rejects[0]["raw"]
    assert results[stream].status == "done"
    assert results[stream].rejects == 1
    assert differences(settings, server, stream) == []


def test_the_same_bad_record_is_noted_once(serve: Serve, tmp_path: Path) -> None:
    server = serve(contacts=30, conversations=5, events=20)
    server.fault(Fault("bad_records", stream="contacts", params={"kinds": ["no_id"]}))
    settings = settings_for(server, tmp_path / "home")
    full_sync(settings, "contacts")
    full_sync(settings, "contacts")
    assert len(stored(settings, "SELECT * FROM ops.rejects")) == 1


def test_an_answer_that_is_one_record_and_no_json_is_set_aside_until_it_is_read(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(contacts=30, conversations=5, events=20)
    settings = settings_for(server, tmp_path / "home")
    names = ("property_definitions", "property_statistics")
    found = "SELECT count(*) AS n FROM core.property_statistics"
    rejects = "SELECT reason, replayed_at IS NULL AS waits FROM ops.rejects"
    server.set_quirks(statistics="one_nan")
    for _ in range(2):
        results = full_sync(settings, *names)
        assert results["property_statistics"].status == "done"
        assert stored(settings, found) == [{"n": len(server.truth("property_statistics"))}]
        assert stored(settings, rejects) == [{"reason": "bad_json", "waits": True}]
    assert stored(settings, "SELECT * FROM ops.absences") == []
    server.set_quirks(statistics="objects")
    full_sync(settings, *names)
    assert stored(settings, found) == [{"n": len(server.truth("property_statistics"))}]
    assert stored(settings, rejects) == [{"reason": "bad_json", "waits": False}]
