"""``python -m benchmarks.merging``: the merge of messages from scratch, and of a few changes.

A lake is filled with timelines and webhook deliveries as they come in practice: arrival interleaves
the conversations, an inbound message has one delivery, an outbound one three, the first time
without its message id; one event in twenty is a call, with two. Then everything is merged, and
three times over changes in a few hundred conversations. Prints seconds, and the peak memory of the
merging process, whose DuckDB is limited to 160 MB.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from warehouse.lake.connection import Lake
from warehouse.lake.maintenance import maintain
from warehouse.lake.schema import open_lake
from warehouse.merge.messages import merge, merge_all
from warehouse.settings.environment import Settings

_PER_CONVERSATION = 200
_SLICE = 25_000

# Event `i` of conversation `v`; conversations take turns, a second apart.
_MADE = """
    CREATE OR REPLACE TEMP TABLE made AS
    SELECT
        i,
        i % $conversations AS v,
        format('3a1f{:04x}-{:04x}-4000-8000-{:012x}', i // 65536, i % 65536, i) AS event_id,
        format('3a1e{:04x}-{:04x}-4000-8000-{:012x}', v // 65536, v % 65536, v) AS conversation_id,
        format('3a1d{:04x}-{:04x}-4000-8000-{:012x}', v // 65536, v % 65536, v) AS contact_id,
        'c' || v % 4 AS channel_id,
        i % 20 = 7 AS is_call,
        (i // $conversations) % 2 = 0 AS is_inbound,
        TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_seconds(i) AS event_at,
        CASE WHEN i % 9 > 0 THEN repeat('نص الرسالة ', 1 + (i % 7)::INTEGER) || i END AS body
    FROM range($begin, $end) r(i)
"""
_EVENTS = """
    INSERT INTO core.timeline_events BY NAME
    SELECT
        event_id, conversation_id, contact_id, channel_id,
        CASE WHEN is_call THEN 'call' ELSE 'whatsapp' END AS source,
        CASE WHEN is_call THEN 'call-' || event_id END AS source_id,
        CASE WHEN is_inbound THEN 'inbound' ELSE 'outbound' END AS direction,
        event_at AS occurred_at,
        CASE WHEN is_call THEN 'answered' WHEN is_inbound THEN 'read' ELSE 'sent' END AS status,
        false AS is_ai,
        CASE WHEN is_inbound THEN NULL ELSE 'agent-' || i % 9 END AS owner_user_id,
        body
    FROM made
"""
_DELIVERIES = """
    INSERT INTO raw.webhook_events BY NAME
    WITH deliveries AS (
        SELECT *, unnest(CASE WHEN is_call THEN ['8', '1'] WHEN is_inbound THEN ['Read']
            ELSE ['Pending', 'Sent', $receipt] END) AS word
        FROM made
    ), bodies AS (
        SELECT
            *,
            CASE WHEN is_call THEN json_object(
                'callId', 'CALL-' || event_id, 'channelId', channel_id, 'contactId', contact_id,
                'type', CASE WHEN is_inbound THEN 1 ELSE 2 END, 'status', word::INTEGER,
                'creationTime', strftime(event_at, '%Y-%m-%dT%H:%M:%SZ'),
                'pickupTime', strftime(event_at, '%Y-%m-%dT%H:%M:%SZ'), 'callLength', '00:01:02'
            ) ELSE json_object(
                'workspaceId', 'w', 'channelId', channel_id, 'conversationId', conversation_id,
                'contactId', contact_id, 'conversationEventId', event_id,
                'messageId', CASE WHEN word <> 'Pending' THEN 'wamid.HBgMOTY2' || md5(event_id) END,
                'direction', CASE WHEN is_inbound THEN 'Inbound' ELSE 'Outbound' END,
                'messageType', CASE WHEN body IS NULL THEN 'Image' ELSE 'Text' END,
                'body', body, 'mediaUrl', NULL, 'mimeType', NULL, 'status', word,
                'senderUserId', CASE WHEN i % 5 = 0 THEN 'agent-' || i % 9 END,
                'latitude', NULL, 'longitude', NULL,
                'creationTime', strftime(event_at, '%Y-%m-%dT%H:%M:%SZ'),
                'isBillable', word = 'Delivered', 'errorCode', NULL, 'errorReason', NULL
            ) END AS body_sent
        FROM deliveries
    )
    SELECT
        sha256(body_sent) AS delivery_id,
        (SELECT coalesce(max(seq), 0) FROM raw.webhook_events)
            + row_number() OVER (ORDER BY i, word) AS seq,
        CASE WHEN is_call THEN 'call' ELSE 'message' END AS kind,
        channel_id,
        CASE WHEN NOT is_call THEN conversation_id END AS conversation_id,
        event_at + INTERVAL 5 SECONDS AS received_at,
        'unsigned' AS signature,
        body_sent::VARCHAR AS body
    FROM bodies
"""


def fill(home: Path, messages: int) -> None:
    """Store timelines and deliveries, in slices."""
    conversations = messages // _PER_CONVERSATION
    with open_lake(Settings.load(home=home)) as lake:
        for begin in range(0, messages, _SLICE):
            bounds = {"begin": begin, "end": min(begin + _SLICE, messages)}

            def store(c: duckdb.DuckDBPyConnection, bounds: dict[str, int] = bounds) -> None:
                c.execute(_MADE, {**bounds, "conversations": conversations})
                c.execute(_EVENTS)
                c.execute(_DELIVERIES, {"receipt": "Delivered"})

            lake.write("fill the lake", store)


def _news(lake: Lake, messages: int, number: int, round_: int) -> None:
    """Store receipts in some conversations."""
    conversations = messages // _PER_CONVERSATION
    step = max(1, conversations // number)

    def store(c: duckdb.DuckDBPyConnection) -> None:
        c.execute(
            _MADE,
            {"begin": messages - conversations, "end": messages, "conversations": conversations},
        )
        c.execute(f"DELETE FROM made WHERE v % {step} <> {round_} OR is_call")
        c.execute("UPDATE made SET is_inbound = false")
        c.execute(_DELIVERIES, {"receipt": "Read"})

    lake.write("store receipts", store)


def _measure_news(lake: Lake, messages: int, changed: int, state: str, rounds: range) -> None:
    """Measure, of each round, changes that no other round stored."""
    seconds = []
    for round_ in rounds:
        _news(lake, messages, changed, round_)
        began = time.monotonic()
        done = merge(lake)
        seconds.append(time.monotonic() - began)
        print(f"changes: {seconds[-1]:.2f} s, {done}", flush=True)
    print(f"changes, files {state}, median of {len(seconds)}: {statistics.median(seconds):.2f} s")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--changed", type=int, default=300, help="conversations that change")
    parser.add_argument("--fill", type=Path, help="only fill this home (used by itself)")
    options = parser.parse_args()
    if options.fill:
        fill(options.fill, options.messages)
        return
    with tempfile.TemporaryDirectory() as home:
        filler = [sys.executable, "-m", "benchmarks.merging", "--fill", home]
        subprocess.run([*filler, "--messages", str(options.messages)], check=True)
        with open_lake(Settings.load(home=Path(home))) as lake:
            began = time.monotonic()
            done = merge_all(lake)
            print(f"from scratch: {time.monotonic() - began:.1f} s, {done}", flush=True)
            _measure_news(lake, options.messages, options.changed, "as written", range(3))
            maintain(lake)
            at_night = "after a night's maintenance"
            _measure_news(lake, options.messages, options.changed, at_night, range(3, 6))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"peak {peak} MB")


if __name__ == "__main__":
    main()
