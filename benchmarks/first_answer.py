"""``python -m benchmarks.first_answer``: after how many minutes a first sync has the last days.

    python -m benchmarks.first_answer [--contacts 10000] [--events 60000] [--per-minute 60]

A first full sync of the rehearsal server, in one process. It runs without a request budget, and its
time is simulated: the budget lets so many requests leave in a minute, so a request's place among
them is its minute. A day is complete when the timeline of every conversation with an event on it,
or later, has been read to its end; and then all marts of it can be computed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from benchmarks.plain_lake import PlainLake
from hatif.streams import STREAMS
from rehearsal import RehearsalServer, WorldSpec
from rehearsal.ids import micros
from sync.session import RunOptions, open_session
from warehouse.settings.environment import Settings

_DAYS = (1, 7, 30)


class Course:
    """When each list was read in the course of a first sync.

    Args:
        paths: of all requests, in their order; the last request for a list ends it.
        per_minute: requests that leave in a minute.
    """

    def __init__(self, paths: Iterable[str], per_minute: int) -> None:
        self.ends = {path.split("?")[0]: place for place, path in enumerate(paths, 1)}
        self._per_minute = per_minute

    def minute(self, paths: Iterable[str]) -> float:
        """Return after how many minutes all of these lists were read."""
        return max((self.ends[path] for path in paths), default=0) / self._per_minute


def _timeline(conversation: str) -> str:
    return STREAMS["timelines"].list_path(conversation)


def _history(contact: str) -> str:
    return STREAMS["contact_history"].list_path(contact)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--contacts", type=int, default=10_000)
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--per-minute", type=int, default=60)
    options = parser.parse_args()
    spec = WorldSpec(
        contacts=options.contacts, conversations=options.contacts, events=options.events
    )
    began = time.monotonic()
    with RehearsalServer(spec) as server, tempfile.TemporaryDirectory() as root:
        settings = Settings.load(
            home=Path(root) / "home",
            base_url=server.url,
            client_id=server.client_id,
            client_secret=server.client_secret,
            requests_per_minute=0,
        )
        with (
            PlainLake(settings) as lake,
            open_session(settings, RunOptions(full=True), lake=lake) as session,
        ):
            for name in STREAMS:
                session.sync(name)
        course = Course((request.path for request in server.requests), options.per_minute)
        talks, now = server.world.conversations.values(), server.now
        print(
            f"{len(talks):,} conversations and {options.contacts:,} contacts, "
            f"{options.per_minute} requests a minute:"
        )
        for days in _DAYS:
            since = micros(now - timedelta(days=days))
            lively = [
                _timeline(talk.id) for talk in talks if any(e.at >= since for e in talk.events)
            ]
            print(
                f"  the last {days:2} days are complete after {course.minute(lively):5.1f} minutes "
                f"({len(lively):,} conversations)"
            )
        contacts = server.world.contacts.values()
        print(
            f"  all timelines after {course.minute(_timeline(talk.id) for talk in talks):.1f}, "
            "histories of contacts that were changed after "
            f"{course.minute(_history(one.id) for one in contacts if one.modified):.1f}, "
            f"all others after {course.minute(_history(one.id) for one in contacts):.1f} minutes"
        )
    print(f"  measured in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
