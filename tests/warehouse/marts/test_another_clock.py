"""The same marts under another clock: daylight saving, nights of work, parts of holidays.

What is open is counted minute by minute from what the wall clock shows; the rest is the second
implementation in plain Python, with that zone and another gap between sessions.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import accumulate
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.warehouse.marts import test_another_implementation as other
from tests.warehouse.marts.chance import BEGIN, Chance
from tests.warehouse.marts.plain import common, handling, sessions
from tests.warehouse.marts.test_another_implementation import Both
from tests.warehouse.marts.world import World

_ZONE = ZoneInfo("Europe/Berlin")  # its clocks go forward on 29 March 2026
_HOURS = "Mon-Fri 22:00-06:00; Sat 00:00-24:00; Sun 01:30-02:45,02:50-04:00"
_HOLIDAYS = "2026-03-06,Friday\n2026-03-10,22:00,03:00,Night\n2026-03-29,00:30,02:50,Change\n"
_CLOSED = (("03-10 22:00", "03-11 03:00"), ("03-29 00:30", "03-29 02:50"))
_GAP_HOURS = 2
_FIRST, _DAYS = BEGIN - timedelta(days=1), 80


def _is_open(at: datetime) -> bool:
    """Whether the wall shows business time, spelt out for the hours and holidays above."""
    wall = at.astimezone(_ZONE)
    stamp = f"{wall:%m-%d %H:%M}"
    date, clock, day = stamp[:5], stamp[6:], wall.weekday()
    if date == "03-06" or any(begin <= stamp < end for begin, end in _CLOSED):
        return False
    in_the_evening = day <= 4 and clock >= "22:00"
    after_midnight = 1 <= day <= 5 and clock < "06:00"
    on_sunday = day == 6 and ("01:30" <= clock < "02:45" or "02:50" <= clock < "04:00")
    return in_the_evening or after_midnight or day == 5 or on_sunday


_MINUTES = [_FIRST + timedelta(minutes=n) for n in range(_DAYS * 1_440)]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    home: Path = tmp_path_factory.mktemp("clock")
    (home / "holidays.csv").write_text(_HOLIDAYS)
    opened = list(map(_is_open, _MINUTES))
    before = [0, *accumulate(60 * one for one in opened)]

    def seconds_before(at: datetime) -> float:
        minute = bisect_right(_MINUTES, at) - 1
        return before[minute] + opened[minute] * (at - _MINUTES[minute]).total_seconds()

    world = World(
        home / "home",
        timezone=_ZONE.key,
        business_hours=_HOURS,
        holidays=str(home / "holidays.csv"),
        session_gap_hours=_GAP_HOURS,
    )
    chance = Chance(seed=29)
    for number in range(150):
        chance.conversation(f"c{number}", 8)
    chance.put(world)
    world.refresh()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(common, "RIYADH", _ZONE)
        patched.setattr(handling, "RIYADH", _ZONE)
        patched.setattr(sessions, "_GAP", timedelta(hours=_GAP_HOURS))
        patched.setattr(
            sessions,
            "business_seconds",
            lambda begin, end: seconds_before(end) - seconds_before(begin),
        )
        yield Both(world, chance)
    world.close()


def test_the_clock_of_the_test_goes_forward_and_opens_at_night() -> None:
    texts = ("03-02T21:00", "03-02T20:00", "03-06T21:00", "03-29T00:45", "03-29T01:00")
    found = [_is_open(datetime.fromisoformat(f"2026-{text}Z")) for text in texts]
    assert found == [True, False, False, False, True]


test_turns = other.test_turns_equal_those_in_plain_python
test_sessions = other.test_sessions_equal_those_in_plain_python
test_hand_overs = other.test_hand_overs_and_what_ai_resolved_equal_those_in_plain_python
test_placed_messages = other.test_messages_in_sessions_and_local_hours_equal_those_in_plain_python
test_placed_calls = other.test_calls_in_sessions_and_local_hours_equal_those_in_plain_python
test_the_funnel = other.test_the_delivery_funnel_equals_that_in_plain_python
test_agents = other.test_agents_by_day_equal_those_in_plain_python
test_channels = other.test_channels_by_day_equal_those_in_plain_python
test_calls = other.test_calls_by_day_equal_those_in_plain_python
test_service_levels = other.test_service_levels_equal_those_in_plain_python
