"""Nightly maintenance as an asset: what it freed, night by night."""

import dagster as dg

from assets.failures import failing_clearly
from assets.freshness import Pace
from assets.tables import tags
from warehouse.lake.connection import Lake
from warehouse.lake.maintenance import maintain

MAINTENANCE_KEY = dg.AssetKey(["ops", "maintenance"])


@dg.asset(
    key=MAINTENANCE_KEY,
    description="The lake, kept small; and what that freed. Rows in the catalog move to files, "
    "small files are merged, deleted rows and old files are removed, old snapshots expire: for 30 "
    "days the last snapshot of each day is kept, for two days every one. Sends no requests; syncs "
    "go on in between.",
    group_name="ops",
    kinds={"python", "ducklake"},
    tags=tags(Pace.NIGHT, personal=False),
    freshness_policy=Pace.NIGHT.policy,
    metadata={"fresh": Pace.NIGHT.description},
)
def maintenance(
    context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake]
) -> dg.MaterializeResult[None]:
    """Maintain the lake, and report what was freed."""
    with failing_clearly(context):
        freed = maintain(lake)
    for step, why in freed.put_off.items():
        context.log.warning("put off to the next night: %s: %s", step, why)
    context.log.info("files removed: %s", freed.files_removed + freed.orphans_removed)
    return dg.MaterializeResult(metadata=freed.as_numbers())
