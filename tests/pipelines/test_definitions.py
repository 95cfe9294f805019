"""What Dagster loads: complete, documented, and on time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from assets.freshness import Pace, pace_of
from assets.tables import RAW_SCHEMA
from hatif.streams import STREAMS
from pipelines.definitions import defs
from tests.pipelines.conftest import ROOT, Synced
from warehouse.lake.connection import Lake
from warehouse.lake.locks import exclusive
from warehouse.models.model import models

# docs/contract.md, by hand: what dashboards and other people's SQL hold on to.
CONTRACT = {
    "channels": "channel_id workspace_id name channel_type phone_number phone_number_id created_at "
    "modified_at deleted_at",
    "users": "user_id membership_id name email phone_number role is_ai_agent created_at deleted_at",
    "tags": "tag_id name icon is_pinned created_at deleted_at",
    "property_definitions": "property_id name key property_type is_required select_options "
    "created_at modified_at deleted_at",
    "property_statistics": "property_id observed_at payload",
    "contacts": "contact_id workspace_id name phone_number phone_e164 country contact_type email "
    "company position custom_fields created_at modified_at deleted_at",
    "contact_properties": "contact_id property_id property_name property_type text_value "
    "number_value date_value select_value",
    "contact_notes": "note_id contact_id text creator_name creator_id created_at deleted_at",
    "contact_history": "history_id contact_id property_name old_value new_value changed_at "
    "changed_by deleted_at",
    "conversations": "conversation_id channel_id contact_id status sentiment created_at "
    "last_activity_at assignee_user_id assigned_ai_agent_id is_ai_assignee assignee_name "
    "last_event_source last_event_direction last_event_status last_event_at event_count deleted_at",
    "conversation_tags": "conversation_id tag_id",
    "timeline_events": "event_id conversation_id contact_id channel_id source source_id direction "
    "occurred_at status error_code failure_reason is_ai attachment_url owner_user_id ai_agent_id "
    "handler_name duration_seconds media_size ringing_seconds body ai_summary ai_transcription "
    "reply_to_event_id thread_id thread_is_resolved thread_message_count latitude longitude "
    "location_name location_address assigned_user_id assigned_ai_agent_id assigned_by_user_id "
    "deleted_at",
    "assignments": "event_id conversation_id assigned_at assigned_user_id assigned_ai_agent_id "
    "assigned_by_user_id deleted_at",
    "messages": "message_key event_id wamid conversation_id contact_id channel_id direction "
    "message_type body media_url mime_type latitude longitude sent_at status delivered_at read_at "
    "failed_at error_code error_reason sender_user_id owner_user_id ai_agent_id origin "
    "origin_confidence is_probable_auto_reply is_billable is_charged edited_at withdrawn_at "
    "in_timeline in_webhooks deleted_at",
    "message_statuses": "delivery_id message_key status is_billable error_code received_at",
    "calls": "call_key event_id conversation_id contact_id channel_id direction status is_answered "
    "is_completed started_at picked_up_at ended_at duration_seconds ringing_seconds user_id "
    "user_name ai_agent_id is_ai_call caller_number callee_number contact_number recording_url "
    "summary sentiment transcription csat_rating csat_method csat_at in_timeline in_webhooks "
    "deleted_at",
    "ivr_calls": "ivr_id external_id channel_id destination_number status result pressed_digit "
    "initiated_at ringing_at answered_at completed_at duration_seconds call_id error_message "
    "hangup_cause",
}


def spec_of(*path: str) -> dg.AssetSpec:
    specs = {spec.key: spec for spec in defs.resolve_all_asset_specs()}
    return specs[dg.AssetKey(list(path))]


def test_dagsters_own_server_loads_the_checkout_without_flags(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from dagster._core.workspace.load_target import PyProjectFileTarget

    monkeypatch.chdir(ROOT)
    (origin,) = PyProjectFileTarget("pyproject.toml").create_origins()
    assert origin.location_name == "hatif"
    assert origin.loadable_target_origin.module_name == "pipelines.definitions"
    dg.Definitions.validate_loadable(defs)


@pytest.mark.parametrize("stream", STREAMS)
def test_every_stream_is_an_asset_that_explains_itself(stream: str) -> None:
    spec = spec_of("raw", stream)
    assert spec.group_name == "raw"
    assert spec.kinds
    assert (spec.description or "").startswith(STREAMS[stream].about)
    assert STREAMS[stream].path in spec.metadata["source"]
    assert spec.freshness_policy


@pytest.mark.parametrize("stream", STREAMS)
def test_every_stream_has_its_checks(stream: str) -> None:
    keys = defs.resolve_asset_graph().asset_check_keys
    assert {key.name for key in keys if key.asset_key == dg.AssetKey(["raw", stream])} == {
        "certificate_is_complete",
        "every_list_was_read",
        "no_rejects",
        "service_is_as_known",
    }


def _name(spec: Any) -> str:
    return spec.key.to_user_string()


@pytest.mark.parametrize(
    "spec",
    sorted((one for one in defs.resolve_all_asset_specs() if one.group_name != "ops"), key=_name),
    ids=_name,
)
def test_every_table_is_documented_grouped_and_checked(spec: dg.AssetSpec) -> None:
    assert not set(spec.description or "*") & set("*#`\\")  # the catalog's list shows it as it is
    assert all(spec.metadata[what] for what in ("grain", "source", "fresh"))
    assert len(spec.kinds) == 2
    assert not spec.owners  # no team of ours exists where this is installed
    assert spec.tags["pace"] in {"quarter_hour", "hour", "on_arrival"}
    schema = spec.metadata["dagster/column_schema"]
    assert schema.columns
    assert all(column.description for column in schema.columns)
    assert spec.metadata["dagster/table_name"].startswith("wh.")
    checks = defs.resolve_asset_graph().asset_check_keys
    assert [check for check in checks if check.asset_key == spec.key]


def test_layers_are_groups_and_marts_are_grouped_by_their_subject() -> None:
    groups: dict[str, set[str]] = {}
    for spec in defs.resolve_all_asset_specs():
        groups.setdefault(str(spec.group_name), set()).add(spec.key.path[0])
    subjects = {group for group, layers in groups.items() if layers == {"marts"}}
    assert subjects == {"billing", "calls", "contacts", "conversations", "messages"}
    assert {group: groups[group] for group in groups.keys() - subjects} == {
        layer: {layer} for layer in ("raw", "core", "ops")
    }


def test_maintenance_is_documented_and_done_every_night() -> None:
    spec = spec_of("ops", "maintenance")
    assert not set(spec.description or "*") & set("*#`\\")
    assert "30 days" in (spec.description or "")
    assert spec.tags["pace"] == "night"
    assert spec.freshness_policy == Pace.NIGHT.policy


def test_a_check_blocks_where_wrong_rows_would_spread_and_nowhere_else() -> None:
    graph = defs.resolve_asset_graph()
    blocking = {
        (check.asset_key.to_user_string(), check.name)
        for check in graph.asset_check_keys
        if graph.get_check_spec(check).blocking
    }
    assert blocking == {
        ("core/messages", "rows_are_unique"),
        ("core/calls", "rows_are_unique"),
    }


@pytest.mark.parametrize("table", CONTRACT)
def test_every_table_of_the_contract_has_its_columns_and_each_is_explained(table: str) -> None:
    spec = spec_of("core", table)
    schema = spec.metadata["dagster/column_schema"]
    columns = {column.name: column.description for column in schema.columns}
    assert set(CONTRACT[table].split()) <= columns.keys()
    assert [name for name, about in columns.items() if not about] == []
    assert spec.description
    assert spec.group_name == "core"


def test_every_model_is_an_asset() -> None:
    tables = {(model.schema, model.name) for model in (*models("core"), *models("marts"))}
    keys = {tuple(spec.key.path) for spec in defs.resolve_all_asset_specs()}
    assert keys - {("raw", "webhook_events"), ("ops", "maintenance")} == tables | {
        ("raw", stream) for stream in STREAMS
    }


def test_what_tells_of_people_is_tagged() -> None:
    tagged = {
        spec.key.to_user_string() for spec in defs.resolve_all_asset_specs() if "pii" in spec.tags
    }
    assert {"core/contacts", "core/messages", "core/users", "raw/timelines"} <= tagged
    assert not tagged & {"core/tags", "core/channels", "raw/property_definitions"}
    assert {"marts/contact_summary", "marts/agent_daily", "marts/message_costs"} <= tagged
    assert not tagged & {"marts/call_daily", "marts/delivery_daily", "marts/channel_daily"}


def test_the_lake_has_the_columns_that_dagster_shows(synced: Synced) -> None:
    with Lake(synced.settings, read_only=True) as lake:
        found = lake.reader().execute("DESCRIBE raw.records").fetchall()
    shown = {column.name: column.type for column in RAW_SCHEMA.columns}
    assert {
        name: kind.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ") for name, kind, *_ in found
    } == shown


def _tick(name: str) -> Any:
    schedule = next(s for s in defs.schedules or () if s.name == f"{name}_schedule")
    with dg.instance_for_test() as instance:
        context = dg.build_schedule_context(instance, scheduled_execution_time=datetime.now(UTC))
        return schedule(context)  # type: ignore[operator]


def test_every_stream_is_read_by_a_schedule_that_is_on() -> None:
    graph = defs.resolve_asset_graph()
    jobs = {job.name: job for job in defs.resolve_all_job_defs()}
    read: set[str] = set()
    for schedule in defs.schedules or ():
        assert isinstance(schedule, dg.ScheduleDefinition)
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
        keys = jobs[schedule.job_name].asset_layer.selected_asset_keys
        read |= {key.path[-1] for key in keys & graph.get_all_asset_keys() if key.path[0] == "raw"}
    assert read >= set(STREAMS)


def test_every_sensor_is_on() -> None:
    sensors = {sensor.name: sensor.default_status for sensor in defs.sensors or ()}
    assert sensors == dict.fromkeys(
        (
            "webhook_files",
            "models_after_success",
            "models_after_failure",
            "service_outage",
            "lost_runs",
        ),
        dg.DefaultSensorStatus.RUNNING,
    )


def test_no_asset_is_late_while_the_schedules_are_kept() -> None:
    longest = timedelta(minutes=50)  # the nightly pass: its requests at 60 a minute
    for spec in defs.resolve_all_asset_specs():
        pace = next((one for one in Pace if one.name.lower() == spec.tags["pace"]), None)
        assert (spec.freshness_policy is None) == (pace is None)
        if pace is not None:
            assert pace.every + longest + timedelta(minutes=15) < pace.warn_after < pace.fail_after
    jobs = {job.name: job for job in defs.resolve_all_job_defs()}
    for schedule in defs.schedules or ():
        assert isinstance(schedule, dg.ScheduleDefinition)
        pace = {"*/15 * * * *": Pace.QUARTER_HOUR, "7 * * * *": Pace.HOUR}.get(
            str(schedule.cron_schedule)
        )
        if pace is not None:
            read = {key.path[-1] for key in jobs[schedule.job_name].asset_layer.selected_asset_keys}
            promised = {name for name in STREAMS if pace_of(name) is pace}
            assert read >= promised


def test_no_two_schedules_tick_in_the_same_minute() -> None:
    minutes: list[int] = []
    for schedule in defs.schedules or ():
        assert isinstance(schedule, dg.ScheduleDefinition)
        minute = str(schedule.cron_schedule).split()[0]
        step = int(minute[2:]) if minute.startswith("*/") else 0
        minutes += range(0, 60, step) if step else [int(minute)]
    assert len(minutes) == len(set(minutes)) >= 7


def test_a_tick_without_credentials_says_so() -> None:
    skipped = _tick("hot_sync")
    assert isinstance(skipped, dg.SkipReason)
    assert "HATIF_CLIENT_ID" in (skipped.skip_message or "")


def test_a_tick_while_a_sync_is_under_way_leaves_it_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"HOME": str(tmp_path), "CLIENT_ID": "x", "CLIENT_SECRET": "y"}.items():
        monkeypatch.setenv(f"HATIF_{name}", value)
    assert isinstance(_tick("hot_sync"), dg.RunRequest)
    with exclusive(tmp_path / "api.lock", "sync"):
        skipped = _tick("hot_sync")
    assert isinstance(skipped, dg.SkipReason)
    assert "another sync is under way: sync" in (skipped.skip_message or "")
    assert isinstance(_tick("hot_sync"), dg.RunRequest)
