"""Lists change while they are read: no live row is lost, no dead one is called alive."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal import Fault, Quirks
from rehearsal.stage import Stage
from tests.comparison import differences, stored
from tests.conftest import Serve, full_sync, settings_for
from warehouse.settings.environment import Settings

_SIZES = {"contacts": 300, "conversations": 150, "events": 300}
_CONTACTS = ("contacts", "contact_properties", "contact_notes")
_CONVERSATIONS = ("conversations", "conversation_tags", "timeline_events", "assignments")


def _verdicts(settings: Settings, stream: str) -> set[str]:
    return {
        row["verdict"]
        for row in stored(
            settings,
            f"SELECT verdict FROM ops.scans WHERE stream = '{stream}'",
        )
    }


def test_a_silent_page_cap_loses_nothing(serve: Serve, tmp_path: Path) -> None:
    server = serve(Quirks(page_cap=50), **_SIZES)
    settings = settings_for(server, tmp_path / "home")
    full_sync(settings, "contacts")
    assert differences(settings, server, *_CONTACTS) == []
    assert _verdicts(settings, "contacts") == {"complete"}


def test_a_cap_that_shrinks_while_a_list_is_read_loses_nothing(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(Quirks(page_cap=100), **_SIZES)
    server.fault(Fault("none", stream="contacts", nth=3, then="page_cap 50"))
    settings = settings_for(server, tmp_path / "home")
    full_sync(settings, "contacts")
    assert differences(settings, server, *_CONTACTS) == []


@pytest.mark.parametrize("nth", [2, 3, 5])
def test_contacts_deleted_behind_the_reader_are_gone_at_the_end_of_the_same_run(
    serve: Serve, tmp_path: Path, nth: int
) -> None:
    server = serve(Quirks(page_cap=50), **_SIZES)
    server.fault(Fault("none", stream="contacts", nth=nth, then="delete_read_contacts 20"))
    settings = settings_for(server, tmp_path / "home")

    full_sync(settings, "contacts")

    assert len(server.deleted("contacts")) == 20
    assert differences(settings, server, *_CONTACTS) == []
    assert _verdicts(settings, "contacts") == {"repaired"}


def test_conversations_deleted_behind_the_reader_are_gone_with_their_events(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(Quirks(page_cap=30), **_SIZES)
    server.fault(Fault("none", stream="conversations", nth=4, then="delete_read_conversations 20"))
    settings = settings_for(server, tmp_path / "home")

    full_sync(settings, "channels", "conversations", "timelines")

    assert len(server.deleted("conversations")) == 20
    assert differences(settings, server, *_CONVERSATIONS) == []
    assert "repaired" in _verdicts(settings, "conversations")


def test_conversations_that_jump_to_the_front_are_not_missed(serve: Serve, tmp_path: Path) -> None:
    server = serve(Quirks(page_cap=30), **_SIZES)
    server.fault(Fault("none", stream="conversations", nth=2, then="unread_conversations_jump 2"))
    settings = settings_for(server, tmp_path / "home")

    full_sync(settings, "channels", "conversations", "timelines")

    assert differences(settings, server, *_CONVERSATIONS) == []
    assert "repaired" in _verdicts(settings, "conversations")


def test_one_gone_and_one_jumped_between_the_same_two_pages_cancel_out_and_are_still_noticed(
    serve: Serve, tmp_path: Path
) -> None:
    def both(server: Stage) -> None:
        server.delete_conversations(1)
        server.touch_conversations(1)

    server = serve(Quirks(page_cap=30), **_SIZES)
    server.fault(Fault("none", stream="conversations", nth=3, then=both))
    settings = settings_for(server, tmp_path / "home")

    full_sync(settings, "channels", "conversations", "timelines")

    assert differences(settings, server, *_CONVERSATIONS) == []


def test_contacts_added_while_the_list_is_read_are_all_there(serve: Serve, tmp_path: Path) -> None:
    server = serve(Quirks(page_cap=50), **_SIZES)
    server.fault(Fault("none", stream="contacts", nth=3, then="add_contacts 5"))
    settings = settings_for(server, tmp_path / "home")

    full_sync(settings, "contacts")

    assert differences(settings, server, *_CONTACTS) == []


def test_a_token_revoked_mid_run_costs_one_more_token(serve: Serve, tmp_path: Path) -> None:
    server = serve(**_SIZES)
    server.fault(Fault("none", stream="timelines", nth=100, then="revoke_tokens"))
    settings = settings_for(server, tmp_path / "home")

    full_sync(settings, "channels", "conversations", "timelines")

    assert server.tokens_issued == 2
    assert differences(settings, server, *_CONVERSATIONS) == []
