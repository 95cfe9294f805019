"""The Dagster instance of commands: jobs run, and nothing of them is kept."""

import dagster as dg

from pipelines import unrecorded


@dg.asset
def one() -> int:
    return 1


@dg.asset(retry_policy=dg.RetryPolicy(max_retries=1))
def two(context: dg.AssetExecutionContext, one: int) -> int:
    if not context.op_execution_context.retry_number:
        raise ValueError
    return one + 1


def test_a_job_runs_retries_and_reports_while_no_event_is_kept() -> None:
    with unrecorded.instance() as instance:
        result = dg.materialize([one, two], instance=instance)
        assert result.success
        assert result.output_for_node("two") == 2
        assert len(result.get_asset_materialization_events()) == 2
        assert not instance.all_logs(result.run_id)
        assert instance.get_latest_materialization_event(two.key) is None
