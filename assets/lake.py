"""The lake as a resource: for steps that need no service."""

from collections.abc import Iterator
from contextlib import ExitStack

import dagster as dg

from hatif.errors import HatifError
from hatif.settings import Settings
from warehouse.lake import Lake
from warehouse.schema import open_lake


@dg.resource(description="The lake that the HATIF_* settings name; one for all steps of a run.")
def lake_resource() -> Iterator[Lake]:
    """Open the lake for the run; a process must not have it open twice."""
    with ExitStack() as stack:
        try:
            lake = stack.enter_context(open_lake(Settings.load()))
        except HatifError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from None
        yield lake
