"""The marts as assets: one step brings them up to core, each reports its rows and seconds.

They share a step because they share their work: messages are sorted into sessions once.
"""

from collections.abc import Iterator

import dagster as dg

from assets.checks import as_asset_check, specs_of
from assets.failures import failing_clearly
from assets.tables import model_keys, table_result, table_spec
from sync import checks
from warehouse.lake.connection import Lake
from warehouse.marts import refresh
from warehouse.models.model import models
from warehouse.settings.environment import Settings


@dg.multi_asset(
    name="marts",
    specs=[table_spec(model, model_keys(model)) for model in models("marts")],
    description="Computes every mart anew where core changed.",
)
def marts_step(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    settings: dg.ResourceParam[Settings],
) -> Iterator[dg.MaterializeResult[None]]:
    """Refresh, and report the rows computed of each mart."""
    with failing_clearly(context):
        done = refresh.refresh(lake, settings)
    context.log.info("rows computed: %s", sum(one.written for one in done.values()))
    with failing_clearly(), lake.snapshot() as connection:
        for model in models("marts"):
            one = done[model.name]
            numbers = {"rows_computed": one.written, "seconds": round(one.seconds, 3)}
            yield table_result(connection, model, numbers)


@dg.multi_asset_check(name="mart_checks", specs=specs_of(checks.checks_of_marts()))
def mart_checks(lake: dg.ResourceParam[Lake]) -> Iterator[dg.AssetCheckResult]:
    """Query the lake for rows that contradict a statement."""
    with failing_clearly():
        results = checks.mart_results(lake)
    yield from map(as_asset_check, results)
