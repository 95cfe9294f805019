"""What sets jobs off besides the clock, for several workspaces: the same, each by itself."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import NamedTuple

import dagster as dg

from assets.workspaces import PARTITION, several
from hatif.errors import SettingsError
from hatif.webhooks.sources import place_of
from pipelines import jobs, sensors, ticks, webhooks_all
from pipelines.after_sync import models_after_sync
from pipelines.live_pool import LivePool
from pipelines.live_process import Teller, Told, run_request
from pipelines.outages import service_outage_of
from pipelines.retention import make_room
from pipelines.side_by_side import SideBySide
from warehouse.settings.environment import Settings
from warehouse.settings.workspaces import UNASSIGNED

#: Looks at the files of a workspace take at most this share of the time.
_SHARE = 0.05
#: Seconds that a tick waits for these looks: others follow within seconds.
_PATIENCE = 10.0
#: Seconds between two tries to give out webhooks that belong to no workspace yet.
_ASSIGN_EVERY = 600.0


class Seen(NamedTuple):
    """The webhook files of a workspace.

    Attributes:
        files: how many.
        digest: differs when one has changed.
        seconds: that it took to look.
    """

    files: int
    digest: str
    seconds: float


class WebhookFiles:
    """Decides for each workspace who works off its files: a process, a run, or nobody, being done.

    Args:
        pool: of processes.
    """

    def __init__(self, pool: LivePool) -> None:
        self._pool = pool
        self._looks = SideBySide[Seen](_PATIENCE)
        self._tellers: dict[str, Teller] = {}
        self._due: dict[str, float] = {}
        self._assigned = SideBySide[None](0.0)
        self._assign_at = 0.0

    def tick(
        self, context: dg.SensorEvaluationContext, workspaces: Sequence[str]
    ) -> dg.SensorResult:
        """See that the files of each are worked off.

        Raises:
            SettingsError: the environment or the file of workspaces as a whole cannot be used.
        """
        settings, reasons = ticks.settings_of(workspaces)
        self._pool.keep_only(set(settings))
        self._assign(context, reasons)
        done: dict[str, str] = json.loads(context.cursor or "{}")
        seen = self._look(context, settings, reasons)
        told = {
            name: self._told(context.instance, name, seen.get(name), done)
            for name in settings
            if name in self._pool or (name in seen and seen[name].files)
        }
        waiting = any(one is None for one in told.values())
        for name in set(self._pool.idle()) & seen.keys():
            if self._pool.is_done(name, seen[name].digest, is_place_wanted=waiting):
                done[name] = seen[name].digest
        for name, one in told.items():
            if one is None:
                one = told[name] = self._by_run(context.instance, name, seen[name], done)
            if one.summary:
                reasons[name] = one.summary
        runs = [run for one in told.values() if one for run in one.runs]
        if runs and reasons:
            context.log.info("%s", ticks.sentence(reasons))
        events = [event for one in told.values() if one for event in one.events]
        make_room(context.instance, events)
        return dg.SensorResult(
            run_requests=runs,
            asset_events=events,
            skip_reason=None if runs else ticks.sentence(reasons),
            cursor=json.dumps({name: one for name, one in done.items() if name in workspaces}),
        )

    def _look(
        self,
        context: dg.SensorEvaluationContext,
        settings: dict[str, Settings],
        reasons: dict[str, str],
    ) -> dict[str, Seen]:
        """Look at files where no process does, or where one may end; seldom where that is slow."""
        now, idle = time.monotonic(), set(self._pool.idle())
        names = [
            name
            for name in settings
            if (name in idle or not self._pool.works(name)) and now >= self._due.get(name, 0.0)
        ]
        answers = self._looks.call(names, lambda name: _seen(settings[name]))
        reasons |= ticks.errors_of(answers, context.log)
        found = {name: one.value for name, one in answers.items() if one.value is not None}
        for name, one in found.items():
            self._due[name] = now + one.seconds / _SHARE
        return found

    def _assign(self, context: dg.SensorEvaluationContext, reasons: dict[str, str]) -> None:
        """Give webhooks of no workspace to theirs, as `hatif sync` of all does; seldom, aside."""
        now = time.monotonic()
        if now < self._assign_at:
            return
        self._assign_at = now + _ASSIGN_EVERY
        answers = self._assigned.call([UNASSIGNED], lambda _: _assign())
        for answer in answers.values():
            if answer.fault is not None:
                reasons |= ticks.errors_of(answers, context.log)

    def _told(
        self, instance: dg.DagsterInstance, name: str, seen: Seen | None, done: dict[str, str]
    ) -> Told | None:
        """Return what a process tells; None where there is none and files are new or failed."""
        is_new = seen is not None and done.get(name) != seen.digest
        if name not in self._pool and not is_new:
            record = _last_run(instance, name)
            if record is not None and sensors.failed_a_while_ago(record):
                return None
            return Told([], [], "")
        heard = self._pool.tend(name)
        if heard is None or not heard.works:
            return None if seen is not None else Told([], [], "its process rests")
        teller = self._tellers.setdefault(name, Teller(name))
        return teller.tell(heard, _last_run(instance, name))

    def _by_run(
        self, instance: dg.DagsterInstance, name: str, seen: Seen, done: dict[str, str]
    ) -> Told:
        """Request a run for files that no process works off, unless one is under way."""
        record = _last_run(instance, name)
        if record is not None and not record.dagster_run.is_finished:
            return Told([], [], "a run is under way; what is new waits for it")
        key = f"{name} {seen.digest}"
        if done.get(name) == seen.digest:
            if record is None or not sensors.failed_a_while_ago(record):
                return Told([], [], f"{seen.files} files, none new")
            key += f" after {record.dagster_run.run_id}"
        done[name] = seen.digest
        return Told([run_request(name, key)], [], "")


def _assign() -> None:
    if (workspaces := several()) is not None:
        webhooks_all.assign(workspaces)


def _seen(settings: Settings) -> Seen:
    began = time.monotonic()
    count, digest = sensors.look(place_of(settings.webhook_location))
    return Seen(count, digest, time.monotonic() - began)


def _last_run(instance: dg.DagsterInstance, name: str) -> dg.RunRecord | None:
    records = instance.get_run_records(
        dg.RunsFilter(job_name=jobs.webhooks.name, tags={PARTITION: name}), limit=1, order_by="id"
    )
    return records[0] if records else None


def webhook_files_of(workspaces: Sequence[str], pool: LivePool) -> dg.SensorDefinition:
    """Return the sensor on webhook files for several workspaces."""
    files = WebhookFiles(pool)

    @dg.sensor(
        name=sensors.webhook_files.name,
        job_name=jobs.webhooks.name,
        minimum_interval_seconds=sensors.WEBHOOK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Of each workspace by itself: starts a process where webhook files are new "
        "(`hatif live`), ends it when nothing comes for minutes, and shows what it did. A few at "
        "the same time; what does not fit, and whatever failed, is given to a run. On.",
    )
    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            return files.tick(context, workspaces)
        except SettingsError as error:
            return dg.SkipReason(str(error))

    return tick


def sensors_of(workspaces: Sequence[str]) -> list[dg.SensorDefinition]:
    """Return all sensors for several workspaces."""
    return [
        webhook_files_of(workspaces, LivePool()),
        models_after_sync(workspaces),
        service_outage_of(workspaces),
    ]
