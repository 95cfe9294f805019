"""The lake as a resource, for assets that need no service."""

from collections.abc import Iterator

import dagster as dg

from hatif.errors import HatifError
from hatif.settings import Settings
from warehouse.lake import Lake


@dg.resource(description="The settings, from HATIF_*.")
def settings_resource(_: dg.InitResourceContext) -> Settings:
    """Read the settings for the run."""
    try:
        return Settings.load()
    except HatifError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None


@dg.resource(required_resource_keys={"settings"}, description="The lake, open for writing.")
def lake_resource(context: dg.InitResourceContext) -> Iterator[Lake]:
    """Open the lake for the run; all of its steps share it."""
    try:
        lake = Lake(context.resources.settings)
    except HatifError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from None
    with lake:
        yield lake
