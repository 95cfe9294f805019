"""What time it is in the service, by all that can be known."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from hatif.clock import Evidence, Reading, ServiceClock, http_date, service_time

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FAR = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def rows(newest: datetime, *ahead: datetime, count: int = 40) -> Evidence:
    """Rows half an hour apart down from the newest, and some dated ahead."""
    usual = [newest - HOUR / 2 * number for number in range(count)]
    every = sorted([*ahead, *usual], reverse=True)
    return Evidence(tuple(every), tuple(usual), every[len(every) // 2])


@pytest.mark.parametrize(
    ("what", "header", "evidence", "before", "expected"),
    [
        ("nothing is known", None, Evidence(), None, NOW),
        ("the header is believed", NOW + HOUR / 2, rows(NOW - HOUR), None, NOW + HOUR / 2),
        ("without one, our own", None, rows(NOW - HOUR), None, NOW),
        ("another day's header", NOW - 30 * DAY, rows(NOW - 31 * DAY), None, NOW - 30 * DAY),
        ("another day's, long quiet", NOW - 9 * DAY, rows(NOW - 50 * DAY), None, NOW - 9 * DAY),
        ("another day's, ahead of ours", NOW + 6 * DAY, rows(NOW - 9 * DAY), None, NOW + 6 * DAY),
        ("our header, another day's events", NOW, rows(NOW - 30 * DAY), None, NOW - 30 * DAY),
        (
            "all events are ahead of us",
            NOW,
            rows(NOW + 90 * DAY),
            None,
            NOW + 90 * DAY - 9 * HOUR / 2,
        ),
        (
            "a workspace that has been quiet for days",
            NOW,
            rows(NOW - 5 * DAY),
            Reading(NOW - HOUR, NOW - HOUR),
            NOW,
        ),
        (
            "another day's events went on by themselves",
            NOW,
            rows(NOW - 29 * DAY),
            Reading(NOW - 30 * DAY, NOW - HOUR),
            NOW - 29 * DAY,
        ),
        (
            "our own clock was set back meanwhile",
            NOW,
            rows(NOW - 5 * DAY),
            Reading(NOW - 4 * DAY, NOW + DAY),
            NOW - 4 * DAY,
        ),
        ("one row is dated ahead", NOW, rows(NOW - HOUR, NOW + 3 * DAY), None, NOW),
        ("rows at the end of the calendar", NOW, rows(NOW - HOUR, *[FAR] * 9), None, NOW),
        ("a broadcast is scheduled", NOW, rows(NOW - HOUR, *[NOW + 3 * DAY] * 30), None, NOW),
        (
            "most rows of a small workspace are scheduled",
            NOW,
            rows(NOW - HOUR, *[NOW + 900 * DAY] * 3, count=2),
            None,
            NOW,
        ),
        ("ahead, and no header", None, rows(NOW - HOUR, *[NOW + 3 * DAY] * 30), None, NOW),
        (
            "one row is dated ahead of another day",
            NOW - 30 * DAY,
            rows(NOW - 30 * DAY, NOW - 27 * DAY),
            None,
            NOW - 30 * DAY,
        ),
        ("a header of 1970", datetime(1970, 1, 1, tzinfo=UTC), rows(NOW - HOUR), None, NOW),
        ("a header of 9999", FAR, Evidence(), None, NOW),
        ("a header days ahead of all rows", NOW + 3 * DAY, rows(NOW - HOUR), None, NOW),
        ("a header behind its own rows", NOW - 10 * DAY, rows(NOW - HOUR), None, NOW),
        (
            "an earlier run was frozen in the future",
            NOW,
            rows(NOW - 5 * DAY, FAR),
            Reading(NOW + 900 * DAY, NOW - HOUR),
            NOW,
        ),
        (
            "our own clock was years ahead in the last run",
            NOW,
            rows(NOW - 5 * DAY),
            Reading(NOW + 900 * DAY, NOW + 900 * DAY),
            NOW,
        ),
    ],
)
def test_the_service_time_follows_from_header_rows_and_last_reading(
    what: str,
    header: datetime | None,
    evidence: Evidence,
    before: Reading | None,
    expected: datetime,
) -> None:
    assert service_time(NOW, header, evidence, before) == expected, what


def test_two_rows_are_no_evidence() -> None:
    few = Evidence((NOW + DAY, NOW + DAY), (NOW + DAY,), None)
    assert service_time(NOW, NOW - 2 * HOUR, few, None) == NOW - 2 * HOUR


def test_a_header_that_is_no_date_is_ignored() -> None:
    clock = ServiceClock()
    for header in (None, "", "yesterday", "Wed, 99 Foo 2026 00:00:00 GMT"):
        clock.note_date(header)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_header_without_a_zone_is_gmt_wherever_this_machine_is(monkeypatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Riyadh")
    time.tzset()
    try:
        assert http_date("Fri, 27 Nov 2026 03:00:00 -0000") == datetime(2026, 11, 27, 3, tzinfo=UTC)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_header_at_the_end_of_the_calendar_is_no_error() -> None:
    clock = ServiceClock()
    clock.note_date("Fri, 31 Dec 9999 23:59:59 GMT")
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_header_goes_on_between_answers() -> None:
    clock = ServiceClock()
    ours = datetime.now(UTC).replace(microsecond=0) - 25 * DAY
    clock.note_date(ours.strftime("%a, %d %b %Y %H:%M:%S GMT"))
    assert timedelta() <= clock.now() - ours < timedelta(minutes=1)
    local = datetime.now(UTC)
    assert abs(clock.at(local - HOUR) - (ours - HOUR)) < timedelta(minutes=1)
