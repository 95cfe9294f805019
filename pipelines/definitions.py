"""What Dagster loads: start reading here.

Streams (``hatif/streams.py``) become steps, SQL files (``warehouse/models``) become tables, and
one session a run (``sync/session.py``) hands all of them the same client, budget and lake. With
HATIF_WORKSPACES each of them has a partition for each workspace.
"""

from collections.abc import Sequence

import dagster as dg

from assets import on_time
from assets.checks import STREAM_CHECKS
from assets.lake import lake_resource, settings_resource
from assets.maintenance import maintenance
from assets.marts import mart_checks, marts_step
from assets.merged import merged, merged_checks
from assets.service import session_resource
from assets.streams import STREAM_ASSETS
from assets.webhooks import webhook_checks, webhook_events
from assets.workspaces import keys_of, partitioned, partitioned_checks, several
from pipelines import jobs
from pipelines.jobs import JOBS
from pipelines.lost_runs import lost_runs
from pipelines.on_time import late_workspaces
from pipelines.retention import tidy_runs
from pipelines.schedules import SCHEDULES, schedules_of
from pipelines.sensors import SENSORS
from pipelines.sensors_of_several import sensors_of


def build_defs(
    session: dg.ResourceDefinition | None = None,
    lake: dg.ResourceDefinition | None = None,
    settings: dg.ResourceDefinition | None = None,
    schedules: Sequence[dg.ScheduleDefinition] | None = None,
    workspaces: Sequence[str] = (),
) -> dg.Definitions:
    """Put everything together.

    Args:
        session: stands in for the one from settings, e.g. one already open.
        lake: the same; of an open session, its lake.
        settings: the same for settings.
        schedules: stand in for ours, at other times.
        workspaces: names of several; none where there is one workspace, without partitions.
    """
    assets = [*STREAM_ASSETS, webhook_events, merged, marts_step, maintenance]
    checks = [*STREAM_CHECKS, webhook_checks, merged_checks, mart_checks]
    found = JOBS
    sensors = SENSORS
    if schedules is None:
        schedules = schedules_of(workspaces) if workspaces else SCHEDULES
    if workspaces:
        keys, tables = keys_of(workspaces), on_time.watched(assets)
        sensors = [*sensors_of(workspaces), late_workspaces(workspaces, tables)]
        checks += [on_time.on_time_check(key, pace) for key, pace in tables.items()]
        assets = [partitioned(one, keys) for one in assets]
        checks = [partitioned_checks(one, keys) for one in checks]
        left_out = on_time.check_keys(tables)
        found = [jobs.partitioned(one, keys, left_out) for one in found]
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=[*found, tidy_runs],
        schedules=schedules,
        sensors=[*sensors, lost_runs],
        resources={
            "session": session or session_resource,
            "lake": lake or lake_resource,
            "settings": settings or settings_resource,
        },
        # Steps are small and share one session: a process for each would cost seconds a step.
        executor=dg.in_process_executor,
    )


def _workspaces() -> Sequence[str]:
    found = several()
    return found.well_named if found else ()


defs = build_defs(workspaces=_workspaces())
