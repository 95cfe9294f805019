"""``python -m benchmarks.deliveries``: webhook files into the lake, beside the bare parts.

    python -m benchmarks.deliveries [--deliveries 200000] [--rounds 3]

Signed envelopes in NDJSON, a tenth of them repeated, all shuffled; in ten files, one after another,
as a receiver leaves them. The bare part reads the same lines, computes the same HMACs, parses the
same bodies and inserts them into the same kind of table in batches of the same size: nothing is
recognised, rejected, noted or resumed. Then what was ingested is merged. Each way is a process of
its own. On a machine that is busy with other things, the ratio of the processor's
seconds is steadier than that of the clock's; both are printed.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import itertools
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import msgspec
import pyarrow as pa

from hatif.webhooks.schemas import Message
from hatif.webhooks.signatures import Secrets
from hatif.webhooks.sources import place_of
from hatif.webhooks.validate import Envelope
from warehouse.lake import schema
from warehouse.lake.connection import Lake
from warehouse.merge.messages import merge
from warehouse.settings.environment import Settings
from warehouse.webhooks.ingest import ingest

_SECRET = "made-up"
_BATCH = 20_000
_FILES = 10
_NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
_STATES = {"Outbound": ("Pending", "Sent", "Delivered", "Read"), "Inbound": ("Read",)}
_PER_CONVERSATION = 40
_BODY = msgspec.json.Decoder(Message)
_ENVELOPE = msgspec.json.Decoder(Envelope)


def _bodies(number: int) -> Iterator[bytes]:
    """Yield so many different bodies: customers and agents take turns in some conversations."""
    talks = max(1, number * 2 // 5 // _PER_CONVERSATION)
    i = 0
    while True:
        direction = "Outbound" if i // talks % 2 else "Inbound"
        talk = f"3a1e{i % talks:04x}-0000-4000-8000-{i % talks:012x}"
        for status in _STATES[direction]:
            body = {
                "workspaceId": "w",
                "channelId": f"c{i % talks % 4}",
                "conversationId": talk,
                "contactId": talk.replace("3a1e", "3a1d"),
                "conversationEventId": f"3a1f{i >> 16:04x}-{i & 65535:04x}-4000-8000-{i:012x}",
                "messageId": None if status == "Pending" else f"wamid.HBgMOTY2{i:024x}",
                "direction": direction,
                "messageType": "Text",
                "body": f"السلام عليكم، هل الطلب {i} جاهز؟ Order status please.",
                "mediaUrl": None,
                "mimeType": None,
                "status": status,
                "senderUserId": f"agent-{i % 9}" if i % 5 == 0 else None,
                "latitude": None,
                "longitude": None,
                "creationTime": f"{_NOON + timedelta(seconds=i):%Y-%m-%dT%H:%M:%SZ}",
                "isBillable": status == "Delivered",
                "errorCode": None,
                "errorReason": None,
            }
            yield json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
            number -= 1
            if not number:
                return
        i += 1


def _fill(directory: Path, deliveries: int) -> None:
    """Write the files; one delivery in ten is one of the others again."""
    chance = random.Random(7)
    bodies = list(_bodies(deliveries - deliveries // 10))
    bodies += chance.sample(bodies, deliveries // 10)
    chance.shuffle(bodies)
    directory.mkdir()
    bounds = [len(bodies) * file // _FILES for file in range(_FILES + 1)]
    for begin, end in itertools.pairwise(bounds):
        with (directory / f"{begin:08}.ndjson").open("wb") as stream:
            for place in range(begin, end):
                body = bodies[place]
                signature = hmac.new(_SECRET.encode(), body, hashlib.sha256).hexdigest()
                envelope = {
                    "received_at": f"{_NOON + timedelta(milliseconds=place):%Y-%m-%dT%H:%M:%S.%fZ}",
                    "headers": {"X-Voxa-Signature": signature},
                    "body": body.decode(),
                }
                stream.write(json.dumps(envelope, ensure_ascii=False).encode() + b"\n")


def _lines(directory: Path) -> Iterator[bytes]:
    for path in sorted(directory.iterdir()):
        with path.open("rb") as stream:
            yield from stream


def _row(line: bytes) -> tuple[Any, ...]:
    envelope = _ENVELOPE.decode(line)
    body = (envelope.body or "").encode()
    signature = (envelope.headers or {})["X-Voxa-Signature"]
    fits = hmac.compare_digest(hmac.digest(_SECRET.encode(), body, "sha256").hex(), str(signature))
    known = _BODY.decode(body)
    digest = hashlib.sha256(body).hexdigest()
    verdict = "valid" if fits else "unsigned"
    return (
        *(digest, known.channel_id, known.conversation_id),
        *(envelope.received_at, verdict, envelope.body),
    )


def _store(connection: duckdb.DuckDBPyConnection, rows: list[tuple[Any, ...]], seq: int) -> None:
    digest, channel, talk, received, signature, body = zip(*rows, strict=True)
    table = pa.table(
        {
            "delivery_id": digest,
            "seq": range(seq, seq + len(rows)),
            "kind": ["message"] * len(rows),
            "channel_id": channel,
            "conversation_id": talk,
            "received_at": pa.array(received, pa.timestamp("us", "UTC")),
            "signature": signature,
            "body": body,
        }
    )
    connection.register("batch", table)
    connection.execute("INSERT INTO raw.webhook_events BY NAME FROM batch")
    connection.unregister("batch")


def _bare(lake: Lake, directory: Path) -> int:
    lines = _lines(directory)
    seq = 0
    while some := list(itertools.islice(lines, _BATCH)):
        rows = list(map(_row, some))
        lake.write("store", partial(_store, rows=rows, seq=seq))
        seq += len(rows)
    return seq


def _round(directory: Path, *, is_bare: bool) -> None:
    """One way once, into a new home; prints deliveries, three kinds of seconds, MB."""
    with tempfile.TemporaryDirectory() as home, Lake(Settings.load(home=Path(home))) as lake:
        lake.write("make the tables", schema.create)
        began, worked = time.perf_counter(), time.process_time()
        if is_bare:
            found = _bare(lake, directory)
        else:
            found = ingest(lake, place_of(str(directory)), Secrets(f"*={_SECRET}")).deliveries
        stored, worked = time.perf_counter(), time.process_time() - worked
        if not is_bare:
            merge(lake)
        merged = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(found, stored - began, merged - stored, worked, peak)


class _Rates(NamedTuple):
    """Deliveries a second: stored, merged, stored in a second of the processor; and MB at most."""

    stored: float
    merged: float
    worked: float
    peak: float


def _measured(directory: Path, *, is_bare: bool) -> _Rates:
    command = [sys.executable, "-m", "benchmarks.deliveries", "--directory", str(directory)]
    done = subprocess.run(
        command + ["--bare"] * is_bare, check=True, stdout=subprocess.PIPE, text=True
    )
    found, stored, merged, worked, peak = map(float, done.stdout.split())
    return _Rates(found / stored, found / merged, found / worked, peak)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--deliveries", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.directory is not None:
        _round(options.directory, is_bare=options.bare)
        return
    with tempfile.TemporaryDirectory(prefix="hatif-bench-") as root:
        directory = Path(root) / "webhooks"
        _fill(directory, options.deliveries)
        rounds = []
        for _ in range(options.rounds):
            bare, ours = _measured(directory, is_bare=True), _measured(directory, is_bare=False)
            rounds.append((bare, ours))
            print(
                f"ingest {ours.stored:8,.0f}/s   bare {bare.stored:8,.0f}/s   "
                f"merge {ours.merged:8,.0f}/s   peak {ours.peak:.0f} MB",
                flush=True,
            )
    middle = statistics.median
    print(
        f"median of {len(rounds)}: ingest {middle(ours.stored for _, ours in rounds):,.0f}/s, "
        f"{middle(ours.stored / bare.stored for bare, ours in rounds):.2f} of the bare rate "
        f"({middle(ours.worked / bare.worked for bare, ours in rounds):.2f} by processor seconds); "
        f"merge {middle(ours.merged for _, ours in rounds):,.0f}/s"
    )


if __name__ == "__main__":
    main()
