"""A failed step says what to do; old runs are forgotten; doubled rows stop before the marts."""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest
import yaml

from assets.failures import failing_clearly, failure
from hatif.errors import BrakeHeld, Unreachable
from pipelines.definitions import build_defs, defs
from pipelines.hooks import advice, log_advice
from pipelines.retention import forget_runs
from tests.pipelines.conftest import ROOT
from tests.warehouse.marts.world import World


def test_a_failure_that_stays_says_that_it_must_be_put_right_first() -> None:
    wording = advice("contacts", failure(BrakeHeld("contacts: 90 of 100 would be deleted.")))
    assert wording.startswith("contacts: 90 of 100 would be deleted. What was stored stays")
    assert "It will fail again until that is put right" in wording


def test_a_failure_that_may_pass_says_to_do_nothing() -> None:
    error = Unreachable("GET /v1/tags", "no answer", "Check the network")
    assert "do nothing unless it fails again" in advice("tags", failure(error))


def test_what_was_not_foreseen_is_told_without_its_words() -> None:
    wording = advice("tags", ValueError("Layla, +966 50 000 0000"))
    assert "ended with ValueError, a fault of this program" in wording
    assert "Layla" not in wording


def test_every_job_of_ours_has_the_hook() -> None:
    without = {
        job.name
        for job in defs.resolve_all_job_defs()
        if not job.name.startswith("__") and log_advice not in job.hook_defs
    }
    assert without == {"tidy_runs"}


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device", "/home/x"), "it did not end: /home/x: the disk is"),
        (duckdb.ConversionException("Could not convert 'Layla'"), "the lake cannot be read"),
    ],
)
def test_an_error_of_the_system_or_of_duckdb_is_explained_without_data(
    error: Exception, message: str
) -> None:
    with pytest.raises(dg.Failure) as failed, failing_clearly():
        raise error
    assert message in str(failed.value.description)
    assert "Layla" not in str(failed.value.description)
    assert "a fault of this program" not in advice("tags", failed.value)


def test_the_log_of_a_failed_run_ends_in_what_to_do() -> None:
    @dg.op
    def tags(context: dg.OpExecutionContext) -> None:
        with failing_clearly(context):  # type: ignore[arg-type]  # of an op all it uses is there
            raise BrakeHeld("tags: too many would go")

    @dg.job(hooks={log_advice})
    def sync() -> None:
        tags()

    with dg.DagsterInstance.ephemeral() as instance:
        result = sync.execute_in_process(instance=instance, raise_on_error=False)
        reported = [
            entry.user_message
            for entry in instance.all_logs(result.run_id)
            if entry.level == logging.ERROR and entry.dagster_event is None
        ]

    assert len(reported) == 1
    assert "tags: too many would go" in reported[0]


def test_the_instance_we_ship_forgets_runs_that_ended_long_ago_with_their_files(
    tmp_path: Path,
) -> None:
    @dg.job
    def short() -> None:
        dg.op(name="one")(lambda: None)()

    def files() -> set[str]:
        return {path.stem for path in (tmp_path / "history" / "runs").glob("????????-*.db")}

    ours = yaml.safe_load((ROOT / "pipelines" / "dagster.yaml").read_text(encoding="utf-8"))
    with dg.instance_for_test(temp_dir=str(tmp_path), overrides=ours) as instance:
        assert instance.run_retries_enabled
        assert not instance.run_retries_retry_on_asset_or_op_failure
        assert instance.run_monitoring_enabled
        old = short.execute_in_process(instance=instance).run_id
        between = datetime.now(UTC) + timedelta(milliseconds=10)
        while datetime.now(UTC) < between:
            pass
        new = short.execute_in_process(instance=instance).run_id
        assert files() == {old, new}

        assert forget_runs(instance, between) == 1

        assert [run.run_id for run in instance.get_runs()] == [new]
        assert files() == {new}


def test_a_message_that_is_there_twice_never_reaches_the_marts(tmp_path: Path) -> None:
    world = World(tmp_path / "home")
    world.say("c", "customer 03-01 09:00")
    double = "INSERT INTO wh.core.messages FROM core.messages"
    world.lake.write("double it", lambda connection: connection.execute(double) and None)
    opened = dg.ResourceDefinition.hardcoded_resource
    defs = build_defs(opened(None), opened(world.lake), opened(world.settings))

    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def("models").execute_in_process(
            instance=instance, raise_on_error=False
        )

    assert not result.success
    failed = {c.check_name for c in result.get_asset_check_evaluations() if not c.passed}
    assert "rows_are_unique" in failed
    computed = {event.asset_key for event in result.get_asset_materialization_events()}
    assert dg.AssetKey(["core", "messages"]) in computed
    assert not [key for key in computed if key.path[0] == "marts"]
    world.close()
