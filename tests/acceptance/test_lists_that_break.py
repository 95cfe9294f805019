"""Lists that the service delivers badly are stored as far as they can be had, and say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal import Quirks
from tests.comparison import differences, stored
from tests.conftest import Serve, full_sync, settings_for, sync
from warehouse.settings.environment import Settings

_CONTACTS = {"contacts": 700, "conversations": 0, "events": 0}


def _scan(settings: Settings, stream: str = "contacts") -> dict[str, object]:
    newest = f"FROM ops.scans WHERE stream = '{stream}' ORDER BY started_at DESC LIMIT 1"
    return stored(settings, newest)[0]


def _count(settings: Settings) -> int:
    return int(stored(settings, "SELECT count(*) AS n FROM core.contacts")[0]["n"])


@pytest.mark.parametrize(
    "quirks",
    [
        Quirks(slow_page=60),
        Quirks(max_offset=500),
        *(
            Quirks(max_page=100, size_refusal=form)
            for form in ("nameless", "problem", "text", "422", "403")
        ),
    ],
    ids=["slow", "deep", "nameless", "problem", "text", "422", "403"],
)
def test_a_list_that_comes_otherwise_than_asked_for_is_complete_all_the_same(
    serve: Serve, tmp_path: Path, quirks: Quirks
) -> None:
    server = serve(quirks, **_CONTACTS)
    settings = settings_for(server, tmp_path / "home")
    assert full_sync(settings, "contacts")["contacts"].status == "done"
    assert differences(settings, server, "contacts") == []


def test_a_hole_amid_a_list_is_stepped_over_and_filled_when_the_service_is_well(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(Quirks(holes=range(400, 600)), **_CONTACTS)
    settings = settings_for(server, tmp_path / "home")
    result = full_sync(settings, "contacts")["contacts"]
    assert (result.status, "came empty amid the list" in (result.message or "")) == (
        "unproven",
        True,
    )
    assert _count(settings) == 600

    server.set_quirks(holes=())
    assert sync(settings, "contacts")["contacts"].status == "done"
    assert differences(settings, server, "contacts") == []


def test_a_row_that_breaks_its_list_is_set_aside_and_had_from_its_own_address(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(contacts=300, conversations=300, events=300, channels=1)
    settings = settings_for(server, tmp_path / "home")
    newest_first = sorted(server.world.contacts.values(), key=lambda one: -one.created)
    full_sync(settings, "channels", "conversations")
    server.set_quirks(poisoned=(123,))

    result = full_sync(settings, "contacts")["contacts"]

    assert (result.status, result.rejects) == ("unproven", 1)
    assert _scan(settings)["verdict"] == "unproven"
    assert "passed over 1 row" in str(_scan(settings)["note"])
    [reject] = stored(settings, "FROM ops.rejects")
    assert (reject["reason"], "SkipCount=123&" in reject["location"]) == ("unreadable_row", True)
    lost = newest_first[123].id
    assert stored(settings, f"SELECT 1 AS n FROM core.contacts WHERE contact_id = '{lost}'")
    assert differences(settings, server, "contacts") == []
    gone = "SELECT count(*) AS n FROM raw.records WHERE op = 'tombstone'"
    assert stored(settings, gone) == [{"n": 0}]

    server.set_quirks(poisoned=())
    assert full_sync(settings, "contacts")["contacts"].status == "done"
    assert stored(settings, "FROM ops.rejects WHERE replayed_at IS NULL") == []
