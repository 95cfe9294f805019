"""What is gone from the service, what only seems so, and what must never be taken for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hatif.errors import HomeError
from rehearsal import Fault
from sync.session import RunOptions
from tests.comparison import differences, stored
from tests.conftest import IMPATIENT, Serve, full_sync, settings_for

_DELETED = "SELECT count(*) AS n FROM raw.records WHERE op = 'tombstone'"


def test_credentials_of_another_workspace_delete_nothing(serve: Serve, tmp_path: Path) -> None:
    ours, theirs = serve(seed=7), serve(seed=8)
    settings = settings_for(ours, tmp_path / "home")
    full_sync(settings)

    with pytest.raises(HomeError, match="another workspace"):
        full_sync(settings_for(theirs, tmp_path / "home"), "timelines")

    assert stored(settings, _DELETED) == [{"n": 0}]


def test_when_every_parent_seems_gone_and_nothing_can_be_read_nothing_is_deleted(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(conversations=10, events=50)
    settings = settings_for(server, tmp_path / "home")
    full_sync(settings)
    server.delete_conversations(10)

    results = full_sync(settings, "timelines")

    assert results["timelines"].status == "failed"
    assert "another workspace" in (results["timelines"].message or "")
    assert stored(settings, _DELETED) == [{"n": 0}]


def test_a_list_that_always_fails_does_not_keep_the_others_from_being_settled(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(conversations=20, events=100)
    settings = settings_for(server, tmp_path / "home")
    full_sync(settings)
    gone, failing = [row["conversation_id"] for row in server.truth("conversations")[:2]]
    server.delete_conversations([gone])
    server.fault(Fault("403_business", path=f".*{failing}/timeline", every=1))

    results = full_sync(settings, "timelines")

    assert results["timelines"].status == "failed"
    dead = stored(
        settings, "SELECT conversation_id FROM core.conversations WHERE deleted_at > '2000-01-01'"
    )
    assert [row["conversation_id"] for row in dead] == [gone]


def test_the_brake_holds_and_is_lifted_on_request(serve: Serve, tmp_path: Path) -> None:
    server = serve(contacts=200, conversations=5, events=10)
    settings = settings_for(server, tmp_path / "home")
    full_sync(settings, "contacts")
    server.delete_contacts(60)
    asked = len(server.requests)

    held = full_sync(settings, "contacts")["contacts"]

    assert held.status == "failed"
    assert "60 of 200" in (held.message or "")
    assert stored(settings, _DELETED) == [{"n": 0}]
    assert len(server.requests) - asked < 10

    lifted = full_sync(
        settings, "contacts", options=RunOptions(full=True, accept_deletes=True, retry=IMPATIENT)
    )
    assert lifted["contacts"].deleted == 60
    assert differences(settings, server, "contacts", "contact_properties", "contact_notes") == []
