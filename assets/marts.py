"""The marts as assets: one step brings them up to core, each reports its rows and seconds.

They share a step because they share their work: messages are sorted into sessions once.
"""

from collections.abc import Iterator

import dagster as dg

from assets.failures import failing_clearly
from assets.tables import column_schema, table_spec
from warehouse.lake.connection import Lake
from warehouse.marts import refresh, tie_outs
from warehouse.models.model import Model, models
from warehouse.reports import status
from warehouse.settings.environment import Settings


def _spec(model: Model) -> dg.AssetSpec:
    return table_spec(model, [dg.AssetKey(table.split(".")) for table in sorted(model.sources)])


@dg.multi_asset(
    name="marts",
    specs=[_spec(model) for model in models("marts")],
    description="Computes every mart anew where core changed.",
)
def marts_step(
    context: dg.AssetExecutionContext,
    lake: dg.ResourceParam[Lake],
    settings: dg.ResourceParam[Settings],
) -> Iterator[dg.MaterializeResult[None]]:
    """Refresh, and say what was done to each mart."""
    with failing_clearly(context):
        done = refresh.refresh(lake, settings)
    context.log.info("rows computed: %s", sum(one.written for one in done.values()))
    with lake.reading() as connection:
        for model in models("marts"):
            yield dg.MaterializeResult(
                asset_key=[model.schema, model.name],
                metadata={
                    "dagster/row_count": status.table_rows(connection, model.table),
                    "dagster/column_schema": column_schema(model),
                    "rows_computed": done[model.name].written,
                    "seconds": round(done[model.name].seconds, 3),
                },
            )


@dg.multi_asset_check(
    name="mart_checks",
    specs=[
        dg.AssetCheckSpec(one.name, asset=["marts", one.mart], description=one.says)
        for one in tie_outs.tie_outs()
    ],
)
def mart_checks(lake: dg.ResourceParam[Lake]) -> Iterator[dg.AssetCheckResult]:
    """Ask the lake whether every statement holds."""
    with lake.reading() as connection:
        compared = tie_outs.compare(connection)
    for one, wrong in compared:
        yield dg.AssetCheckResult(
            check_name=one.name,
            asset_key=["marts", one.mart],
            passed=wrong == 0,
            severity=dg.AssetCheckSeverity.WARN
            if one.loses_nothing
            else dg.AssetCheckSeverity.ERROR,
            description=f"{wrong:,} wrong. Run: hatif rebuild" if wrong else None,
            metadata={"wrong": wrong},
        )
