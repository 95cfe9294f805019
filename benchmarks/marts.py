"""``python -m benchmarks.marts``: marts from scratch, after some changes, and how that grows.

    python -m benchmarks.marts [--messages 1000000] [--changes 500] [--growth]

Core is filled by SQL with made-up conversations: a message every few hours, for years. Each size
runs in a process of its own; says seconds, peak memory, and the slowest mart.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from hatif.rate_card import SAMPLE
from hatif.settings import Settings
from warehouse import marts, outdated, schema
from warehouse.lake import Lake
from warehouse.models import models

_PER_CONVERSATION = 20
_ROUNDS = 5
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
        ['SA', 'AE', 'EG'][1 + i % 3] AS country, TIMESTAMPTZ '2024-01-01' AS created_at
    FROM range({conversations}) t(i)
"""
_CONVERSATIONS = """
    SELECT printf('3ac%014x', i) AS conversation_id, printf('3ak%014x', i) AS contact_id,
        'line' || i % 5 AS channel_id, 'open' AS status
    FROM range({conversations}) t(i)
"""


def _fill(connection: duckdb.DuckDBPyConnection, messages: int) -> None:
    schema.create(connection)
    for model in models("core"):
        if model.is_view:
            columns = ", ".join(f'"{column.name}" {column.type}' for column in model.columns)
            connection.execute(f"DROP VIEW wh.{model.table}")
            connection.execute(f"CREATE TABLE wh.{model.table} ({columns})")
    conversations = messages // _PER_CONVERSATION
    # A year for every 365,000 messages: more history is more days, not busier ones.
    known = {
        "conversations": conversations,
        "spacing": 86_400 * _PER_CONVERSATION // 1_000,
        "per": _PER_CONVERSATION,
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


def _change(connection: duckdb.DuckDBPyConnection, changes: int, seed: int) -> None:
    """Let the newest messages be read: what a sync of the last days brings."""
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
    outdated.mark(
        connection, "marts", "conversation", "SELECT conversation_id AS key FROM changing"
    )


def measure(messages: int, changes: int) -> dict[str, object]:
    """Fill a lake, compute its marts, change some messages and refresh; all in this process."""
    with tempfile.TemporaryDirectory() as home:
        settings = Settings.load(home=Path(home), rate_card=str(SAMPLE))
        with Lake(settings) as lake:
            lake.write("fill core", lambda connection: _fill(connection, messages))
            began = time.monotonic()
            done = marts.refresh(lake, settings)
            scratch = time.monotonic() - began
            seconds = []
            for seed in range(_ROUNDS):

                def change(connection: duckdb.DuckDBPyConnection, seed: int = seed) -> None:
                    _change(connection, changes, seed)

                lake.write("change", change)
                began = time.monotonic()
                after = marts.refresh(lake, settings)
                seconds.append(time.monotonic() - began)
            began = time.monotonic()
            marts.rebuild(lake, settings)
            rebuilt = time.monotonic() - began
    slowest = max(done, key=lambda name: done[name].seconds)
    slowest_after = max(after, key=lambda name: after[name].seconds)
    return {
        "messages": messages,
        "scratch": scratch,
        "rebuild": rebuilt,
        "refresh": statistics.median(seconds),
        "slowest": f"{slowest} {done[slowest].seconds:.1f} s",
        "slowest_after": f"{slowest_after} {after[slowest_after].seconds:.2f} s",
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--changes", type=int, default=500)
    parser.add_argument("--growth", action="store_true", help="also a tenth of the messages")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.messages, options.changes)))
        return
    sizes = [options.messages // 10] if options.growth else []
    for messages in (*sizes, options.messages):
        command = [sys.executable, "-m", "benchmarks.marts", "--one"]
        command += ["--messages", str(messages), "--changes", str(options.changes)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        print(
            f"{found['messages']:9,} messages: from scratch {found['scratch']:.1f} s "
            f"(slowest {found['slowest']}), rebuild {found['rebuild']:.1f} s, refresh after "
            f"{options.changes} changes {found['refresh']:.2f} s (median of {_ROUNDS}, slowest "
            f"{found['slowest_after']}), peak {found['peak_mb']} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
