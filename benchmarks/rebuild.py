"""``python -m benchmarks.rebuild``: core again from raw, beside a bare json_transform, in one run.

    python -m benchmarks.rebuild [--rows 1000000] [--rounds 3]

One record in ten has a second version and one in a hundred is deleted. The bare part reads the same
payloads with the same shape, once, into a temporary table, with as many threads.
"""

from __future__ import annotations

import argparse
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import duckdb

from warehouse.lake import schema
from warehouse.lake.connection import Lake
from warehouse.models.model import main_model
from warehouse.records.rebuild import open_for_rebuild, rebuild
from warehouse.settings.environment import Settings

_EVENT = """{
    "eventId": "@id", "conversationId": "@parent", "contactId": "@parent", "channelId": "@parent",
    "sourceType": 2, "sourceId": "@id", "direction": @direction,
    "creationTime": "2026-10-@dayT10:@minute:00Z", "status": "@status", "errorCode": null,
    "failureReason": null, "isAi": false, "attachment": null, "ownerUserId": "@parent",
    "aiAgentId": null, "durationOrSize": null, "ringingDuration": null,
    "body": "السلام عليكم، هل الطلب @n جاهز؟ Order status please.", "handlerName": "Agent",
    "aiSummary": null, "replyTo": null, "internalThread": null, "location": null,
    "assignation": null
}"""
_AT_ONCE = 50_000


def _fill(lake: Lake, rows: int) -> None:
    """Store events as a full sync would, 200 a conversation, then versions and deletions."""
    template = re.sub(r"\n\s+", "", _EVENT).replace("'", "''")
    event = f"'{template}'"
    for name, value in {
        "@id": "record_id",
        "@parent": "parent_id",
        "@direction": "(1 + n % 2)::VARCHAR",
        "@day": "lpad((1 + n % 28)::VARCHAR, 2, '0')",
        "@minute": "lpad((n % 60)::VARCHAR, 2, '0')",
        "@status": "status",
        "@n": "n::VARCHAR",
    }.items():
        event = f"replace({event}, '{name}', {value})"
    for kind, condition, status in (
        ("upsert", "true", "Sent"),
        ("upsert", "n % 10 = 0", "Read"),
        ("tombstone", "n % 100 = 0", ""),
    ):
        for first in range(0, rows, _AT_ONCE):
            sql = f"""
                INSERT INTO raw.records BY NAME
                WITH one AS (
                    SELECT n, {_guid("3a1f", "n")} AS record_id,
                        {_guid("3a1e", "(n // 200)")} AS parent_id, '{status}' AS status
                    FROM range({first}, {min(first + _AT_ONCE, rows)}) t(n) WHERE {condition}
                )
                SELECT 'timelines' AS stream, record_id, parent_id,
                    (SELECT coalesce(max(seq), 0) FROM raw.records) + row_number() OVER () AS seq,
                    '{kind}' AS op, now() AS fetched_at,
                    CASE WHEN '{kind}' = 'upsert' THEN ({event})::JSON END AS payload
                FROM one
            """
            lake.write("fill", partial(_run, sql=sql))


def _run(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    connection.execute(sql)


def _guid(prefix: str, number: str) -> str:
    return (
        f"printf('{prefix}%04x-%04x-0000-0000-%012x', {number} >> 16, {number} & 65535, {number})"
    )


def _bare(lake: Lake) -> float:
    shape = re.search(r"json_transform\(payload, '(.*?)'\)", main_model("timelines").select, re.S)
    assert shape is not None
    with lake.reading() as connection:
        began = time.perf_counter()
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE bare AS "
            f"SELECT json_transform(payload, '{shape[1]}') AS r "
            "FROM raw.records WHERE stream = 'timelines' AND op = 'upsert'"
        )
        seconds = time.perf_counter() - began
        connection.execute("DROP TABLE bare")
    return seconds


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _round(home: Path, rows: int) -> None:
    """In a process of its own, so that its peak memory is its own."""
    versions = rows + rows // 10
    with open_for_rebuild(Settings.load(home=home)) as lake:
        began = time.perf_counter()
        rebuild(lake, lambda *_: None)
        seconds = time.perf_counter() - began
        peak = _peak()
        bare = _bare(lake)
    print(f"{versions / seconds:.0f} {versions / bare:.0f} {peak}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.home is not None:
        _round(options.home, options.rows)
        return
    home = Path(tempfile.mkdtemp(prefix="hatif-bench-"))
    try:
        with Lake(Settings.load(home=home)) as lake:
            lake.write("make the tables", schema.create)
            _fill(lake, options.rows)
        ratios = []
        for _ in range(options.rounds):
            command = [sys.executable, "-m", "benchmarks.rebuild", "--home", str(home)]
            command += ["--rows", str(options.rows)]
            printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            ours, bare, peak = map(int, printed.split())
            ratios.append(ours / bare)
            print(f"rebuild {ours:9,} rows/s   bare {bare:9,}   peak {peak} MB", flush=True)
        print(f"median of {options.rounds}: {statistics.median(ratios):.2f} of the bare rate")
    finally:
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
