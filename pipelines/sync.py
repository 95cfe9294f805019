"""The main job from the command line: the same Dagster assets, run in this process."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

import dagster as dg

from assets.session import RunOptions, Session, open_session
from assets.streams import raw_key
from hatif.catalogue import STREAMS
from hatif.progress import Progress, StreamResult
from hatif.settings import Settings
from pipelines.definitions import build_defs

#: Names under which people also know the streams.
ALIASES = {
    "history": "contact_history",
    "definitions": "property_definitions",
    "statistics": "property_statistics",
    "timeline_events": "timelines",
    "timeline": "timelines",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a sync went: a result for every stream asked for, `skipped` where its parent failed."""

    results: dict[str, StreamResult]
    requests: int
    seconds: float

    @property
    def rejects(self) -> int:
        """Records set aside."""
        return sum(result.rejects for result in self.results.values())

    @property
    def complaints(self) -> list[str]:
        """What went wrong, each thing once."""
        said = [r.message for r in self.results.values() if r.message and r.status != "stopped"]
        said += [
            f"{r.stream}: skipped, since {STREAMS[r.stream].parent} failed"
            for r in self.results.values()
            if r.status == "skipped"
        ]
        if self.rejects:
            said.append(f"{self.rejects} records were set aside; see ops.rejects")
        return list(dict.fromkeys(said))

    @property
    def ok(self) -> bool:
        """Whether everything asked for was done, or left for the next run on purpose."""
        return not self.rejects and all(
            result.status in ("done", "stopped") for result in self.results.values()
        )

    def as_json(self) -> dict[str, Any]:
        """Return what ``hatif sync --json`` prints."""
        return {
            "streams": {
                name: {
                    "rows_read": result.rows_read,
                    "rows_changed": result.rows_changed,
                    "requests": result.requests,
                    "status": result.status,
                }
                for name, result in self.results.items()
            },
            "requests": self.requests,
            "webhook_events": 0,
            "rejects": self.rejects,
            "seconds": round(self.seconds, 3),
        }


def sync(
    settings: Settings,
    streams: list[str],
    options: RunOptions,
    progress: Progress,
) -> Outcome:
    """Sync streams through their Dagster assets.

    Args:
        settings: of this home.
        streams: names; empty for all.
        options: how.
        progress: whom to tell.

    Raises:
        HatifError: the run could not begin.
    """
    began = time.monotonic()
    wanted = [name for name in STREAMS if not streams or name in streams]
    with open_session(settings, options, progress) as session:
        _run(session, wanted)
        results = {
            name: session.results.get(name) or StreamResult(name, status="skipped")
            for name in wanted
        }
        return Outcome(results, session.requests, time.monotonic() - began)


def _run(session: Session, streams: list[str]) -> None:
    selection = dg.AssetSelection.assets(*map(raw_key, streams)).required_multi_asset_neighbors()
    job = dg.define_asset_job("sync", selection=selection)
    defs = build_defs(dg.ResourceDefinition.hardcoded_resource(session), jobs=[job])
    with _instance() as instance:
        defs.resolve_job_def("sync").execute_in_process(
            instance=instance,
            raise_on_error=False,
            # What happened is told by the session's progress; Dagster keeps its own event log.
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )


def _instance() -> dg.DagsterInstance:
    """The instance that keeps the run: DAGSTER_HOME's, so that the UI shows it, else none."""
    if os.environ.get("DAGSTER_HOME"):
        return dg.DagsterInstance.get()
    return dg.DagsterInstance.ephemeral()
