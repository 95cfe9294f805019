"""Of a whole sync are shown its stages and, once it can be known, how long it still takes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from hatif.streams import STREAMS
from pipelines import progress
from pipelines.forecast import Forecast, Plan, in_words
from pipelines.sync import sync
from rehearsal import RehearsalServer, WorldSpec
from sync.session import RunOptions
from tests.conftest import IMPATIENT, settings_for

STAGES = [*STREAMS, "webhook files", "messages and calls", "marts"]


class Clock:
    """Seconds that pass when they are made to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Sync:
    """A sync of a workspace of 1,000 conversations and 600 contacts, never read before."""

    def __init__(self, per_minute: int = 60, limit: int | None = None) -> None:
        self.clock = Clock()
        self.forecast = Forecast(per_minute, self.clock)
        self.due = {"timelines": 0, "contact_history": 0}
        self.limit = limit
        self.forecast.expect(Plan(STAGES, lambda name: self.due.get(name, 1), lambda: self.limit))

    def until(self, stream: str, seconds: float = 30) -> str:
        """Read every stream before this one, and begin with it."""
        names = list(STREAMS)
        for name in names[: names.index(stream)]:
            self.forecast.begin(name, 10)
            self.clock.now += seconds
            self.forecast.end(name)
            self.due["timelines"] |= 1_000 if name == "conversations" else 0
            self.due["contact_history"] |= 600 if name == "contacts" else 0
        total = self.due.get(stream)
        self.forecast.begin(stream, total, is_lists=total is not None)
        return str(self.forecast)


def test_what_hangs_on_records_that_are_not_read_yet_is_not_known() -> None:
    assert Sync().until("contacts") == "stage 6 of 12, time left not known yet"


def test_under_the_budget_the_end_is_in_sight_when_the_lists_are_known() -> None:
    assert Sync().until("timelines") == "stage 8 of 12, about 27 min left"


def test_a_pace_slower_than_the_budget_counts_and_a_faster_one_does_not() -> None:
    slow, fast = Sync(), Sync()
    for one, seconds in ((slow, 400), (fast, 10)):
        one.until("timelines")
        one.clock.now += seconds
        one.forecast.advance(200)
    assert str(slow.forecast) == "stage 8 of 12, about 47 min left"  # 1,400 lists, 2 s each
    assert str(fast.forecast) == "stage 8 of 12, about 23 min left"  # a request a second


def test_without_a_budget_the_pace_has_to_be_seen_first() -> None:
    one = Sync(per_minute=0)
    assert one.until("timelines") == "stage 8 of 12, time left not known yet"
    one.clock.now += 10
    one.forecast.advance(100)
    assert str(one.forecast) == "stage 8 of 12, about 2 min left"


def test_a_run_of_few_requests_ends_with_these() -> None:
    assert Sync(limit=300).until("timelines") == "stage 8 of 12, about 5 min left"
    assert Sync(limit=300).until("contacts") == "stage 6 of 12, about 5 min left"


def test_a_short_sync_counts_nothing() -> None:
    one = Sync()

    def count(_: str) -> int:
        raise AssertionError

    one.forecast.expect(Plan(STAGES, count, lambda: None))
    assert one.until("tags", seconds=1) == "stage 3 of 12"


def test_what_is_due_is_counted_as_soon_as_that_is_worth_it() -> None:
    many = Sync()
    assert many.until("timelines", seconds=1) == "stage 8 of 12, about 27 min left"
    few = Sync()
    few.until("timelines", seconds=1)
    few.forecast.begin("timelines", 20, is_lists=True)
    assert str(few.forecast) == "stage 8 of 12"
    few.clock.now += 10
    assert str(few.forecast) == "stage 8 of 12, about 10 min left"  # 20 and 600 lists


def test_parts_after_reading_are_stages_whose_time_is_not_guessed() -> None:
    one = Sync()
    one.until("contact_history")
    one.forecast.begin("marts")
    assert str(one.forecast) == "stage 12 of 12"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (20, "less than a minute left"),
        (100, "about 2 min left"),
        (5_300, "about 88 min left"),
        (9_000, "about 2.5 h left"),
    ],
)
def test_how_long_is_said_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_a_log_has_a_line_a_minute_while_a_stream_is_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    lines = progress.Lines(60, clock)
    lines.expect(Plan(["timelines", "marts"], lambda _: 0, lambda: None))
    lines.started("timelines", 300, "conversations")
    for _ in range(125):
        clock.now += 1
        lines.advanced("timelines", 1)
    assert capsys.readouterr().err.splitlines() == [
        "timelines: 60 of 300 conversations; stage 1 of 2, about 4 min left",
        "timelines: 120 of 300 conversations; stage 1 of 2, about 3 min left",
    ]


def test_a_real_sync_goes_through_all_its_stages(tmp_path: Path) -> None:
    plans: list[Plan] = []
    shown = io.StringIO()
    spec = WorldSpec(contacts=8, conversations=6, events=40)
    with (
        RehearsalServer(spec) as server,
        progress.Bars(Console(file=shown, width=100, force_terminal=True), 60) as bars,
    ):

        def expect(plan: Plan) -> None:
            plans.append(plan)
            assert {plan.due(name) for name in ("timelines", "contact_history")} == {0}
            bars.expect(plan)

        settings = settings_for(server, tmp_path / "home")
        options = RunOptions(retry=IMPATIENT, max_requests=60)
        outcome = sync(settings, [], options, bars, None, bars.stage, expect)
        assert plans[0].requests_left() == 60 - outcome.requests
    assert outcome.ok
    assert [*plans[0].stages] == STAGES
    assert "whole sync" in shown.getvalue()
    assert "12/12" in shown.getvalue()
