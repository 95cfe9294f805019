"""``python -m benchmarks.requests_yield``: how many requests of two living weeks bring something.

    python -m benchmarks.requests_yield [--days 14] [--every 15] [--webhooks complete lost none]

A small workspace of the rehearsal server lives on: messages, receipts, calls and edits by the hour
of the day, and syncs at the times of Dagster's schedules (`pipelines.schedules`), all in one
process and without a request budget. Before each sync the webhook files of the time since are read
and merged: all of them, all but a lost twentieth, or none.

Of 2,030 runs each takes about a second of processor time; `--every 60` lets all schedules come a
quarter as often.

Prints requests and the share of them that brought what was not stored yet, by stream and reason
and by kind of run; then what differs from the server's own truth: at the end, of what changed over
a week before the end (a conversation's turn to be read in full had come since), and once more after
a last quiet week, in which every turn comes.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from benchmarks.plain_lake import PlainLake
from hatif.streams import STREAMS
from hatif.webhooks.sources import place_of
from pipelines import jobs
from rehearsal import RehearsalServer, WorldSpec
from rehearsal.ids import micros
from sync.session import RunOptions, open_session
from tests.comparison import differences_in
from warehouse.lake.connection import Lake
from warehouse.merge.messages import merge
from warehouse.settings.environment import Settings
from warehouse.webhooks.ingest import ingest

_MINUTE, _WEEK = timedelta(minutes=1), timedelta(days=7)
_RIYADH = timedelta(hours=3)
#: Webhooks by name: the share that is lost on the way, None where none is sent.
_WAYS: dict[str, float | None] = {"complete": 0.0, "lost": 0.05, "none": None}
#: What happens on a day, by field of `rehearsal.passage.Passage`.
_A_DAY = {
    "messages": 240,
    "status_changes": 160,
    "contacts": 4,
    "contact_edits": 6,
    "silent_edits": 2,
    "late_summaries": 4,
    "closed": 6,
    "deleted_contacts": 0.5,
    "deleted_conversations": 0.3,
    "tag_changes": 0.4,
    "property_changes": 0.2,
}
_NOTHING = dict.fromkeys((*_A_DAY, "restored_contacts", "deleted_tags"), 0)


@dataclass(frozen=True)
class Kind:
    """A kind of run: its streams and options, as `pipelines.jobs` has them."""

    name: str
    streams: list[str]
    options: RunOptions


_HOT_SYNC = Kind("hot_sync", [*jobs.HOT], RunOptions(deep=False, max_requests=600))
_CONTACTS_SYNC = Kind(
    "contacts_sync",
    [name for name in STREAMS if name in jobs.with_parents(jobs.HOURLY)],
    RunOptions(deep=False, max_requests=900),
)
_DEEP_PASS = Kind("deep_pass", ["timelines"], RunOptions(deep=True, max_requests=400))
_RECONCILE = Kind("reconcile", [*jobs.LISTS], RunOptions(full=True, max_requests=3_000))


def _due(minute: int, every: int) -> Kind | None:
    """What a schedule begins at that minute of a day in Riyadh.

    Args:
        minute: of the day.
        every: minutes between two hot syncs; 15 as it is, the other schedules in proportion.
    """
    if minute == 2 * 60 + 22:
        return _RECONCILE
    if minute % every == 0:
        return _HOT_SYNC
    if minute % (4 * every) == 7:
        return _CONTACTS_SYNC
    return _DEEP_PASS if minute % (4 * every) == 37 else None


def _liveliness(local: datetime) -> float:
    """How much happens at an hour beside the mean of a day, which is 1."""
    if local.weekday() in (4, 5):  # Friday and Saturday
        return 0.3
    return 2.9 if 9 <= local.hour < 18 else 0.4 if 7 <= local.hour < 23 else 0.05


@dataclass
class Spent:
    """Requests, and those of readings that brought something."""

    requests: Counter[str] = field(default_factory=Counter)
    brought: Counter[str] = field(default_factory=Counter)

    def add(self, what: str, requests: int, brought: int) -> None:
        """Count."""
        self.requests[what] += requests
        self.brought[what] += brought

    def lines(self) -> Iterator[str]:
        """A line each, most requests first, and the sum."""
        for what, requests in self.requests.most_common():
            yield f"  {what:30} {requests:7,}  {self.brought[what] / max(1, requests):6.1%}"
        requests, brought = self.requests.total(), self.brought.total()
        yield f"  {'in all':30} {requests:7,}  {brought / max(1, requests):6.1%}"


class Fortnight:
    """A workspace, the home that follows it, and what its requests brought."""

    def __init__(
        self, server: RehearsalServer, lake: Lake, settings: Settings, lost: float | None
    ) -> None:
        self._server, self._lake, self._settings, self._lost = server, lake, settings, lost
        self._random = Random(server.spec.seed)
        self._seen = self._sent = server.now
        self.by_reason, self.by_kind, self.tokens = Spent(), Spent(), 0

    def run(self, kind: Kind) -> None:
        """Read webhook files and merge them, then sync as a schedule does, and count."""
        self._receive()
        with open_session(self._settings, kind.options, lake=self._lake) as session:
            for name in kind.streams:
                session.sync(name)
            run_id, used = session.run_id, session.requests
        with self._lake.reading() as connection:
            rows = connection.execute(
                "SELECT stream || ', ' || coalesce(reason, 'full'), sum(requests)::BIGINT, "
                "coalesce(sum(requests) FILTER (scan_id IN (SELECT scan_id FROM raw.records)), 0)"
                "::BIGINT FROM ops.scans WHERE run_id = $run GROUP BY 1",
                {"run": run_id},
            ).fetchall()
        for reason, requests, brought in rows:
            self.by_reason.add(reason, requests, brought)
            self.by_kind.add(kind.name, requests, brought)
        self.tokens += used - sum(requests for _, requests, _ in rows)

    def _receive(self) -> None:
        if self._lost is not None and self._server.now > self._sent:
            self._server.write_webhooks(
                self._settings.home / "webhooks",
                self._sent,
                formats=["ndjson"],
                lost=self._lost,
                late=0.01,
            )
            place = place_of(self._settings.webhook_location)
            ingest(self._lake, place, self._settings.secrets)
        self._sent = self._server.now
        merge(self._lake)

    def live(self, days: int, every: int) -> None:
        """Let days pass, with everything that the schedules begin."""
        local = self._server.now + _RIYADH
        begin = local.hour * 60 + local.minute
        passed = 0
        for minute in range(1, days * 24 * 60 + 1):
            kind = _due((begin + minute) % (24 * 60), every)
            if kind is None:
                continue
            self._pass((minute - passed) * _MINUTE)
            passed = minute
            self.run(kind)

    def _pass(self, duration: timedelta) -> None:
        share = duration / timedelta(days=1) * _liveliness(self._server.now + _RIYADH)
        counts = {name: self._drawn(number * share) for name, number in _A_DAY.items()}
        self._server.advance(duration, **_NOTHING | counts)

    def _drawn(self, mean: float) -> int:
        """A number whose mean is that (Poisson)."""
        limit, product, drawn = math.exp(-mean), self._random.random(), 0
        while product > limit:
            product *= self._random.random()
            drawn += 1
        return drawn

    def overdue(self) -> str:
        """What differs of events that changed over a week ago: their turns have come since."""
        world = self._server.world
        before = micros(self._server.now - _WEEK - timedelta(hours=2))
        changed = {
            event.id: max(
                event.at,
                world.moves[event.id][-1][0] if event.id in world.moves else 0,
                world.summarised.get(event.id, 0),
            )
            for talk in world.conversations.values()
            for event in talk.events
        }
        old = {one for one, at in changed.items() if at < before}
        with self._lake.reading() as connection:
            ours = dict(
                connection.execute(
                    "SELECT event_id, coalesce(status, '') || coalesce(ai_summary, '') "
                    "FROM core.timeline_events WHERE deleted_at IS NULL"
                ).fetchall()
            )
        truth = {
            row["event_id"]: (row["status"] or "") + (row["ai_summary"] or "")
            for row in self._server.truth("timeline_events")
        }
        missing = len(old - ours.keys())
        stale = sum(ours[one] != truth[one] for one in old & ours.keys())
        return f"{missing} missing, {stale} out of date, {len(ours.keys() - truth.keys())} dead"

    def unread(self) -> str:
        """What is not read yet at the end, and would be by its turn."""
        truth = {row["event_id"] for row in self._server.truth("timeline_events")}
        known = "SELECT event_id FROM core.{} WHERE deleted_at IS NULL"
        with self._lake.reading() as connection:
            events, messages = (
                {one for (one,) in connection.execute(sql).fetchall()}
                for sql in (known.format("timeline_events"), known.format("messages"))
            )
        late = truth - events
        unknown = len(late - messages)
        return f"{len(late)} events not read yet, {unknown} of them not known by webhook either"

    def last_week(self) -> list[str]:
        """Differences after a quiet week and a sync in which every turn comes."""
        self._server.advance(_WEEK + timedelta(days=1), **_NOTHING | {"messages": 1})
        self._receive()
        for _ in range(2):  # what is missing is proven by the second reading
            with open_session(self._settings, lake=self._lake) as session:
                for name in STREAMS:
                    session.sync(name)
        self._receive()
        with self._lake.reading() as connection:
            return differences_in(connection, self._server)


def _measure(days: int, every: int, way: str, seed: int) -> bool:
    spec = WorldSpec(seed=seed, contacts=200, conversations=220, events=4_000)
    with RehearsalServer(spec) as server, tempfile.TemporaryDirectory() as root:
        settings = Settings.load(
            home=Path(root) / "home",
            base_url=server.url,
            client_id=server.client_id,
            client_secret=server.client_secret,
            requests_per_minute=0,
            webhook_secrets=server.webhook_secrets_setting,
        )
        began = time.monotonic()
        with PlainLake(settings) as lake:
            fortnight = Fortnight(server, lake, settings, _WAYS[way])
            fortnight.run(Kind("first", list(STREAMS), RunOptions(full=True)))
            fortnight.by_reason, fortnight.by_kind = Spent(), Spent()
            fortnight.tokens = 0
            fortnight.live(days, every)
            overdue, unread = fortnight.overdue(), fortnight.unread()
            wrong = fortnight.last_week()
    words = {"complete": "complete", "lost": "5 % lost", "none": "none"}
    print(f"webhooks {words[way]}: {days} days in {time.monotonic() - began:.0f} s")
    print(*fortnight.by_reason.lines(), sep="\n")
    print("  by kind of run:")
    print(*fortnight.by_kind.lines(), sep="\n")
    print(f"  and {fortnight.tokens:,} requests for tokens")
    print(f"  at the end: {unread}; of what changed over a week before: {overdue}")
    print(f"  after a last week: {len(wrong)} differences", *wrong, sep="\n    ", flush=True)
    return not wrong


def main() -> None:
    """Measure and print; exit 1 where the truth differs in the end."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--every", type=int, default=15)
    parser.add_argument("--webhooks", nargs="+", choices=list(_WAYS), default=list(_WAYS))
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    right = [_measure(options.days, options.every, way, options.seed) for way in options.webhooks]
    sys.exit(0 if all(right) else 1)


if __name__ == "__main__":
    main()
