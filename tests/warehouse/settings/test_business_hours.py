"""Schedules as people write them, and the instants they mean, by the clock on the wall."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from warehouse.settings.business_hours import (
    Holiday,
    Schedule,
    open_intervals,
    parse_holidays,
    parse_hours,
)

RIYADH = "Asia/Riyadh"
#: 1 to 16 February 2026.
WORKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Sun", "Mon", "Tue", "Wed", "Thu", "Sun", "Mon")


def open_between(
    hours: str, begin: str, end: str, zone: str = RIYADH, holidays: tuple[Holiday, ...] = ()
) -> list[tuple[str, str]]:
    """Local times of opening and closing."""
    info = ZoneInfo(zone)
    span = [datetime.fromisoformat(text).replace(tzinfo=info) for text in (begin, end)]
    found = open_intervals(parse_hours(hours), holidays, zone, *span)
    return [
        tuple(f"{moment.astimezone(info):%a %H:%M}" for moment in interval)  # type: ignore[misc]
        for interval in found
    ]


def test_days_and_hours() -> None:
    assert open_between(
        "Sun-Mon 09:00-12:00,13:00-18:00; Sat 10:00-11:00", "2026-03-01", "2026-03-08"
    ) == [
        ("Sun 09:00", "Sun 12:00"),
        ("Sun 13:00", "Sun 18:00"),
        ("Mon 09:00", "Mon 12:00"),
        ("Mon 13:00", "Mon 18:00"),
        ("Sat 10:00", "Sat 11:00"),
    ]


def test_over_midnight_belongs_to_its_start_day() -> None:
    assert open_between("Sat 22:00-02:00", "2026-03-01", "2026-03-09") == [
        ("Sun 00:00", "Sun 02:00"),  # Saturday's, of the week before
        ("Sat 22:00", "Sun 02:00"),
    ]


def test_a_whole_day_and_night_needs_no_second_interval() -> None:
    assert open_between("Mon-Sun 00:00-00:00", "2026-03-01", "2026-03-03") == [
        ("Sun 00:00", "Tue 00:00")
    ]


def test_days_wrap_around_the_week_and_intervals_that_touch_are_one() -> None:
    assert open_between("Sat-Sun 09:00-12:00; Sun 12:00-13:00", "2026-02-28", "2026-03-08") == [
        ("Sat 09:00", "Sat 12:00"),
        ("Sun 09:00", "Sun 13:00"),
        ("Sat 09:00", "Sat 12:00"),
    ]


def test_schedules_follow_each_other(tmp_path: Path) -> None:
    file = tmp_path / "hours.csv"
    file.write_text(
        "valid_from,hours\n2026-02-17,Sun-Thu 10:00-15:00,21:00-23:00\n"
        '2026-02-01,"Sun-Thu 09:00-18:00"\n2026-02-19,\n'
    )
    assert open_between(str(file), "2026-01-29", "2026-02-22") == [
        *((f"{day} 09:00", f"{day} 18:00") for day in WORKDAYS),
        ("Tue 10:00", "Tue 15:00"),
        ("Tue 21:00", "Tue 23:00"),
        ("Wed 10:00", "Wed 15:00"),
        ("Wed 21:00", "Wed 23:00"),
    ]  # nothing before the first, nothing after the empty one


def test_holidays_are_cut_out(tmp_path: Path) -> None:
    file = tmp_path / "holidays.csv"
    file.write_text(
        "date,from,to,name\n2026-03-02\n2026-03-03,10:00,12:00,morning\n"
        "2026-03-04,,,whole\n2026-03-05,named only\n"
    )
    assert open_between(
        "Sun-Thu 09:00-18:00", "2026-03-01", "2026-03-08", holidays=parse_holidays(file)
    ) == [
        ("Sun 09:00", "Sun 18:00"),
        ("Tue 09:00", "Tue 10:00"),
        ("Tue 12:00", "Tue 18:00"),
    ]


def test_an_hour_that_daylight_saving_skips_or_repeats() -> None:
    # Berlin, 29 March 2026: 2:00 is followed by 3:00. 25 October: 2:00 to 3:00 comes twice.
    berlin = ZoneInfo("Europe/Berlin")
    for day, hours in (("2026-03-29", 2), ("2026-10-25", 4)):
        begin = datetime.fromisoformat(day).replace(tzinfo=berlin)
        found = open_intervals(
            parse_hours("Sun 01:00-04:00"), (), "Europe/Berlin", begin, begin + timedelta(days=1)
        )
        assert sum((end - start for start, end in found), timedelta()) == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Sun-Fox 09:00-18:00", "the days are"),
        ("Sun-Thu 9-18", "must look like"),
        ("Sun-Thu 09:00-25:00", "from 00:00 to 24:00"),
        ("Sun-Thu 09:60-10:00", "from 00:00 to 24:00"),
        ("no/such/file.csv", "readable"),
    ],
)
def test_a_mistake_in_the_hours_is_explained(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_hours(text)


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ("2026-13-01,Sun 09:00-10:00", "line 2: dates must be"),
        ("2026-01-01,Sun 09:00-10:00\n2026-01-01,Mon 09:00-10:00", "line 3: another line"),
        ("2026-01-01,Someday", "line 2: must look like"),
        ("", "holds no line"),
    ],
)
def test_a_mistake_in_a_file_of_hours_is_named_by_its_line(
    tmp_path: Path, lines: str, complaint: str
) -> None:
    file = tmp_path / "hours.csv"
    file.write_text(f"valid_from,hours\n{lines}\n")
    with pytest.raises(ValueError, match=complaint):
        parse_hours(str(file))


def test_a_mistake_among_holidays_is_named_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "holidays.csv"
    file.write_text("2026-03-01,morning,noon,x\n")
    with pytest.raises(ValueError, match="line 1: times must be"):
        parse_holidays(file)
    file.write_text("# remark\nsoon\n")
    with pytest.raises(ValueError, match="line 2: dates must be"):
        parse_holidays(file)


# --- against counting ---------------------------------------------------------------------------

_ZONES = (
    "Asia/Riyadh",
    "Europe/Berlin",
    "America/St_Johns",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
)
_BEGINNINGS = ("2026-03-26", "2026-10-22", "2026-04-02", "2026-02-14", "2026-11-01")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def _clock(random: Random) -> str:
    return f"{random.randrange(24):02}:{random.choice((0, 0, 15, 30, 59)):02}"


def _hours(random: Random) -> str:
    groups = []
    for _ in range(random.randint(1, 3)):
        days = f"{random.choice(_DAYS)}-{random.choice(_DAYS)}"
        spans = ",".join(f"{_clock(random)}-{_clock(random)}" for _ in range(random.randint(1, 2)))
        groups.append(f"{days} {spans}")
    return "; ".join(groups)


def _is_open(wall: datetime, schedules: list[Schedule], holidays: list[Holiday]) -> bool:
    """Whether somebody is at work at a time on the wall: looked up, not computed."""
    if any(holiday.starts <= wall < holiday.ends for holiday in holidays):
        return False
    for day in (wall.date(), wall.date() - timedelta(days=1)):
        in_force = [s for s in schedules if s.valid_from is None or s.valid_from <= day]
        since = wall - datetime.combine(day, time())
        if in_force and any(
            start <= since < end for start, end in in_force[-1].week[day.weekday()]
        ):
            return True
    return False


def test_business_seconds_equal_a_count_second_by_second() -> None:
    """2,000 intervals: 80 random schedules in zones with odd offsets, 25 intervals each.

    The oracle asks for every second whether it is inside, by its time on the wall; schedules change
    on whole minutes, so all seconds of a minute have one answer.
    """
    random = Random(7)
    for _ in range(80):
        zone = random.choice(_ZONES)
        begin = datetime.fromisoformat(random.choice(_BEGINNINGS)).replace(tzinfo=UTC)
        end = begin + timedelta(days=6)
        middle = (begin + timedelta(days=3)).date()
        schedules = [parse_hours(_hours(random))[0]]
        if random.random() < 0.5:
            schedules.append(Schedule(middle, parse_hours(_hours(random))[0].week))
        midnight = datetime.combine(middle, time())
        holidays = [
            Holiday(midnight + timedelta(hours=a), midnight + timedelta(hours=a + length))
            for a, length in ((random.randrange(-40, 40), random.randint(1, 24)) for _ in range(2))
        ]
        info = ZoneInfo(zone)
        minutes = [
            _is_open(
                (begin + timedelta(minutes=n)).astimezone(info).replace(tzinfo=None),
                schedules,
                holidays,
            )
            for n in range(6 * 1440)
        ]
        seconds = np.concatenate([[0], np.cumsum(np.repeat(minutes, 60))])
        found = open_intervals(schedules, holidays, zone, begin, end)
        for _ in range(25):
            first, last = sorted(random.randrange(6 * 86_400 + 1) for _ in range(2))
            a, b = begin + timedelta(seconds=first), begin + timedelta(seconds=last)
            inside = sum(
                max(0.0, (min(closes, b) - max(opens, a)).total_seconds())
                for opens, closes in found
            )
            assert inside == seconds[last] - seconds[first], (zone, a, b)
