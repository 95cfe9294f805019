"""Does the warehouse hold the truth? Every id and every column of every table the API feeds."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb

from rehearsal import RehearsalServer
from warehouse.lake.connection import Lake
from warehouse.settings.environment import Settings

TABLES = {
    "channels": ("channel_id",),
    "users": ("user_id",),
    "tags": ("tag_id",),
    "property_definitions": ("property_id",),
    "contacts": ("contact_id",),
    "contact_properties": ("contact_id", "property_id"),
    "contact_notes": ("note_id",),
    "contact_history": ("history_id",),
    "conversations": ("conversation_id",),
    "conversation_tags": ("conversation_id", "tag_id"),
    "timeline_events": ("event_id",),
    "assignments": ("event_id",),
}

MERGED = {"messages": "message_key", "calls": "call_key", "ivr_calls": "ivr_id"}


def stored(settings: Settings, sql: str) -> list[dict[str, Any]]:
    """Rows of the warehouse, read as another process would."""
    with Lake(settings, read_only=True, threads=1) as lake:
        return lake.reader().execute(sql).to_arrow_table().to_pylist()


def differences(settings: Settings, server: RehearsalServer, *tables: str) -> list[str]:
    """Say what differs between core and the truth; an empty list is what one wants."""
    with Lake(settings, read_only=True, threads=1) as lake, lake.reading() as connection:
        return differences_in(connection, server, *tables)


def differences_in(
    connection: duckdb.DuckDBPyConnection, server: RehearsalServer, *tables: str
) -> list[str]:
    """Say the same of an open lake."""
    found: list[str] = []
    for table in tables or TABLES:
        rows = connection.execute(f"SELECT * FROM core.{table}").to_arrow_table().to_pylist()
        found += _table(table, server.truth(table), rows)
    return found


def message_differences(settings: Settings, server: RehearsalServer) -> list[str]:
    """Say what differs in messages and calls, which are made of timelines and webhooks."""
    found: list[str] = []
    for table, key in MERGED.items():
        truth = {row[key]: row for row in server.truth(table)}
        ours = {row[key]: row for row in stored(settings, f"FROM core.{table}")}
        found += [f"{table}: {k} is missing" for k in sorted(truth.keys() - ours.keys())]
        found += [f"{table}: {k} is not true" for k in sorted(ours.keys() - truth.keys())]
        wrong = Counter(
            column
            for k in truth.keys() & ours.keys()
            for column, value in truth[k].items()
            if _plain(value) != _plain(ours[k][column])
        )
        found += [f"{table}.{column}: {count} differ" for column, count in wrong.items()]
    return found


def _table(table: str, true: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[str]:
    key = TABLES[table]
    truth = {_key(row, key): row for row in true}
    live = [row for row in rows if row.get("deleted_at") is None]
    ours = {_key(row, key): row for row in live}
    found = []
    if len(ours) != len(live):
        found.append(f"{table}: {len(live) - len(ours)} duplicate keys")
    for what, ids in (
        ("missing", truth.keys() - ours.keys()),
        ("dead", ours.keys() - truth.keys()),
    ):
        if ids:
            found.append(f"{table}: {len(ids)} {what}, e.g. {sorted(ids)[0]}")
    return found + _columns(table, truth, ours)


def _columns(table: str, truth: dict[Any, Any], ours: dict[Any, Any]) -> list[str]:
    wrong: dict[str, list[Any]] = {}
    for key in truth.keys() & ours.keys():
        for column, value in truth[key].items():
            if column not in ours[key]:
                wrong.setdefault(column, []).append((value, "no such column"))
            elif _plain(value) != _plain(ours[key][column]):
                wrong.setdefault(column, []).append((value, ours[key][column]))
    return [
        f"{table}.{column}: {len(pairs)} differ, e.g. {pairs[0][0]!r} is stored as {pairs[0][1]!r}"
        for column, pairs in wrong.items()
    ]


def _key(row: dict[str, Any], key: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(row[column] for column in key)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
        return round(float(value), 6)
    if isinstance(value, str) and value[:1] in "[{":
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
