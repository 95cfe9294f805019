"""The session as a resource of Dagster: one a run, shared by its steps, set by run config."""

from collections.abc import Iterator
from contextlib import ExitStack

import dagster as dg

from assets import outages
from assets.failures import opening
from assets.progress_log import ProgressLog
from hatif.errors import SettingsError
from hatif.unreachable import insecure
from sync.session import RunOptions, Session, open_session
from warehouse.queue.reread import RereadRequest
from warehouse.settings.environment import Settings

_STEP_RETRIES = 2

#: What a run can be configured to read again.
AGAIN = {
    "conversations": dg.Field(
        [str], default_value=[], description="Ids of conversations: read their timelines in full."
    ),
    "since": dg.Field(
        str,
        is_required=False,
        description="A day like 2026-11-01 in HATIF_TIMEZONE: read every timeline in full that can "
        "hold something from this day until `until`.",
    ),
    "until": dg.Field(str, is_required=False, description="The last of these days."),
}
_CONFIG = {
    "full": dg.Field(bool, default_value=False, description="Read everything and reconcile."),
    "deep": dg.Field(bool, default_value=True, description="Let timelines take their turns."),
    "accept_deletes": dg.Field(bool, default_value=False, description="Lift the brake."),
    "max_requests": dg.Field(int, is_required=False, description="Stop cleanly after these."),
    "again": dg.Field(AGAIN, is_required=False, description="Read this again, nothing else."),
}


@dg.resource(
    config_schema=_CONFIG,
    description="One run's client, request budget and lake; settings from HATIF_*.",
    required_resource_keys={"lake", "settings"},
)
def session_resource(context: dg.InitResourceContext) -> Iterator[Session]:
    """Open a session for the run; all of its steps share it."""
    log = context.log or dg.get_dagster_logger()
    given = dict(context.resource_config)
    with ExitStack() as stack:
        with opening(context):
            if again := given.pop("again", None):
                given["again"] = RereadRequest.of(**again)
            options = RunOptions(
                **given,
                step_retries=_STEP_RETRIES,
                waiting=lambda holder: log.info("waiting for %s", holder),
            )
            if options.max_requests is not None and options.max_requests < 1:
                raise SettingsError("max_requests: must be at least 1")
            settings: Settings = context.resources.settings
            if warning := insecure(settings.base_url):
                log.warning(warning)
            progress = ProgressLog(log.info)
            session = stack.enter_context(
                open_session(settings, options, progress, context.resources.lake)
            )
            progress.requests = lambda: session.requests
        yield session
        if context.instance and context.run and (outage := session.outage()):
            outages.tag(context.instance, context.run, outage)
