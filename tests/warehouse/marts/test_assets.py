"""The marts in Dagster: one asset each, documented, counted, and checked against each other."""

from __future__ import annotations

import dagster as dg
import pytest

from assets.marts import mart_checks, marts_step
from pipelines.definitions import defs
from tests.warehouse.marts.world import World
from warehouse.marts.tie_outs import compare, tie_outs, wrong
from warehouse.models.model import model, models

# The reference page, by hand: what dashboards and other people's SQL hold on to.
CONTRACT = {
    "message_billing_daily": "date channel_id direction message_type country currency messages "
    "delivered failed billable_messages charged_messages unknown_messages estimated_cost "
    "unknown_cost",
    "message_costs": "message_key charged_at charged_on country message_type category rate cost "
    "currency rate_effective_from confidence",
    "delivery_daily": "date channel_id message_type attempted pending sent delivered read failed "
    "delivery_rate read_rate failure_rate median_delivery_seconds p95_delivery_seconds",
    "delivery_errors_daily": "date channel_id error_code failures reason",
    "conversation_sessions": "session_id conversation_id channel_id contact_id session_number "
    "started_at ended_at opened_by inbound_messages outbound_messages calls answered_calls "
    "first_inbound_at first_response_at first_response_seconds first_response_business_seconds "
    "first_responder first_human_response_seconds first_responder_user_id customer_turns "
    "answered_turns median_response_seconds assignments is_unanswered charged_messages",
    "response_times": "conversation_id turn_number session_id channel_id contact_id "
    "customer_messages turn_started_at responded_at response_seconds response_business_seconds "
    "responder_origin responder_user_id late_responded_at late_response_seconds "
    "late_response_business_seconds response_seconds_any",
    "agent_daily": "date user_id user_name is_ai_agent messages_sent conversations_handled "
    "turns_answered median_response_seconds p90_response_seconds calls_answered call_seconds",
    "channel_daily": "date channel_id sessions_started inbound_messages outbound_messages "
    "contacts_active median_first_response_seconds unanswered_sessions calls missed_calls",
    "call_daily": "date channel_id direction calls answered picked_up missed answer_rate "
    "total_seconds median_ringing_seconds",
    "call_service_levels": "date channel_id formula threshold_seconds numerator denominator value",
    "conversation_now": "conversation_id status assignee waiting_since service_window_closes_at "
    "is_window_open last_activity_at tags",
    "contact_summary": "contact_id name phone_e164 country first_seen_at last_activity_at "
    "conversations sessions inbound_messages outbound_messages calls charged_messages costs "
    "select_properties",
    "contact_property_history": "contact_id property_name valid_from value valid_to changed_by",
}


@pytest.mark.parametrize("mart", CONTRACT)
def test_every_mart_of_the_contract_is_an_asset_with_its_columns_explained(mart: str) -> None:
    specs = {spec.key: spec for spec in defs.resolve_all_asset_specs()}
    spec = specs[dg.AssetKey(["marts", mart])]
    columns = spec.metadata["dagster/column_schema"].columns
    assert set(CONTRACT[mart].split()) <= {column.name for column in columns}
    assert [column.name for column in columns if not column.description] == []
    assert spec.group_name == model(f"marts.{mart}").subject
    assert spec.description
    assert list(spec.deps)


@pytest.mark.parametrize("model", models("marts"), ids=lambda model: model.name)
def test_the_table_has_exactly_the_columns_that_its_header_explains(
    reported: World, model: object
) -> None:
    with reported.lake.reading() as connection:
        found = connection.execute(f"DESCRIBE {model.table}").fetchall()  # type: ignore[attr-defined]
    types = {
        name: kind.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ") for name, kind, *_ in found
    }
    assert types == {column.name: column.type for column in model.columns}  # type: ignore[attr-defined]


def test_a_run_computes_counts_and_checks(world: World) -> None:
    world.put("contacts", {"contact_id": "cora", "country": "SA"})
    world.put("conversations", {"conversation_id": "c"})
    world.say("c", "customer 03-01 09:00", "agent 03-01 09:10", "call 03-01 10:00")
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [marts_step, mart_checks],
            resources={"lake": world.lake, "settings": world.settings},
            instance=instance,
        )
    assert result.success
    (reported,) = (
        event.step_materialization_data.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(["marts", "response_times"])
    )
    assert reported["dagster/row_count"].value == reported["rows_computed"].value == 1
    assert reported["seconds"].value >= 0
    checks = result.get_asset_check_evaluations()
    assert len(checks) == len(tie_outs())
    assert [check.check_name for check in checks if not check.passed] == []


def test_every_statement_holds_in_the_world_of_all_stories(reported: World) -> None:
    with reported.lake.reading() as connection:
        found = {one.name: wrong(connection, one) for one in tie_outs()}
    assert {name for name, number in found.items() if number} == set()


def test_what_a_sync_under_way_brought_makes_no_check_fail(world: World) -> None:
    world.refresh()
    world.put("contacts", {"contact_id": "cora", "country": "SA"})
    with world.lake.reading() as connection:
        failed = {one.name for one, number in compare(connection, tie_outs())[0] if number}
    assert failed == {"nothing_waits_to_be_computed"}


def test_marts_that_fell_behind_are_found_out(world: World) -> None:
    world.say("c", "customer 03-01 09:00")
    world.refresh()
    broken = "UPDATE wh.marts.response_times SET response_seconds_any = -1, customer_messages = 2"
    world.lake.write("break it", lambda connection: connection.execute(broken) and None)
    world.say("c", "template 03-01 10:00")
    with world.lake.reading() as connection:
        failed = {one.name for one in tie_outs() if wrong(connection, one)}
    assert {
        "no_answer_before_its_question",
        "turns_hold_every_customer_message",
        "days_hold_every_message",
        "nothing_waits_to_be_computed",
        "conversations_are_known",
    } <= failed
