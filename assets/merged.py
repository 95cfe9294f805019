"""One step for messages, calls and IVR calls: made of timelines and webhooks together."""

from collections.abc import Iterator

import dagster as dg

from assets.checks import as_asset_check, specs_of
from assets.failures import failing_clearly
from assets.tables import model_keys, table_result, table_spec
from sync import checks
from warehouse.lake.connection import Lake
from warehouse.merge.checks import webhook_coverage
from warehouse.merge.messages import Merged, merge
from warehouse.models.model import merged_models

#: The tables that one merge writes.
_MODELS = {model.name: model for model in merged_models()}
#: The step's tables as assets.
MERGED_KEYS = [dg.AssetKey(["core", name]) for name in _MODELS]


@dg.multi_asset(
    name="merged",
    specs=[table_spec(model, model_keys(model)) for model in _MODELS.values()],
    description="Merges messages and calls of timelines and webhooks, where these changed.",
)
def merged(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]
) -> Iterator[dg.MaterializeResult[None]]:
    """Merge, and measure every table."""
    with failing_clearly(context):
        done = merge(lake)
    context.log.info("%s", done)
    numbers = _numbers(done)
    with failing_clearly(), lake.snapshot() as connection:
        numbers["messages"]["webhook_coverage"] = webhook_coverage(connection)
        for name, table in _MODELS.items():
            yield table_result(connection, table, numbers.get(name))


def _numbers(done: Merged) -> dict[str, dict[str, int | float]]:
    return {
        "messages": {"rows_changed": done.messages},
        "calls": {"rows_changed": done.calls},
        "ivr_calls": {"rows_changed": done.ivr_calls},
    }


@dg.multi_asset_check(name="merged_checks", specs=specs_of(checks.checks_of_merged()))
def merged_checks(lake: dg.ResourceParam[Lake]) -> Iterator[dg.AssetCheckResult]:
    """Compare messages with the events and deliveries that they are made of."""
    with failing_clearly():
        results = checks.merged_results(lake)
    yield from map(as_asset_check, results)
