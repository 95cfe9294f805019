"""Jobs: which assets run together, with which options, and how many requests each may make.

The service allows 120 requests a minute to the whole workspace, and our share is 60: the limits
below keep a run shorter than its interval, and what does not fit waits for the next.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import dagster as dg

from assets.checks import raw_key
from assets.maintenance import MAINTENANCE_KEY
from assets.merged import MERGED_KEYS
from assets.outages import CALLS_SERVICE
from assets.service import AGAIN
from assets.webhooks import WEBHOOKS_KEY
from assets.workspaces import TAG
from hatif.streams import STREAMS
from pipelines.hooks import log_advice
from warehouse.queue.plan import is_read_on_change

HOURLY = tuple(name for name, stream in STREAMS.items() if stream.is_hourly)
HOT = tuple(name for name in STREAMS if name not in HOURLY)
#: Lists that are read in full without a request for each contact or conversation, and that are not
#: read but once a day anyway.
LISTS = tuple(
    name
    for name, stream in STREAMS.items()
    if not is_read_on_change(name) and (stream.interval or timedelta()) < timedelta(days=1)
)


_MARTS = dg.AssetSelection.key_prefixes(["marts"])
#: Every job has advice for a failed step.
_job = partial(dg.define_asset_job, hooks={log_advice})
#: One that calls the service; the tag is what finds its runs.
_sync_job = partial(_job, tags=CALLS_SERVICE)


def _select(*streams: str) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*map(raw_key, streams)).required_multi_asset_neighbors()


def with_parents(streams: Iterable[str]) -> list[str]:
    """Return the streams, and those that name the lists to read of them."""
    return sorted({name for stream in streams for name in (STREAMS[stream].parent, stream) if name})


def _session_config(**session: object) -> dict[str, object]:
    return {"resources": {"session": {"config": session}}}


hot_sync = _sync_job(
    "hot_sync",
    selection=_select(*HOT),
    config=_session_config(deep=False, max_requests=600),
    description="What happened lately: conversations by activity, the timelines that a change or a "
    "due step points to, and the small lists.",
)
contacts_sync = _sync_job(
    "contacts_sync",
    selection=_select(*with_parents(HOURLY)),
    config=_session_config(deep=False, max_requests=900),
    description="The list of contacts, the histories of those that changed, and statistics.",
)
reconcile = _sync_job(
    "reconcile",
    selection=_select(*LISTS),
    config=_session_config(full=True, max_requests=3_000),
    description="Every list that takes no request for each contact or conversation, from beginning "
    "to end: proves what is there and what is gone.",
)
deep_pass = _sync_job(
    "deep_pass",
    selection=_select("timelines"),
    config=_session_config(deep=True, max_requests=400),
    description="Timelines in full, each once a week at a moment of its own: finds what changed "
    "without a change signal.",
)
models = _job(
    "models",
    selection=_MARTS | dg.AssetSelection.assets(*MERGED_KEYS),
    description="Messages, calls and marts, recomputed where something changed. Runs after "
    "every sync; sends no requests.",
)
webhooks = _job(
    "webhooks",
    selection=_MARTS | dg.AssetSelection.assets(WEBHOOKS_KEY, *MERGED_KEYS),
    description="New webhook files, and what they change in messages, calls and marts. Sends "
    "no requests and runs beside a sync.",
)
full_sync = _sync_job(
    "full_sync",
    selection=_select(*STREAMS),
    config=_session_config(full=True),
    description="Everything from beginning to end, parent by parent. For a first sync or after "
    "doubts; takes a request for each contact and each conversation.",
)
maintenance = _job(
    "maintenance",
    selection=dg.AssetSelection.assets(MAINTENANCE_KEY),
    description="Fewer and larger files, no unreferenced snapshots. Sends no requests.",
)


@dg.config_mapping(config_schema={**AGAIN, "max_requests": dg.Field(int, default_value=1_000)})
def _again(config: Mapping[str, object]) -> Mapping[str, object]:
    given = dict(config)
    return _session_config(max_requests=given.pop("max_requests"), again=given)


reread = _sync_job(
    "reread",
    selection=_select("timelines"),
    config=_again,
    description="Timelines again, from beginning to end: of the conversations named, or of a range "
    "of days. Reads nothing else. What does not fit into `max_requests` is read by the next sync.",
)

_REREAD = _session_config(max_requests=1_000, again={"conversations": []})
#: Those that call the service.
SYNCS = [hot_sync, contacts_sync, reconcile, deep_pass, full_sync, reread]
JOBS = [*SYNCS, webhooks, models, maintenance]


def partitioned(
    job: Any, keys: dg.PartitionsDefinition, left_out: Iterable[dg.AssetCheckKey] = ()
) -> Any:
    """Return one of these jobs with a partition for each workspace, whose name tags its runs.

    Args:
        job: as `dg.define_asset_job` returns it; that type has no public name.
        keys: the names of the workspaces.
        left_out: checks that it does not make.
    """
    # With partitions Dagster takes no config mapping: the config is the session's own, to fill in.
    config = _REREAD if isinstance(job.config, dg.ConfigMapping) else job.config or {}
    return _job(
        job.name,
        selection=job.selection - dg.AssetSelection.checks(*left_out),
        config=dg.PartitionedConfig(
            keys,
            run_config_for_partition_key_fn=lambda _: config,
            tags_for_partition_key_fn=lambda name: {TAG: name},
        ),
        tags=job.tags,
        description=job.description,
    )
