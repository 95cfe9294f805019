"""The floor: the same lists with the bare parts, httpx, msgspec and DuckDB, and nothing proven.

No budget, retries, certificates, change detection, rejects or derived tables: fetch, split, insert
raw, type with the same SELECT, commit. ``python -m benchmarks.floor URL HOME`` prints rows and
seconds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import httpx
import msgspec
import pyarrow as pa

from warehouse.lake import schema
from warehouse.lake.connection import Lake
from warehouse.models.model import Model, models
from warehouse.records import core_tables
from warehouse.settings.environment import Settings

_BATCH = 20_000


class _Page(msgspec.Struct):
    totalCount: int  # noqa: N815
    items: list[msgspec.Raw]


class _Id(msgspec.Struct):
    eventId: str | None = None  # noqa: N815
    id: str | None = None


_PAGES = msgspec.json.Decoder(_Page)
_IDS = msgspec.json.Decoder(_Id)


async def _list(client: httpx.AsyncClient, path: str) -> list[msgspec.Raw]:
    found: list[msgspec.Raw] = []
    while True:
        params = {"SkipCount": len(found), "MaxResultCount": 500}
        page = _PAGES.decode((await client.get(path, params=params)).content)
        found += page.items
        if not page.items or len(found) >= page.totalCount:
            return found


async def _conversations(client: httpx.AsyncClient) -> list[str]:
    channels = await _list(client, "/v1/channels/service-account")
    ids = []
    for channel in channels:
        channel_id = _IDS.decode(channel).id
        path = f"/v2/conversations/service-account/channels/{channel_id}"
        ids += [_IDS.decode(raw).id or "" for raw in await _list(client, path)]
    return ids


async def _run(url: str, connection: duckdb.DuckDBPyConnection) -> int:
    events = next(model for model in models("core") if model.name == "timeline_events")
    rows: list[tuple[str, msgspec.Raw]] = []
    total = 0
    async with httpx.AsyncClient(base_url=url) as client:
        queue: Iterator[str] = iter(await _conversations(client))

        async def work() -> None:
            for conversation in queue:
                path = f"/v2/conversations/service-account/{conversation}/timeline"
                rows.extend((conversation, raw) for raw in await _list(client, path))

        tasks = [asyncio.create_task(work()) for _ in range(8)]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0.01)
            while len(rows) >= _BATCH:
                batch, rows[:_BATCH] = rows[:_BATCH], []
                total += len(batch)
                await asyncio.to_thread(_load, connection, batch, events)
    total += len(rows)
    _load(connection, rows, events)
    return total


def _load(
    connection: duckdb.DuckDBPyConnection, rows: list[tuple[str, msgspec.Raw]], model: Model
) -> None:
    batch = pa.table(
        {
            "record_id": [_IDS.decode(raw).eventId for _, raw in rows],
            "parent_id": [parent for parent, _ in rows],
            "payload": pa.array([bytes(raw) for _, raw in rows], pa.binary()).cast(pa.string()),
        }
    )
    connection.register("batch", batch)
    connection.execute("BEGIN")
    connection.execute(
        "INSERT INTO raw.records BY NAME SELECT 'timelines' AS stream, record_id, parent_id, "
        "0 AS seq, 'upsert' AS op, payload::JSON AS payload, now() AS fetched_at FROM batch"
    )
    connection.execute(
        "CREATE OR REPLACE TEMP VIEW records AS SELECT record_id, parent_id, "
        "payload::JSON AS payload, NULL::TIMESTAMPTZ AS deleted_at FROM batch"
    )
    typed = core_tables.rows_for(model, f"({model.select})")
    connection.execute(f"INSERT INTO {model.table} BY NAME {typed}")
    connection.execute("COMMIT")


def main() -> None:
    """Load everything once and say how long it took."""
    settings = Settings.load(home=Path(sys.argv[2]))
    with Lake(settings) as lake:
        lake.write("make the tables", schema.create)
        connection = lake.reader()
        began = time.perf_counter()
        rows = asyncio.run(_run(sys.argv[1], connection))
        seconds = time.perf_counter() - began
    sys.stdout.write(json.dumps({"rows": rows, "seconds": round(seconds, 3)}) + "\n")


if __name__ == "__main__":
    main()
