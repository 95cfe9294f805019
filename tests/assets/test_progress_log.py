"""A first sync of hours is no silence in Dagster: a line a minute says how far it is."""

from __future__ import annotations

from assets.progress_log import ProgressLog


def test_a_line_a_minute_says_what_is_done_what_is_left_and_how_long_that_takes() -> None:
    seconds = 0.0
    lines: list[str] = []
    log = ProgressLog(lines.append, clock=lambda: seconds)
    log.requests = lambda: 1_234
    log.started("timelines", 3_000, "conversations")
    for _ in range(480):
        seconds += 0.5
        log.advanced("timelines", 1)
    assert lines == [
        f"timelines: {done:,} of 3,000 conversations, 1,234 requests in this run, about {left} min "
        "left"
        for done, left in ((120, 24), (240, 23), (360, 22), (480, 21))
    ]


def test_a_total_that_is_unknown_or_too_small_is_left_out() -> None:
    seconds = 0.0
    lines: list[str] = []
    log = ProgressLog(lines.append, clock=lambda: seconds)
    log.started("contacts", None, "rows")
    seconds = 61.0
    log.advanced("contacts", 500)
    seconds = 122.0
    log.advanced("contacts", 500, 2_000)
    assert lines == [
        "contacts: 500 rows, 0 requests in this run",
        "contacts: 1,000 of 2,000 rows, 0 requests in this run, about 2 min left",
    ]
