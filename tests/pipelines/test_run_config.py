"""What a run can be configured to do, and what Dagster does about one that fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pytest

from assets import failures
from hatif.errors import SettingsError
from hatif.sender import RetryPolicy
from pipelines.definitions import build_defs
from rehearsal import RehearsalServer, WorldSpec
from rehearsal.faults import Fault
from tests.comparison import stored
from tests.conftest import settings_for, sync
from tests.pipelines.conftest import environment, stream_keys
from warehouse.queue.reread import RereadRequest
from warehouse.settings.environment import Settings

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Home:
    """A server, a home that was synced from it, and what keeps Dagster's runs."""

    server: RehearsalServer
    settings: Settings
    instance: dg.DagsterInstance

    def run(self, job: str, *streams: str, **config: Any) -> dg.ExecuteInProcessResult:
        """Run a job as the daemon would, its settings from the environment."""
        return (
            build_defs()
            .resolve_job_def(job)
            .execute_in_process(
                run_config=config or _QUIET,
                instance=self.instance,
                asset_selection=[key for name in streams for key in stream_keys(name)] or None,
                raise_on_error=False,
            )
        )

    def asked(self, since: int) -> list[str]:
        """The conversations whose timelines were asked for since then."""
        return [
            request.path.split("/")[-2]
            for request in self.server.requests[since:]
            if request.stream == "timelines"
        ]


@pytest.fixture(scope="module")
def synced_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with (
        RehearsalServer(WorldSpec(contacts=9, conversations=9, events=120)) as server,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        settings = settings_for(server, tmp_path_factory.mktemp("again"))
        sync(settings)
        yield Home(server, settings, instance)


@pytest.fixture
def home(synced_home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    for name, value in environment(synced_home.settings).items():
        if name.startswith("HATIF_"):
            monkeypatch.setenv(name, value)
    yield synced_home
    synced_home.server.clear_faults()


def _edit_silently(home: Home, text: str, *conversations: str) -> None:
    """Change the oldest message of each so that nothing in any list tells of it."""
    for conversation in conversations:
        events = home.server.world.conversations[conversation].events
        message = next(event for event in events if event.body)
        message.body = text
        home.server.world.changed(message.id)


def _with_text(home: Home) -> list[str]:
    talks = home.server.world.conversations.values()
    return [talk.id for talk in talks if any(event.body for event in talk.events)]


def _where(home: Home, text: str) -> set[str]:
    """The conversations in whose timelines the warehouse has this text."""
    sql = f"SELECT DISTINCT conversation_id AS id FROM core.timeline_events WHERE body = '{text}'"
    return {row["id"] for row in stored(home.settings, sql)}


def test_conversations_named_in_the_run_configuration_are_read_again_and_nothing_else(
    home: Home,
) -> None:
    first, second, third, *_ = _with_text(home)
    _edit_silently(home, "by name", first, second, third)
    before = len(home.server.requests)

    result = home.run("reread", conversations=[first.upper(), second])

    assert result.success
    assert set(home.asked(before)) == _where(home, "by name") == {first, second}


def test_a_range_of_days_is_read_again_where_it_can_hold_something(home: Home) -> None:
    _edit_silently(home, "by day", *_with_text(home))
    (day,) = stored(
        home.settings,
        "SELECT strftime(timezone('Asia/Riyadh', min(occurred_at)), '%Y-%m-%d') AS first, "
        "arg_min(conversation_id, occurred_at) AS conversation FROM core.timeline_events",
    )
    outside = stored(
        home.settings,
        "SELECT conversation_id AS id FROM core.conversations WHERE conversation_id NOT IN (SELECT "
        f"conversation_id FROM core.timeline_events WHERE occurred_at < DATE '{day['first']}' + 1) "
        f"AND created_at >= DATE '{day['first']}' + 1",
    )
    before = len(home.server.requests)

    result = home.run("reread", since=day["first"], until=day["first"])

    assert result.success
    asked = set(home.asked(before))
    assert day["conversation"] in asked
    assert asked & set(_with_text(home)) == _where(home, "by day")
    assert outside
    assert not asked & {row["id"] for row in outside}


def test_what_was_asked_for_and_did_not_fit_is_read_by_the_next_sync(home: Home) -> None:
    wanted = _with_text(home)[:5]
    _edit_silently(home, "in portions", *wanted)

    home.run("reread", conversations=wanted, max_requests=4)
    read_at_first = _where(home, "in portions")
    home.run("hot_sync", "timelines")

    assert read_at_first < set(wanted)
    assert _where(home, "in portions") == set(wanted)


@pytest.mark.parametrize(
    ("asked", "wording"),
    [
        ({"since": "2026-11-01"}, "a range of days needs both"),
        ({"since": "yesterday", "until": "2026-11-01"}, "since: must be a day like 2026-11-01"),
        ({"since": "2026-11-01", "until": "9999-12-31"}, "until: must be a day like 2026-11-01"),
        ({"since": "0001-01-01", "until": "2026-11-01"}, "since: must be a day like 2026-11-01"),
        ({"since": "2026-11-02", "until": "2026-11-01"}, "until: must not be before since"),
        ({}, "name conversations or days"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(asked: dict[str, str], wording: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(wording)):
        RereadRequest.of([], **asked)


def test_a_run_that_cannot_begin_says_why_and_no_layer_tries_it_again(home: Home) -> None:
    before = len(home.server.requests)

    result = home.run("reread", conversations=["no-such-id"])

    assert not result.success
    assert home.asked(before) == []
    run = home.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags["dagster/max_retries"] == "0"
    story = str([event.event_specific_data for event in result.all_events])
    assert "1 of 1 are not stored, or deleted" in story


def test_a_stream_whose_error_may_pass_is_tried_again_by_its_step(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "RETRY_SECONDS", 0)
    monkeypatch.setattr(RetryPolicy, "jitter", lambda *_: 0.0)
    home.server.fault(Fault("503", stream="tags", times=RetryPolicy().attempts))

    result = home.run("hot_sync", "tags", "users")

    assert result.success
    assert [event.step_key for event in result.all_events if event.is_step_restarted] == ["tags"]


def test_a_stream_whose_error_stays_fails_at_once_and_says_what_to_do(home: Home) -> None:
    home.server.fault(Fault("403_scope", stream="tags", every=1))

    result = home.run("hot_sync", "tags", "users")

    assert not result.success
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    (failed,) = result.get_step_failure_events()
    reported = failed.step_failure_data.user_failure_data
    assert reported is not None
    assert "403" in (reported.description or "")
    assert {event.step_key for event in result.get_step_success_events()} >= {"users"}
