"""What Dagster loads: start reading here.

Streams (``hatif/catalogue.py``) become steps, SQL files (``warehouse/models``) become tables, and
one session a run (``assets/session.py``) hands all of them the same client, budget and lake.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import dagster as dg

from assets.checks import STREAM_CHECKS
from assets.lake import lake_resource, settings_resource
from assets.maintenance import maintenance
from assets.marts import mart_checks, marts_step
from assets.merged import merged, merged_checks
from assets.session import RunOptions, Session, open_session
from assets.streams import STREAM_ASSETS
from assets.webhooks import webhook_checks, webhook_events
from hatif.errors import HatifError
from hatif.settings import Settings
from pipelines.jobs import JOBS
from pipelines.schedules import SCHEDULES
from pipelines.sensors import SENSORS


@dg.resource(
    config_schema={
        "full": dg.Field(bool, default_value=False, description="Read everything and reconcile."),
        "deep": dg.Field(bool, default_value=True, description="Let timelines take their turns."),
        "accept_deletes": dg.Field(bool, default_value=False, description="Lift the brake."),
        "max_requests": dg.Field(int, is_required=False, description="Stop cleanly after these."),
    },
    description="One run's client, request budget and lake; settings from HATIF_*.",
    required_resource_keys={"lake"},
)
def session_from_settings(context: dg.InitResourceContext) -> Iterator[Session]:
    """Open a session for the run; all of its steps share it."""
    log = context.log or dg.get_dagster_logger()
    options = RunOptions(
        **context.resource_config, waiting=lambda holder: log.info("waiting for %s", holder)
    )
    with ExitStack() as stack:
        try:
            session = stack.enter_context(
                open_session(Settings.load(), options, lake=context.resources.lake)
            )
        except HatifError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from None
        yield session


def build_defs(
    session: dg.ResourceDefinition | None = None,
    lake: dg.ResourceDefinition | None = None,
    settings: dg.ResourceDefinition | None = None,
) -> dg.Definitions:
    """Put everything together.

    Args:
        session: stands in for the one from settings, e.g. one already open.
        lake: the same; of an open session, its lake.
        settings: the same for settings.
    """
    return dg.Definitions(
        assets=[*STREAM_ASSETS, webhook_events, merged, marts_step, maintenance],
        asset_checks=[*STREAM_CHECKS, webhook_checks, merged_checks, mart_checks],
        jobs=JOBS,
        schedules=SCHEDULES,
        sensors=SENSORS,
        resources={
            "session": session or session_from_settings,
            "lake": lake or lake_resource,
            "settings": settings or settings_resource,
        },
        # Steps are small and share one session: a process for each would cost seconds a step.
        executor=dg.in_process_executor,
    )


defs = build_defs()
