"""Rows of a view's parts, of the conversations behind a bar, and of one conversation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from page.errors import BadRequest
from page.filters import Filters
from page.statements import FILTERS, Statement, build, ignored
from page.view import Column, Part, View

#: Rows of a part that are sent to the browser; files have all of them.
SHOWN = 500
#: Rows of a file; a sheet of Excel has no more.
EXPORTED = 1_000_000
#: Messages of a conversation that are shown: the latest.
_MESSAGES = 500
_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Moment:
    """When a question is asked, and in which time zone its days are."""

    now: datetime
    timezone: str

    @property
    def today(self) -> date:
        """The reporting day."""
        return self.now.astimezone(ZoneInfo(self.timezone)).date()

    def values(self) -> dict[str, Any]:
        """Return what statements bind."""
        return {"now": self.now, "timezone": self.timezone}


def statement(part: Part, filters: Filters, moment: Moment) -> Statement:
    """Return a part's statement."""
    return build(part.sql, filters, moment.values())


def answer(
    connection: duckdb.DuckDBPyConnection,
    view: View,
    filters: Filters,
    moment: Moment,
    snapshot: int,
) -> dict[str, Any]:
    """Return a view's parts with their rows, and what they are of."""
    parts = _Parts(connection, view, moment)
    return {
        "view": view.name,
        "snapshot": snapshot,
        "asked_at": plain(moment.now),
        "is_current": view.is_current,
        "options": view.options,
        "filters": filters.as_json(),
        "parts": [parts.answer(part, filters) for part in view.parts],
    }


class _Parts:
    """Reads the parts of a view inside one transaction, nothing of them twice."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, view: View, moment: Moment) -> None:
        self._connection = connection
        self._moment = moment
        self._known: dict[str, list[tuple[Any, ...]]] = {}  # some differ in their picture alone
        self._tables = {name: f"shared_{name.replace('.', '_')}" for name in view.shared}
        for name, table in self._tables.items():
            connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS FROM {name}")

    def answer(self, part: Part, filters: Filters) -> dict[str, Any]:
        rows = self._known.get(part.sql)
        if rows is None:
            rows = self._known[part.sql] = self._read(part, filters, SHOWN + 1)
        found: dict[str, Any] = {
            "name": part.name,
            "picture": part.picture,
            "columns": columns_json(part.columns),
            "x": part.x,
            "y": part.y,
            "series": part.series,
            "stacked": part.stacked,
            "per": part.per,
            "drill": part.drill.keys if part.drill else (),
            "ignored": ignored(part.sql, filters),
            "rows": rows[:SHOWN],
            "is_cut": len(rows) > SHOWN,
        }
        if part.compared:
            found["before"] = self._read(part, filters.before, SHOWN)
        return found

    def _read(self, part: Part, filters: Filters, limit: int) -> list[tuple[Any, ...]]:
        asked = statement(part, filters, self._moment)
        sql = asked.sql
        for name, table in self._tables.items():
            sql = sql.replace(f" {name} ", f" {table} ").replace(f" {name})", f" {table})")
        return _fetch(self._connection, Statement(sql, asked.values), limit)


def columns_json(columns: tuple[Column, ...]) -> list[dict[str, str]]:
    """Return what the browser needs to know of columns."""
    return [{"name": c.name, "kind": c.kind, "unknown": c.unknown} for c in columns]


def _fetch(
    connection: duckdb.DuckDBPyConnection, asked: Statement, limit: int
) -> list[tuple[Any, ...]]:
    answer = connection.execute(asked.sql, asked.values or None)
    rows = answer.fetchmany(limit)
    return [tuple(map(plain, row)) for row in rows]


def all_rows(connection: duckdb.DuckDBPyConnection, asked: Statement) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a statement for a file, `EXPORTED` at most."""
    answer = connection.execute(asked.sql, asked.values or None)
    left = EXPORTED
    while left and (rows := answer.fetchmany(min(_BATCH, left))):
        left -= len(rows)
        yield from rows


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it; instants as UTC."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


CONVERSATIONS = (
    Column("conversation_id", "conversation"),
    Column("contact", "text"),
    Column("channel_id", "channel"),
    Column("status", "word"),
    Column("assignee", "text", unknown="unassigned"),
    Column("waiting_since", "instant", unknown="not_waiting"),
    Column("last_activity_at", "instant"),
    Column("tags", "text"),
)
_CONVERSATIONS = """
    SELECT v.conversation_id, c.name AS contact, v.channel_id, n.status, n.assignee,
        n.waiting_since, coalesce(n.last_activity_at, v.last_activity_at) AS last_activity_at,
        array_to_string(n.tags, ', ') AS tags
    FROM ({behind}) b
    JOIN core.conversations v USING (conversation_id)
    LEFT JOIN marts.conversation_now n USING (conversation_id)
    LEFT JOIN core.contacts c ON c.contact_id = v.contact_id
    ORDER BY last_activity_at DESC NULLS LAST, v.conversation_id
"""
_PICKED = ("hour", "weekday")


def picked(part: Part, given: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of a bar or cell by the names that statements bind them to.

    Raises:
        BadRequest: one is missing or of the wrong form.
    """
    if part.drill is None:
        raise BadRequest("part", "nothing lies behind this part")
    kinds = {column.name: column.kind for column in part.columns}
    found: dict[str, Any] = {}
    for key in part.drill.keys:
        if key not in given:
            raise BadRequest(key, "which bar is not stated")
        found[f"pick_{key}"] = _typed(key, kinds.get(key, "text"), given[key])
    return found


def _typed(name: str, kind: str, text: str) -> Any:
    if text == "":
        return None
    try:
        if kind in _PICKED:
            return int(text[:5])
        return date.fromisoformat(text) if kind in ("bucket", "month", "date") else text[:200]
    except ValueError:
        raise BadRequest(name, "the value is of another kind") from None


def conversations(
    part: Part, filters: Filters, moment: Moment, values: Mapping[str, Any]
) -> Statement:
    """Return the statement of the conversations behind a bar or cell of a part."""
    if part.drill is None:
        raise BadRequest("part", "nothing lies behind this part")
    sql = _CONVERSATIONS.replace("{behind}", part.drill.sql)
    return build(sql, filters, {**moment.values(), **values})


def conversations_json(connection: duckdb.DuckDBPyConnection, asked: Statement) -> dict[str, Any]:
    """Return the conversations of a statement, and how many there are."""
    counted = Statement(f"SELECT count(*) FROM ({asked.sql})", asked.values)
    total = _fetch(connection, counted, 1)[0][0]
    return {
        "columns": columns_json(CONVERSATIONS),
        "rows": _fetch(connection, asked, SHOWN),
        "total": total,
    }


_MESSAGE_ROWS = """
    SELECT sent_at, direction, origin, message_type, status, body, u.name AS sender
    FROM core.messages m
    LEFT JOIN core.users u
        ON u.user_id = acting_user(m.origin, m.sender_user_id, m.ai_agent_id)
    WHERE m.conversation_id = $conversation AND m.deleted_at IS NULL
    ORDER BY sent_at DESC NULLS LAST, message_key DESC
"""
MESSAGES = (
    Column("sent_at", "instant"),
    Column("direction", "word"),
    Column("origin", "word"),
    Column("message_type", "word", unknown="no_webhook"),
    Column("status", "word"),
    Column("body", "text", unknown="no_text"),
    Column("sender", "text", unknown="no_sender"),
)


def messages_json(connection: duckdb.DuckDBPyConnection, conversation: str) -> dict[str, Any]:
    """Return the latest messages of a conversation, the oldest of them first."""
    asked = Statement(_MESSAGE_ROWS, {"conversation": conversation})
    rows = _fetch(connection, asked, _MESSAGES)
    return {"columns": columns_json(MESSAGES), "rows": rows[::-1]}


#: What the filters offer: id, label and number of each kind. Names are text of the workspace.
_CHOICES = {
    "channel": "SELECT channel_id, name FROM core.channels WHERE deleted_at IS NULL ORDER BY name",
    "agent": "SELECT user_id, name FROM core.users WHERE deleted_at IS NULL"
    " ORDER BY is_ai_agent, name",
    "tag": "SELECT tag_id, name FROM core.tags WHERE deleted_at IS NULL ORDER BY name",
    "country": "SELECT coalesce(country, '-'), NULL FROM core.contacts GROUP BY ALL"
    " ORDER BY count(*) DESC, 1 LIMIT 250",
    "message_type": "SELECT coalesce(message_type, '-'), NULL FROM core.messages GROUP BY ALL"
    " ORDER BY count(*) DESC, 1",
}
_NAMES = {
    "channel": "SELECT channel_id, name FROM core.channels",
    "agent": "SELECT user_id, name FROM core.users",
}
_STATE = """
    SELECT
        (SELECT max(finished_at) FROM ops.runs WHERE status IN ('done', 'stopped')) AS synced_at,
        (SELECT max(started_at) FROM ops.runs) AS tried_at,
        (SELECT count(*) FROM core.conversations) AS conversations
"""


def choices_json(connection: duckdb.DuckDBPyConnection, moment: Moment) -> dict[str, Any]:
    """Return what the filters offer, the names behind ids, and how fresh the data is."""
    offered = {
        name: _fetch(connection, Statement(sql, {}), 2_000) for name, sql in _CHOICES.items()
    }
    names = {
        name: dict(_fetch(connection, Statement(sql, {}), 20_000)) for name, sql in _NAMES.items()
    }
    synced_at, tried_at, rows = _fetch(connection, Statement(_STATE, {}), 1)[0]
    return {
        "choices": {name: offered[name] for name in FILTERS},
        "names": names,
        "timezone": moment.timezone,
        "today": moment.today.isoformat(),
        "synced_at": synced_at,
        "tried_at": tried_at,
        "is_empty": rows == 0,
    }


def local(value: Any, timezone: str) -> Any:
    """Return a value for a file: instants on the reader's wall clock, without a zone."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(ZoneInfo(timezone)).replace(tzinfo=None)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time())
    return value
