"""``python -m benchmarks.marts``: marts from scratch, after some changes, and how that grows.

    python -m benchmarks.marts [--messages 1000000 300000 100000] [--changes 500] [--tiers]

Core is filled by SQL with made-up conversations: a message every few hours, for years. Lakes of all
sizes are refreshed in turn, so that whatever else the machine does meets all of them alike: the
ratios are the medians of those of single turns. Seconds are those on the clock and, in brackets,
those of the processor.

With ``--tiers`` categories are known by the texts of templates, each market has tiers and an
allowance, and what changes is which messages are charged, so that every refresh counts the months
anew and moves the messages at which a tier begins.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb

from warehouse.lake import invalidation, schema
from warehouse.lake.connection import Lake
from warehouse.marts import refresh
from warehouse.models.model import models
from warehouse.settings.environment import Settings
from warehouse.settings.rate_card import SAMPLE

_Done = dict[str, refresh.Refreshed]

_PER_CONVERSATION = 20
_ROUNDS = 7
# A hash of the row's number stands in for chance: the same world every time. Ids are sequential, as
# the service's are.
_MESSAGES = """
    SELECT
        '3a' || printf('%014x', i) AS message_key,
        message_key AS event_id,
        printf('3ac%014x', c) AS conversation_id,
        printf('3ak%014x', c) AS contact_id,
        'line' || c % 5 AS channel_id,
        CASE WHEN h % 100 < 45 THEN 'inbound' ELSE 'outbound' END AS direction,
        CASE WHEN h % 100 < 45 THEN 'customer' WHEN h % 100 < 75 THEN 'agent'
            WHEN h % 100 < 85 THEN 'ai' WHEN h % 100 < 95 THEN 'template' ELSE 'automatic' END
            AS origin,
        'stated' AS origin_confidence,
        CASE WHEN origin = 'template' THEN 'template' WHEN h % 7 = 0 THEN 'image' ELSE 'text' END
            AS message_type,
        TIMESTAMPTZ '2026-11-01' - INTERVAL 1 SECOND * ({conversations} - c) * {spacing}
            + INTERVAL 1 SECOND * (n * 9000 + h % 9000) AS sent_at,
        CASE WHEN direction = 'inbound' THEN 'read' WHEN h % 50 = 0 THEN 'failed'
            WHEN h % 3 = 0 THEN 'delivered' ELSE 'read' END AS status,
        CASE WHEN status <> 'failed' AND direction = 'outbound' THEN sent_at + INTERVAL 3 SECOND
            END AS delivered_at,
        CASE WHEN origin = 'template' THEN ['Dear ' || i || ', today only: half price',
            'Your order ' || i || ' has left', i || ' is your code'][1 + h % 3] END AS body,
        CASE WHEN status = 'failed' THEN 131026 END AS error_code,
        CASE WHEN status = 'failed' THEN 'undeliverable' END AS error_reason,
        CASE WHEN origin = 'agent' THEN 'user' || h % 20 END AS sender_user_id,
        CASE WHEN origin = 'ai' THEN 'robot' END AS ai_agent_id,
        CASE WHEN direction = 'inbound' OR status = 'failed' THEN false
            WHEN h % 10 = 0 THEN NULL ELSE true END AS is_charged,
        is_charged AS is_billable,
        true AS in_timeline,
        true AS in_webhooks
    FROM (
        SELECT i, i // {per} AS c, i % {per} AS n, (hash(i) >> 20)::BIGINT AS h
        FROM range({begin}, {end}) t(i)
    )
    ORDER BY conversation_id
"""
_CALLS = """
    SELECT
        'call' || i AS call_key, call_key AS event_id,
        printf('3ac%014x', i) AS conversation_id, printf('3ak%014x', i) AS contact_id,
        'line' || i % 5 AS channel_id, 'inbound' AS direction,
        CASE WHEN i % 4 = 0 THEN 'missed' ELSE 'completed' END AS status,
        i % 4 <> 0 AS is_answered, i % 4 <> 0 AS is_completed,
        TIMESTAMPTZ '2026-11-01' - INTERVAL 1 SECOND * ({conversations} - i) * {spacing}
            AS started_at,
        (i % 300)::DOUBLE AS duration_seconds, (i % 40)::DOUBLE AS ringing_seconds,
        'user' || i % 20 AS user_id, false AS is_ai_call, true AS in_timeline
    FROM range({conversations}) t(i)
"""
_CONTACTS = """
    SELECT printf('3ak%014x', i) AS contact_id, 'Contact ' || i AS name,
        ['SA', 'AE', 'EG'][1 + i % 3] AS country,
        ['+966500000001', '+971500000001', '+201000000001'][1 + i % 3] AS phone_e164,
        TIMESTAMPTZ '2024-01-01' AS created_at
    FROM range({conversations}) t(i)
"""
_CONVERSATIONS = """
    SELECT printf('3ac%014x', i) AS conversation_id, printf('3ak%014x', i) AS contact_id,
        'line' || i % 5 AS channel_id, 'open' AS status
    FROM range({conversations}) t(i)
"""


_TEMPLATES = """\
template,category,language,text
sale,marketing,en,"Dear {{1}}, today only: {{2}} price"
order,utility,en,Your order {{1}} has left
login,authentication,en,{{1}} is your code
"""
_RATES = "market,category,effective_from,currency,rate,from_volume,free_per_month\n" + "".join(
    f"{market},{category},{since},USD,{rate / (1 + tier):.4f},{500 * tier},{free}\n"
    for market, more in (("Saudi Arabia", 1), ("United Arab Emirates", 2), ("*", 3))
    for category, rate, free in (
        *(("marketing", 0.04 * more, 0), ("utility", 0.01 * more, 0)),
        *(("authentication", 0.02 * more, 0), ("service", 0.005 * more, 1000)),
    )
    for since in ("2023-01-01", "2025-07-01", "2026-10-01")
    for tier in range(4)
)


def fill(
    connection: duckdb.DuckDBPyConnection, messages: int, per: int = _PER_CONVERSATION
) -> None:
    """Fill core with so many messages, `per` in each conversation, and what belongs to them."""
    schema.create(connection)
    for model in models("core"):
        if model.is_view:
            columns = ", ".join(f'"{column.name}" {column.type}' for column in model.columns)
            connection.execute(f"DROP VIEW wh.{model.table}")
            connection.execute(f"CREATE TABLE wh.{model.table} ({columns})")
    conversations = messages // per
    # A year for every 365,000 messages: more history is more days, not busier ones.
    known = {
        "conversations": conversations,
        "spacing": 86_400 * per // 1_000,
        "per": per,
    }
    for begin in range(0, messages, 250_000):
        sql = _MESSAGES.format(begin=begin, end=min(begin + 250_000, messages), **known)
        connection.execute(f"INSERT INTO wh.core.messages BY NAME {sql}")
    for table, sql in (
        ("calls", _CALLS),
        ("contacts", _CONTACTS),
        ("conversations", _CONVERSATIONS),
    ):
        connection.execute(f"INSERT INTO wh.core.{table} BY NAME {sql.format(**known)}")


def _change(
    connection: duckdb.DuckDBPyConnection, changes: int, seed: int, *, has_tiers: bool
) -> None:
    """Let the newest messages be read: what a sync of the last days brings.

    With tiers half of them fail or are delivered after all, and count no longer or anew.
    """
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE changing AS SELECT message_key, conversation_id FROM "
        "(FROM core.messages WHERE direction = 'outbound' ORDER BY sent_at DESC LIMIT ?) "
        f"ORDER BY hash(message_key, {seed}) LIMIT ?",
        [changes * 4, changes],
    )
    connection.execute(
        "UPDATE wh.core.messages SET status = 'read', "
        f"read_at = sent_at + INTERVAL {10 + seed} SECOND "
        "WHERE message_key IN (SELECT message_key FROM changing)"
    )
    if has_tiers:
        connection.execute(
            "UPDATE wh.core.messages SET is_charged = NOT coalesce(is_charged, false), "
            "status = CASE WHEN is_charged THEN 'failed' ELSE 'delivered' END, read_at = NULL "
            f"WHERE hash(message_key, {seed}) % 2 = 0 "
            "AND message_key IN (SELECT message_key FROM changing)"
        )
    invalidation.mark(
        connection, "marts", "conversation", "SELECT conversation_id AS key FROM changing"
    )


@dataclass
class _Timed:
    """Seconds of the clock and of the processor."""

    clock: float
    processor: float

    def __str__(self) -> str:
        return f"{self.clock:.2f} s ({self.processor:.2f})"


class _Sized:
    """A lake of so many messages, with its marts computed.

    Attributes:
        messages: how many.
        scratch: how long its marts took.
        peak_mb: the process's memory until then.
        refreshes: how long each took.
    """

    def __init__(self, home: Path, messages: int, *, has_tiers: bool) -> None:
        self.messages = messages
        self._has_tiers = has_tiers
        self.settings = Settings.load(home=home, rate_card=str(SAMPLE))
        if has_tiers:
            card, templates = home / "rates.csv", home / "templates.csv"
            card.write_text(_RATES)
            templates.write_text(_TEMPLATES)
            self.settings = Settings.load(home=home, rate_card=str(card), templates=str(templates))
        self.lake = Lake(self.settings)
        self.lake.write("fill core", lambda connection: fill(connection, messages))
        self.scratch, self._marts = self._timed(refresh.refresh)
        self.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        self.refreshes: list[_Timed] = []

    def change_and_refresh(self, changes: int) -> None:
        seed = len(self.refreshes)
        self.lake.write(
            "change", partial(_change, changes=changes, seed=seed, has_tiers=self._has_tiers)
        )
        took, self._marts_after = self._timed(refresh.refresh)
        self.refreshes.append(took)

    def rebuild(self) -> _Timed:
        return self._timed(refresh.rebuild)[0]

    def slowest(self) -> str:
        """The slowest marts from scratch and of the last refresh, with their steps."""
        figures = []
        for done in (self._marts, self._marts_after):
            name = max(done, key=lambda one: done[one].seconds)
            figures.append(f"{name} {done[name].seconds:.2f} s")
        return " from scratch, ".join(figures) + " refreshed"

    def _timed(self, work: Callable[[Lake, Settings], _Done]) -> tuple[_Timed, _Done]:
        clock, processor = time.monotonic(), time.process_time()
        done = work(self.lake, self.settings)
        return _Timed(time.monotonic() - clock, time.process_time() - processor), done


def _growth(large: _Sized, small: _Sized) -> float:
    """By how much refreshes of one take longer than those of the other, turn by turn."""
    return statistics.median(
        one.processor / other.processor
        for one, other in zip(large.refreshes, small.refreshes, strict=True)
    )


def measure(sizes: Sequence[int], changes: int, *, has_tiers: bool) -> None:
    """Fill a lake for each size, compute, change and refresh; print what it took."""
    with ExitStack() as stack:
        # The largest first: what is measured of memory is its own.
        lakes = [
            _Sized(
                Path(stack.enter_context(tempfile.TemporaryDirectory())),
                messages,
                has_tiers=has_tiers,
            )
            for messages in sorted(sizes, reverse=True)
        ]
        for _ in range(_ROUNDS):
            for sized in lakes:
                sized.change_and_refresh(changes)
        largest, smallest = lakes[0], lakes[-1]
        for sized in lakes:
            refresh = sorted(sized.refreshes, key=lambda took: took.processor)[_ROUNDS // 2]
            print(
                f"{sized.messages:9,} messages: from scratch {sized.scratch}, refresh after "
                f"{changes} changes {refresh}, {_growth(sized, smallest):.2f} times that of "
                f"{smallest.messages:,}; peak until then {sized.peak_mb} MB; slowest: "
                f"{sized.slowest()}",
                flush=True,
            )
        refresh = sorted(largest.refreshes, key=lambda took: took.processor)[_ROUNDS // 2]
        rebuilt = largest.rebuild()
        print(
            f"{largest.messages:9,} messages: rebuild {rebuilt}, a refresh is "
            f"{refresh.processor / rebuilt.processor:.2f} of it"
        )
        for sized in lakes:
            sized.lake.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, nargs="+", default=[1_000_000, 300_000, 100_000])
    parser.add_argument("--changes", type=int, default=500)
    parser.add_argument("--tiers", action="store_true")
    options = parser.parse_args()
    measure(options.messages, options.changes, has_tiers=options.tiers)


if __name__ == "__main__":
    main()
