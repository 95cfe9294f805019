"""What time it is in the service, by all that can be known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hatif.clock import Reading, ServiceClock, service_time

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("what", "told", "newest", "before", "expected"),
    [
        ("nothing is known", None, None, None, NOW),
        ("the header is believed", NOW + HOUR / 2, NOW - HOUR, None, NOW + HOUR / 2),
        ("without one, our own", None, NOW - HOUR, None, NOW),
        ("never before the newest event", NOW, NOW + HOUR, None, NOW + HOUR),
        ("another day's header", NOW - 30 * DAY, NOW - 31 * DAY, None, NOW - 30 * DAY),
        ("another day's, long quiet", NOW - 30 * DAY, NOW - 50 * DAY, None, NOW - 30 * DAY),
        ("our header, another day's events", NOW, NOW - 30 * DAY, None, NOW - 30 * DAY),
        (
            "a workspace that has been quiet for days",
            NOW,
            NOW - 5 * DAY,
            Reading(NOW - HOUR, NOW - HOUR),
            NOW,
        ),
        (
            "another day's events went on by themselves",
            NOW,
            NOW - 29 * DAY,
            Reading(NOW - 30 * DAY, NOW - HOUR),
            NOW - 29 * DAY,
        ),
        (
            "our own clock was set back meanwhile",
            NOW,
            NOW - 5 * DAY,
            Reading(NOW - 4 * DAY, NOW + DAY),
            NOW - 4 * DAY,
        ),
    ],
)
def test_the_service_time_follows_from_header_newest_row_and_last_reading(
    what: str, told: datetime, newest: datetime, before: Reading, expected: datetime
) -> None:
    assert service_time(NOW, told, newest, before) == expected, what


def test_a_header_that_is_no_date_is_ignored() -> None:
    clock = ServiceClock()
    for header in (None, "", "yesterday", "Wed, 99 Foo 2026 00:00:00 GMT"):
        clock.told(header)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_header_goes_on_between_answers() -> None:
    clock = ServiceClock()
    clock.told("Sun, 01 Nov 2026 09:00:00 GMT")
    told = datetime(2026, 11, 1, 9, tzinfo=UTC)
    assert timedelta() <= clock.now() - told < timedelta(minutes=1)
    local = datetime.now(UTC)
    assert abs(clock.at(local - HOUR) - (told - HOUR)) < timedelta(minutes=1)
