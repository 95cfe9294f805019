"""What steps need that ask no service: the settings and the lake."""

from collections.abc import Iterator
from contextlib import ExitStack

import dagster as dg

from hatif.errors import HatifError
from hatif.settings import Settings
from warehouse.lake import Lake
from warehouse.schema import open_lake


@dg.resource(description="The settings, from HATIF_*.")
def settings_resource(_: dg.InitResourceContext) -> Settings:
    """Read the settings for the run."""
    try:
        return Settings.load()
    except HatifError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None


@dg.resource(
    required_resource_keys={"settings"},
    description="The lake that the HATIF_* settings name; one for all steps of a run.",
)
def lake_resource(context: dg.InitResourceContext) -> Iterator[Lake]:
    """Open the lake for the run; a process must not have it open twice."""
    with ExitStack() as stack:
        try:
            lake = stack.enter_context(open_lake(context.resources.settings))
        except HatifError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from None
        yield lake
