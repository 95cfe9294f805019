"""What steps need that send no requests: the settings and the lake."""

from collections.abc import Iterator
from contextlib import ExitStack

import dagster as dg

from assets import processes, workspaces
from assets.failures import opening
from warehouse.lake.connection import Lake
from warehouse.lake.schema import open_lake
from warehouse.settings.environment import Settings


@dg.resource(description="The settings, from HATIF_*.")
def settings_resource(context: dg.InitResourceContext) -> Settings:
    """Read the settings for the run: of its workspace, where there are several."""
    with opening(context):
        settings = workspaces.settings_of(context.run)
    if context.instance and context.run:
        tags = processes.tag(context.run.run_id)
        if settings.workspace is not None:
            # A run that was launched by hand for a partition does not name its workspace yet.
            tags[workspaces.TAG] = settings.workspace
        context.instance.add_run_tags(context.run.run_id, tags)
    if settings.workspace is not None and context.log:
        context.log.info("workspace: %s", settings.workspace)
    return settings


@dg.resource(
    required_resource_keys={"settings"},
    description="The lake that the HATIF_* settings name; one for all steps of a run.",
)
def lake_resource(context: dg.InitResourceContext) -> Iterator[Lake]:
    """Open the lake for the run; a process must not have it open twice."""
    with ExitStack() as stack:
        with opening(context):
            lake = stack.enter_context(open_lake(context.resources.settings))
        yield lake
