"""The ids know when their rows were inserted: a clock that disagrees with them is noticed."""

import random
from datetime import UTC, datetime, timedelta, timezone

import pytest

from hatif.clock import Calibration, instant_of, parse_time
from rehearsal.ids import micros, sequential_guid

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
RIYADH = timezone(timedelta(hours=3))


def guid(instant):
    return sequential_guid(micros(instant), random.Random(instant.timestamp()))


def naive(instant, hours=3):
    return (instant + timedelta(hours=hours)).replace(tzinfo=None).isoformat()


def offset(pairs):
    calibration = Calibration()
    times, ids = zip(*pairs, strict=True)
    calibration.observe(list(times), list(ids))
    return calibration.offset_minutes()


def rows(count=20, text=naive, late=timedelta(milliseconds=700)):
    instants = [NOON + timedelta(hours=i) for i in range(count)]
    return [(text(instant), guid(instant + late)) for instant in instants]


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-01T15:00:00", NOON),
        ("2026-11-01T15:00:00.000000", NOON),
        ("2026-11-01T12:00:00Z", NOON),
        ("2026-11-01T15:00:00+03:00", NOON),
        ("2026-11-01T12:00:00.1234567Z", NOON + timedelta(microseconds=123456)),
        ("2026-11-01T15:00:00.1234567", NOON + timedelta(microseconds=123456)),
    ],
)
def test_a_naive_time_is_riyadhs_and_a_labelled_one_is_what_it_says(text, instant):
    assert parse_time(text) == instant


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01T00:00:00", "0001-01-01T00:00:00", "9999-99"]
)
def test_what_is_no_instant_is_none(text):
    """The year 1 is .NET's "no date"; in Riyadh it begins before the calendar does in UTC."""
    assert parse_time(text) is None


def test_the_last_and_first_instants_of_the_calendar_are_no_reason_to_fail():
    assert offset([("0001-01-01T00:00:00", guid(NOON)), *rows()]) == 0
    assert parse_time("9999-12-31T23:59:59-05:00") is None


def test_an_id_carries_the_instant_of_insertion():
    assert instant_of(guid(NOON)) == NOON
    assert instant_of("c0ffee00-0000-4000-8000-000000000000") is None
    assert instant_of("3a") is None
    assert instant_of("3azzzzzz-zzzz-0000-0000-000000000000") is None


def test_times_that_agree_are_off_by_nothing():
    assert offset(rows()) == 0
    assert offset(rows(text=lambda t: t.isoformat())) == 0


@pytest.mark.parametrize("hours", [0, 2, 4, 5.5])
def test_a_changed_clock_shows_to_the_quarter_of_an_hour(hours):
    assert offset(rows(text=lambda t: naive(t, hours))) == (hours - 3) * 60


def test_fewer_than_five_rows_give_no_offset():
    assert offset(rows(4)) is None
    assert offset(rows(5)) == 0


def test_imported_rows_give_no_offset():
    imported = [(naive(NOON - timedelta(days=400 + i)), guid(NOON)) for i in range(90)]
    assert offset(imported) is None
    assert offset([*imported, *rows(10)]) in (0, None)


def test_scattered_rows_give_no_offset():
    late = [(naive(NOON), guid(NOON + timedelta(minutes=47 * i))) for i in range(1, 18)]
    assert offset(late) is None


def test_rows_without_a_time_or_an_instant_give_no_offset():
    nothing = [(None, guid(NOON)), (naive(NOON), None), ("soon", guid(NOON)), (naive(NOON), "x")]
    assert offset(nothing * 10) is None


def test_a_backlog_that_arrives_as_a_block_is_no_changed_clock():
    late = [
        (naive(NOON - timedelta(hours=2, seconds=i)), guid(NOON - timedelta(seconds=i)))
        for i in range(200)
    ]
    assert offset(late) is None
    assert offset([*rows(200), *late]) in (0, None)


def test_a_broadcast_scheduled_for_later_is_no_changed_clock():
    ahead = [(naive(NOON + timedelta(hours=2, seconds=i)), guid(NOON)) for i in range(200)]
    assert offset(ahead) is None


def test_a_clock_that_changes_shows_in_the_rows_inserted_since():
    since = [NOON + timedelta(hours=20 + i) for i in range(15)]
    times, ids = zip(*rows(), *((naive(t, 0), guid(t)) for t in since), strict=True)
    calibration = Calibration()
    for begin in range(0, 35, 7):
        calibration.observe(list(times[begin : begin + 7]), list(ids[begin : begin + 7]))
    assert calibration.offset_minutes() == -180


def test_one_list_of_many_is_no_evidence_of_a_changed_clock():
    calibration = Calibration()
    times, ids = map(list, zip(*rows(text=lambda t: naive(t, 0)), strict=True))
    calibration.observe(times, ids, "one conversation")
    assert calibration.offset_minutes() is None
    calibration.observe(times, ids, "another")
    assert calibration.offset_minutes() == -180


def test_what_is_remembered_does_not_grow_with_the_rows():
    calibration = Calibration()
    for _ in range(200):
        times, ids = zip(*rows(100), strict=True)
        calibration.observe(list(times), list(ids))
    assert len(calibration._hours) <= 96
    assert calibration.offset_minutes() == 0


def test_any_casing_of_the_id_will_do():
    assert offset([(time, record_id.upper()) for time, record_id in rows()]) == 0
