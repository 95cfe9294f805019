"""What Dagster loads: start reading here.

Streams (``hatif/catalogue.py``) become steps, SQL files (``warehouse/models``) become tables, and
one session a run (``assets/session.py``) hands all of them the same client, budget and lake.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import dagster as dg

from assets.checks import STREAM_CHECKS
from assets.lake import lake_resource, settings_resource
from assets.marts import mart_checks, marts_step
from assets.session import RunOptions, Session, open_session
from assets.streams import STREAM_ASSETS
from hatif.errors import HatifError
from hatif.settings import Settings


@dg.resource(description="One run's client, request budget and lake; settings from HATIF_*.")
def session_from_settings(context: dg.InitResourceContext) -> Iterator[Session]:
    """Open a session for the run; all of its steps share it."""
    log = context.log or dg.get_dagster_logger()
    options = RunOptions(waiting=lambda holder: log.info("waiting for %s", holder))
    with ExitStack() as stack:
        try:
            session = stack.enter_context(open_session(Settings.load(), options))
        except HatifError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from None
        yield session


full_sync = dg.define_asset_job(
    "full_sync",
    selection=dg.AssetSelection.all(),
    description="Reads every stream from beginning to end and reconciles: proves what is there "
    "and what is gone.",
)

daily_full_sync = dg.ScheduleDefinition(
    name="daily_full_sync",
    job=full_sync,
    cron_schedule="0 2 * * *",
    execution_timezone="Asia/Riyadh",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Every night at two, Riyadh time. Off until switched on.",
)


def build_defs(
    session: dg.ResourceDefinition | None = None,
    lake: dg.ResourceDefinition | None = None,
    settings: dg.ResourceDefinition | None = None,
) -> dg.Definitions:
    """Put everything together.

    Args:
        session: stands in for the one from settings, e.g. one already open.
        lake: the same for the lake.
        settings: the same for settings.
    """
    return dg.Definitions(
        assets=[*STREAM_ASSETS, marts_step],
        asset_checks=[*STREAM_CHECKS, mart_checks],
        jobs=[full_sync],
        schedules=[daily_full_sync],
        resources={
            "session": session or session_from_settings,
            "lake": lake or lake_resource,
            "settings": settings or settings_resource,
        },
        # Steps are small and share one session: a process for each would cost seconds a step.
        executor=dg.in_process_executor,
    )


defs = build_defs()
