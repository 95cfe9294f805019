"""Several workspaces in Dagster: partitions of the same assets, and a run works for one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap

from assets import outages
from assets.workspaces import PARTITION, TAG, settings_of
from hatif.sender import RetryPolicy
from pipelines.definitions import defs
from pipelines.recorded import Recorded
from tests.pipelines.several.conftest import NAMES, SECRET
from warehouse.lake.schema import open_lake

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def _run(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    job: str,
    partition: str | None,
    **more: Any,
) -> tuple[dg.DagsterRun, str]:
    """Run a job; the run as it is kept, and all of its log."""
    result = definitions.resolve_job_def(job).execute_in_process(
        instance=instance, partition_key=partition, raise_on_error=False, **more
    )
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    return run, "\n".join(str(entry) for entry in instance.all_logs(run.run_id))


def test_without_the_setting_nothing_has_partitions() -> None:
    snapshot = RepositorySnap.from_def(defs.get_repository_def())
    assert [one for one in snapshot.asset_nodes if one.partitions or one.backfill_policy] == []
    assert [one.name for one in snapshot.partition_sets] == []
    assert [
        one.key for one in snapshot.asset_check_nodes or [] if one.partitions_def_snapshot
    ] == []


def test_with_it_the_same_assets_checks_and_jobs_have_one_for_each_workspace(
    of_several: dg.Definitions,
) -> None:
    one = RepositorySnap.from_def(defs.get_repository_def())
    more = RepositorySnap.from_def(of_several.get_repository_def())

    def plain(snapshot: Any) -> list[Any]:
        return [
            (
                node.asset_key,
                [edge.parent_asset_key for edge in node.parent_edges],
                (node.op_names, node.job_names, node.group_name, node.tags, node.description),
            )
            for node in sorted(snapshot.asset_nodes, key=lambda node: str(node.asset_key))
        ]

    assert plain(more) == plain(one)
    graph = of_several.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.partitions_def is not None
        assert list(node.partitions_def.get_partition_keys()) == list(NAMES)
        assert node.backfill_policy is None  # a run for each, with its partition as a tag
    checks = graph.asset_check_keys
    on_time = {key for key in checks if key.name == "is_on_time"}
    assert checks - on_time == defs.resolve_asset_graph().asset_check_keys
    assert all(graph.get_check_spec(key).partitions_def is not None for key in checks)
    for job in of_several.resolve_all_job_defs():
        is_ours = job.name != "tidy_runs"
        assert (job.partitions_def is not None) == is_ours
        if is_ours and not job.name.startswith("__"):
            assert job.get_tags_for_partition_key("jeddah", None)[TAG] == "jeddah"
            plain_job = defs.resolve_job_def(job.name)
            assert not on_time & set(job.asset_layer.asset_graph.asset_check_keys)
            assert job.asset_layer.selected_asset_keys == plain_job.asset_layer.selected_asset_keys


def test_a_run_works_for_the_workspace_of_its_partition_alone(
    of_several: dg.Definitions, instance: dg.DagsterInstance, data: Path
) -> None:
    before = (data / "jeddah" / "catalog.sqlite").read_bytes()
    run, log = _run(of_several, instance, "maintenance", "riyadh", run_config=_QUIET)
    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert run.tags[TAG] == "riyadh"
    assert "workspace: riyadh" in log
    assert SECRET not in log
    assert (data / "jeddah" / "catalog.sqlite").read_bytes() == before
    key = dg.AssetKey(["ops", "maintenance"])
    assert instance.get_materialized_partitions(key) == {"riyadh"}
    assert not (data.parent / "data" / "catalog.sqlite").exists()


def test_a_mistaken_workspace_fails_its_own_run_with_the_mistake_and_no_other(
    of_several: dg.Definitions, instance: dg.DagsterInstance, data: Path
) -> None:
    failed, log = _run(of_several, instance, "maintenance", "mistaken", run_config=_QUIET)
    assert failed.status is dg.DagsterRunStatus.FAILURE
    assert "mistaken.timezone: is not the name of a time zone" in log
    assert failed.tags["dagster/max_retries"] == "0"
    done, _ = _run(of_several, instance, "maintenance", "jeddah", run_config=_QUIET)
    assert done.status is dg.DagsterRunStatus.SUCCESS


@pytest.mark.parametrize(
    ("tags", "why"),
    [
        ({}, "this run is of no workspace"),
        (
            {
                "dagster/asset_partition_range_start": "riyadh",
                "dagster/asset_partition_range_end": "jeddah",
            },
            "this run is of several workspaces",
        ),
    ],
)
def test_a_run_of_none_or_of_several_is_refused_and_told_the_names(
    of_several: dg.Definitions,
    instance: dg.DagsterInstance,
    data: Path,
    tags: dict[str, str],
    why: str,
) -> None:
    run, log = _run(of_several, instance, "maintenance", None, tags=tags, run_config=_QUIET)
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert why in log
    assert "(riyadh, jeddah, mistaken)" in log


def test_a_run_of_a_workspace_that_is_gone_says_so(
    of_several: dg.Definitions,
    instance: dg.DagsterInstance,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (data.parent / "all.toml").write_text("[jeddah]\n")
    _, log = _run(of_several, instance, "maintenance", "riyadh", run_config=_QUIET)
    assert "there is no workspace riyadh; the nearest is jeddah" in log
    monkeypatch.delenv("HATIF_WORKSPACES")
    _, log = _run(of_several, instance, "maintenance", "riyadh", run_config=_QUIET)
    assert "of the workspace riyadh, and HATIF_WORKSPACES is not set" in log
    assert not (data / "catalog.sqlite").exists()


def test_an_outage_is_that_of_one_workspace(
    of_several: dg.Definitions,
    instance: dg.DagsterInstance,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(RetryPolicy, "longest", lambda *_: 0.0)
    run, _ = _run(of_several, instance, "deep_pass", "riyadh", run_config=_QUIET)
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert outages.standing(instance, "riyadh") is not None
    assert outages.standing(instance, "jeddah") is None


def test_a_sync_from_the_command_line_is_recorded_as_its_workspaces_partition(data: Path) -> None:
    settings = settings_of(dg.DagsterRun(job_name="x", tags={PARTITION: "jeddah"}))
    key = dg.AssetKey(["marts", "message_facts"])
    # In memory: on disk its hundreds of events take longer than what they tell of.
    with dg.DagsterInstance.ephemeral() as instance:
        with open_lake(settings) as lake:
            done = Recorded(instance, settings.workspace).compute(lake, settings, files=False)
        (run,) = instance.get_runs()
        made = instance.get_materialized_partitions(key)
        events = [entry.dagster_event for entry in instance.all_logs(run.run_id)]
    assert done.broken == []
    assert (run.tags[PARTITION], run.tags[TAG]) == ("jeddah", "jeddah")
    assert made == {"jeddah"}
    checked = {
        one.asset_check_evaluation_data.partition
        for one in events
        if one is not None and one.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
    }
    assert checked == {"jeddah"}
