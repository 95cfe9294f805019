"""`hatif status`: legible on a narrow terminal, its words explained, the next thing to do named."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from hatif.streams import STREAMS
from pipelines import status
from pipelines.status_words import REASONS, legend, next_step
from tests.pipelines.conftest import ROOT, Synced


@pytest.fixture(scope="module")
def found(synced: Synced) -> dict[str, Any]:
    """The state of a synced home."""
    return status.gather(synced.settings)


@pytest.mark.parametrize("width", [60, 80, 120, 160])
def test_no_name_is_cut_on_a_terminal_of_any_width(
    found: dict[str, Any],
    width: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(status, "console_of", lambda _: Console(width=width))
    status.show(found)
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert all(f"{stream}:" in shown or f"{stream} " in shown for stream in STREAMS)
    assert max(map(len, shown.splitlines())) <= width


def test_how_far_back_a_first_sync_is_complete_and_which_webhooks_suffice_are_shown(
    found: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "console_of", lambda _: Console(width=200))
    channel = {"messages": 400, "known": 399, "share": 0.9975, "is_proven": True}
    tags = found["streams"]["tags"] | {"learned_interval_seconds": 7_260}
    first = {"unread": 9_400, "complete_since": datetime(2026, 11, 20, 8, tzinfo=UTC)}
    status.show(
        found
        | {"first_reading": first, "webhook_rule": {"line": channel}}
        | {"streams": found["streams"] | {"tags": tags}}
    )
    shown = capsys.readouterr().out
    assert "complete back to 2026-11-20 08:00 UTC; 9,400 that" in shown
    assert "99.8% or more of each channel's messages" in shown
    assert "run, scheduled 121m" in shown


def test_every_reason_is_explained_where_it_is_shown(found: dict[str, Any]) -> None:
    plan = (ROOT / "warehouse" / "queue" / "plan.py").read_text(encoding="utf-8")
    assert {reason for reason in REASONS if f"'{reason}'" not in plan} == set()
    assert legend(["step", "new"]) == (
        "Why lists are read: new = never read before; step = it holds an event that can still "
        "change."
    )
    assert legend([]) == ""


def _state(**more: Any) -> dict[str, Any]:
    stream = {"last_success": "now", "backlog": {}}
    run = {"status": "done"}
    known = {"streams": {"tags": stream}, "runs": [run], "rejects_unacknowledged": 0}
    return known | {"outage": None, "requests_per_minute": 60} | more


@pytest.mark.parametrize(
    ("state", "wording"),
    [
        ({"runs": []}, "Next: hatif doctor, then hatif sync"),
        ({"runs": [{"status": "failed"}]}, "the last run failed"),
        ({"rejects_unacknowledged": 2}, "hatif rejects shows the 2 records set aside"),
        (
            {"streams": {"tags": {"last_success": "now", "backlog": {"new": 90, "step": 31}}}},
            "Next: hatif sync reads the 121 lists due, in 3 minutes or more.",
        ),
        ({}, "Nothing is due."),
    ],
)
def test_the_most_urgent_thing_to_do_is_named(state: dict[str, Any], wording: str) -> None:
    assert wording in next_step(_state(**state))
