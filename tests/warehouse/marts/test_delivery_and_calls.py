"""The funnel of messages, calls in their senses, and service levels under each formula's name."""

from __future__ import annotations

import pytest

from tests.warehouse.marts.world import World, call, local, tells


@tells(
    "funnel",
    "customer 03-01 09:00",
    ("template 03-01 09:00", {"status": "pending"}),
    ("template 03-01 09:00", {"status": "sent"}),
    ("template 03-01 09:00", {"status": "delivered", "delivered_at": local("03-01 09:00:10")}),
    (
        "template 03-01 09:00",
        {
            "status": "read",
            "delivered_at": local("03-01 09:00:30"),
            "read_at": local("03-01 09:00:20"),
        },
    ),
    (
        "template 03-01 09:00",
        {"status": "read", "delivered_at": None, "read_at": local("03-01 09:00:40")},
    ),
    ("template 03-01 09:00", {"status": "failed", "error_code": 131026, "error_reason": "no"}),
    ("template 03-01 09:00", {"status": "unknown:Queued"}),
)
def test_a_read_message_was_delivered_and_a_delivered_one_sent(reported: World) -> None:
    row = reported.one("FROM marts.delivery_daily WHERE channel_id = 'of funnel'")
    assert (row["attempted"], row["pending"], row["sent"]) == (7, 1, 4)
    assert (row["delivered"], row["read"], row["failed"]) == (3, 2, 1)
    assert row["delivery_rate"] == 3 / 5  # delivered / (sent + failed)
    assert row["failure_rate"] == 1 / 5
    assert row["read_rate"] == 2 / 3
    # The earlier of delivery and reading: 10, 20 and 40 s. 95 %: 20 + 0.9 * 20.
    assert row["median_delivery_seconds"] == 20
    assert row["p95_delivery_seconds"] == pytest.approx(38)


@tells("nothing sent", ("template 03-01 09:00", {"status": "pending"}))
def test_rates_over_nothing_are_unknown(reported: World) -> None:
    row = reported.one("FROM marts.delivery_daily WHERE channel_id = 'of nothing sent'")
    assert (row["delivery_rate"], row["read_rate"], row["failure_rate"]) == (None, None, None)


@tells(
    "errors",
    ("agent 03-01 09:00", {"status": "failed", "error_code": 1, "error_reason": "beta"}),
    ("agent 03-01 09:01", {"status": "failed", "error_code": 1, "error_reason": "alpha"}),
    ("agent 03-01 09:02", {"status": "failed", "error_code": 1}),
    ("agent 03-01 09:03", {"status": "failed", "error_code": None, "error_reason": "words"}),
)
def test_failures_are_counted_by_code_with_the_commonest_reason(reported: World) -> None:
    rows = reported.rows(
        "SELECT error_code, failures, reason FROM marts.delivery_errors_daily "
        "WHERE channel_id = 'of errors' ORDER BY error_code"
    )
    assert [tuple(row.values()) for row in rows] == [(1, 3, "alpha"), (None, 1, "words")]


MISSED = {"status": "missed", "is_completed": False, "is_answered": False, "duration_seconds": None}


@tells(
    "calls",
    ("call 03-01 09:00", {"ringing_seconds": 4.0, "duration_seconds": 100.0}),
    ("call 03-01 09:10", {"ringing_seconds": 6.0, "duration_seconds": 50.0}),
    ("call 03-01 09:20", {**MISSED, "ringing_seconds": 30.0}),
    # Picked up by a machine, and missed all the same.
    ("call 03-01 09:30", {**MISSED, "is_answered": True, "ringing_seconds": 2.0}),
    # Still ringing: neither answered nor missed.
    (
        "call 03-01 09:40",
        {
            "status": "ringing",
            "is_completed": None,
            "is_answered": None,
            "ringing_seconds": None,
            "duration_seconds": None,
        },
    ),
    (
        "call 03-01 09:50",
        {
            "direction": "outbound",
            "status": "no_answer",
            "is_completed": False,
            "is_answered": False,
            "duration_seconds": None,
        },
    ),
)
def test_answered_picked_up_and_missed_are_three_things(reported: World) -> None:
    rows = {
        row["direction"]: row
        for row in reported.rows("FROM marts.call_daily WHERE channel_id = 'of calls'")
    }
    inbound = rows["inbound"]
    assert (inbound["calls"], inbound["answered"], inbound["picked_up"]) == (5, 2, 3)
    assert inbound["missed"] == 2
    assert inbound["answer_rate"] == 2 / 5
    assert inbound["total_seconds"] == 150
    assert inbound["median_ringing_seconds"] == 5  # of 2, 4, 6, 30
    assert rows["outbound"]["missed"] == 0  # nobody misses a call that we make


def test_the_missed_calls_of_a_channel_are_those_of_its_calls(reported: World) -> None:
    row = reported.one("FROM marts.channel_daily WHERE channel_id = 'of calls'")
    assert (row["calls"], row["missed_calls"]) == (6, 2)


def test_one_set_of_calls_has_seven_service_levels(world: World) -> None:
    # Answered 1,000, of these 860 within 20 s; abandoned 60, of these 10 within
    # 5 s, 20 within 20 s, 40 later. Divided by ten.
    waits = [
        (86, True, 20.0),
        (14, True, 21.0),
        (1, False, 5.0),
        (1, False, 20.0),
        (4, False, 50.0),
    ]
    rows = []
    for number, answered, wait in waits:
        for _ in range(number):
            state = {"is_answered": True} if answered else MISSED
            rows.append(
                call(
                    f"k{len(rows)}", "c", local("03-01 09:00"), **state | {"ringing_seconds": wait}
                )
            )
    rows[0]["status"] = None  # a pickup time is known, and nothing else
    rows.append(call("odd", "c", local("03-01 09:00"), is_answered=None))
    rows.append(call("rings", "c", local("03-01 09:00"), status="ringing"))
    rows.append(call("ours", "c", local("03-01 09:00"), direction="outbound"))
    world.put("calls", *rows)
    world.refresh()
    found = {
        row["formula"]: row
        for row in world.rows("FROM marts.call_service_levels WHERE threshold_seconds = 20")
    }
    assert {name: (row["numerator"], row["denominator"]) for name, row in found.items()} == {
        "all_in_time": (88, 106),  # 83.0 %
        "answered_only": (86, 100),  # 86.0 %
        "answered_and_abandoned": (86, 106),  # 81.1 %
        "late_abandons_only": (86, 104),  # 82.7 %
        "short_abandons_removed": (86, 105),  # 81.9 %
        "short_abandons_as_success": (87, 106),  # 82.1 %
        "abandons_removed": (86, 100),  # 86.0 %
    }
    assert {row["unknown_calls"] for row in found.values()} == {2}
    assert found["all_in_time"]["value"] == 88 / 106


def test_a_call_without_a_conversation_counts_on_its_day_and_in_no_session(world: World) -> None:
    world.put("calls", call("stray", None, local("03-01 09:00")))
    world.refresh()
    assert world.one("FROM marts.call_daily")["calls"] == 1
    assert world.rows("FROM marts.conversation_sessions") == []
    world.put("calls", call("stray", None, local("03-02 09:00")))
    world.refresh()
    assert str(world.one("FROM marts.call_daily")["date"]) == "2026-03-02"


def test_sums_of_durations_do_not_depend_on_the_order_of_calls(world: World) -> None:
    seconds = [0.1, 0.2, 0.3, 1e9, 0.7]
    for channel, order in (("up", seconds), ("down", seconds[::-1])):
        for number, length in enumerate(order):
            key = f"{channel} {number}"
            agent = {"channel_id": channel, "user_id": channel, "duration_seconds": length}
            world.put("calls", call(key, channel, local("03-01 09:00"), **agent))
    world.refresh()
    for mart, column in (("call_daily", "total_seconds"), ("agent_daily", "call_seconds")):
        assert [row[column] for row in world.rows(f"FROM marts.{mart}")] == [1000000001.3] * 2
