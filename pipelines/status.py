"""What ``hatif status`` shows."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import duckdb
import msgspec
from rich.console import Console
from rich.table import Table

from hatif.errors import HatifError
from pipelines.status_words import legend, next_step
from pipelines.terminal import console as console_of
from pipelines.terminal import count, printable, runnable
from warehouse.lake import schema
from warehouse.lake.connection import Lake
from warehouse.queue import runs, settled
from warehouse.queue.intervals import of_lists
from warehouse.queue.plan import ReadPolicy
from warehouse.reports import requests, status
from warehouse.settings.environment import Settings
from warehouse.settings.values import interval_of, parse_intervals

#: Requests are counted for so long.
_RECENT = timedelta(days=7)
#: Columns that the table of streams needs, and of what is printed where no terminal has a width.
_WIDTH = 140
_COUNTS = ("rows", "deleted", "lists", "repaired", "uncertified", "rejects")
_TROUBLES = ("deleted", "repaired", "uncertified", "rejects")


def gather(settings: Settings) -> dict[str, Any]:
    """Read the state of all streams and the latest runs.

    Raises:
        HomeError: there is no warehouse yet.
    """
    intervals = parse_intervals(settings.intervals)
    # Many small queries: with one thread they take half the time.
    with Lake(settings, read_only=True, threads=1) as lake:
        connection = lake.reader()
        connection.execute("BEGIN")  # one snapshot for all that follows
        schema.require_current(connection, settings.home)
        now = runs.clock(connection).now()
        unsettled = timedelta(hours=settings.unsettled_hours)

        def terms(stream: str) -> ReadPolicy:
            interval = interval_of(stream, intervals)
            return ReadPolicy(now, interval, unsettled)

        return {
            "streams": {
                found.stream: _plain(found, intervals)
                | {"learned_interval_seconds": _learned(connection, found.stream, now, intervals)}
                for found in status.streams(connection, terms)
            },
            "webhook_files": status.webhook_files(connection)
            | {"others": _others(settings.webhook_location)},
            "rejects": status.open_rejects(connection),
            "rejects_unacknowledged": sum(status.unacknowledged_rejects(connection).values()),
            "lists_tried_later": status.scheduled_lists(connection),
            "runs": status.last_runs(connection),
            "outage": msgspec.to_builtins(runs.outage(connection), builtin_types=(datetime,)),
            "requests_by_reason": {
                one.reason: asdict(one) | {"share": one.share}
                for one in requests.by_reason(connection, _RECENT)
            },
            "first_reading": asdict(status.first_reading(connection)),
            "requests_per_minute": settings.requests_per_minute,
            "webhook_rule": {
                channel: asdict(one) | {"share": one.share, "is_proven": one.is_proven}
                for channel, one in settled.coverage(connection, now).items()
            },
        }


def _learned(
    connection: duckdb.DuckDBPyConnection,
    stream: str,
    now: datetime,
    given: Mapping[str, timedelta],
) -> int | None:
    """Return a stream's interval in scheduled runs; None where none was learned or it is set."""
    learned = None if stream in given else of_lists(connection, stream, now)
    return None if learned is None else int(learned.total_seconds())


def _others(location: str) -> dict[str, Any]:
    """Return what lies beside the webhook files; nothing where the place cannot be listed now."""
    try:
        return status.other_files(location)
    except (HatifError, OSError) as error:
        return {"count": None, "first": [], "error": str(error)}


def _plain(found: status.StreamStatus, intervals: dict[str, timedelta]) -> dict[str, Any]:
    cursor = json.loads(found.cursor) if found.cursor else None
    interval = interval_of(found.stream, intervals)
    seconds = None if interval is None else int(interval.total_seconds())
    return asdict(found) | {"cursor": cursor, "interval_seconds": seconds}


def show(found: dict[str, Any]) -> None:
    """Print it for people."""
    console = console_of(_WIDTH)
    if console.width < _WIDTH:
        _list_streams(console, found["streams"].values())
    else:
        _tabulate_streams(console, found["streams"].values())
    console.print()
    first = found["first_reading"]
    if first["unread"]:
        console.print(
            f"Conversations are complete back to {minute(first['complete_since'])} UTC; "
            f"{first['unread']:,} that were active until then wait for their first reading.\n"
        )
    files = found["webhook_files"]
    console.print(
        f"Webhook files: {files['files']:,}, with {files['accepted']:,} deliveries accepted and "
        f"{files['rejected']:,} set aside; last read: {minute(files['last_read_at'])}. "
        f"Set aside in all: {found['rejects']:,}.\n"
    )
    others = files["others"]
    if others["count"]:
        console.print(
            f"No webhook files by their names, and not read: {others['count']:,}, such as "
            f"{', '.join(map(repr, others['first']))}.\n"
        )
    for known in found["lists_tried_later"]:
        console.print(
            f"{known['stream']}: {count(known['lists'], 'list')} {known['verdict']}, next try "
            f"{minute(known['next_try_at'])} UTC; for example: {printable(known['message'])}\n"
        )
    if found["requests_by_reason"]:
        _show_requests(console, found["requests_by_reason"])
    if found["webhook_rule"]:
        _show_coverage(console, found["webhook_rule"].values())
    runs = Table("run began (UTC)", "mode", "status", "requests", "error", show_edge=False)
    for run in found["runs"]:
        requests = "" if run["requests"] is None else f"{run['requests']:,}"
        runs.add_row(
            minute(run["started_at"]),
            run["mode"],
            run["status"],
            requests,
            printable(run["error"] or ""),
        )
    console.print(runs)
    due = [reason for one in found["streams"].values() for reason in one["backlog"]]
    if words := legend((*due, *found["requests_by_reason"])):
        console.print(f"\n{words}")
    console.print(f"\n{runnable(next_step(found))}")


def _tabulate_streams(console: Console, streams: Iterable[dict[str, Any]]) -> None:
    table = Table("stream", show_edge=False)
    for name in _COUNTS:
        table.add_column(name, justify="right")
    for name in ("last success (UTC)", "in full every", "due now"):
        table.add_column(name)
    for stream in streams:
        table.add_row(
            stream["stream"],
            *(f"{stream[name]:,}" for name in _COUNTS),
            minute(stream["last_success"]),
            _every(stream),
            _due(stream),
        )
    console.print(table)


def _list_streams(console: Console, streams: Iterable[dict[str, Any]]) -> None:
    """Print two lines a stream, where a table would cut its columns."""
    for stream in streams:
        parts = [count(stream["rows"], "row"), count(stream["lists"], "list")]
        parts += [f"{stream[name]:,} {name}" for name in _TROUBLES if stream[name]]
        console.print(f"{stream['stream']}: {', '.join(parts)}")
        read = f"  last success {minute(stream['last_success'])}"
        if stream["interval_seconds"] is not None:
            read += f", in full every {_every(stream)}"
        console.print(f"{read}; due now: {_due(stream) or 'nothing'}")


def _due(stream: dict[str, Any]) -> str:
    return ", ".join(f"{number:,} {reason}" for reason, number in stream["backlog"].items())


def _show_requests(console: Console, by_reason: dict[str, dict[str, Any]]) -> None:
    table = Table("requests of 7 days", show_edge=False)
    for name in ("lists", "requests", "brought something"):
        table.add_column(name, justify="right")
    for one in by_reason.values():
        table.add_row(
            one["reason"], f"{one['lists']:,}", f"{one['requests']:,}", f"{one['share']:.0%}"
        )
    console.print(table)
    console.print()


def _show_coverage(console: Console, channels: Collection[dict[str, Any]]) -> None:
    proven = sum(one["is_proven"] for one in channels)
    least = min(one["share"] for one in channels)
    console.print(
        f"Webhooks had {least:.1%} or more of each channel's messages of 7 days. In {proven} of "
        f"{count(len(channels), 'channel')} that is enough ({settled.LEAST_COVERAGE:.1%} of at "
        f"least {settled.LEAST_MESSAGES}) not to read what they reported.\n"
    )


def _every(stream: dict[str, Any]) -> str:
    """Return a stream's interval, and the longer one that its readings led to when scheduled."""
    seconds, learned = stream["interval_seconds"], stream["learned_interval_seconds"]
    if not learned or learned <= seconds + 60:
        return _duration(seconds)
    return f"{_duration(seconds)}, scheduled {_duration(learned // 60 * 60)}"


def _duration(seconds: int | None) -> str:
    """Return an interval in the largest unit of HATIF_INTERVALS that divides it."""
    if not seconds:
        return "-" if seconds is None else "run"
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % length == 0:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def minute(instant: Any) -> str:
    """Return an instant to the minute, or that there was none."""
    return "never" if instant is None else f"{instant:%Y-%m-%d %H:%M}"
