"""A small world: core tables filled by hand, as the merge will fill them."""

from __future__ import annotations

import atexit
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from warehouse.lake import invalidation, schema
from warehouse.lake.connection import Lake
from warehouse.marts import refresh
from warehouse.merge import followers
from warehouse.models.model import Model, models
from warehouse.settings.environment import Settings

RIYADH = ZoneInfo("Asia/Riyadh")
#: Written to and by these, where a test does not say otherwise.
DEFAULTS: dict[str, dict[str, Any]] = {
    "messages": {
        "contact_id": "cora",
        "channel_id": "line",
        "message_type": "text",
        "in_timeline": True,
        "in_webhooks": True,
        "is_probable_auto_reply": False,
    },
    "calls": {"contact_id": "cora", "channel_id": "line", "in_timeline": True},
    "contacts": {"created_at": datetime(2025, 1, 1, tzinfo=UTC)},
    "conversations": {"channel_id": "line", "contact_id": "cora", "status": "open"},
}


def local(text: str) -> datetime:
    """A moment in Riyadh: ``03-01 09:00[:00[.000]]``, the year is 2026; Sunday is 03-01."""
    day, clock = text.split(" ")
    return datetime.fromisoformat(f"2026-{day}T{clock}").replace(tzinfo=RIYADH).astimezone(UTC)


def table_of(model: Model, rows: Iterable[dict[str, Any]]) -> pa.Table:
    """Rows with the columns of a model; what a row does not say is NULL."""
    kinds = {
        "VARCHAR": pa.string(),
        "JSON": pa.string(),
        "BIGINT": pa.int64(),
        "DOUBLE": pa.float64(),
        "BOOLEAN": pa.bool_(),
        "DATE": pa.date32(),
        "TIMESTAMPTZ": pa.timestamp("us", "UTC"),
    }
    rows = list(rows)
    return pa.table(
        {
            column.name: pa.array([row.get(column.name) for row in rows], kinds[column.type])
            for column in model.columns
        }
    )


_KEYS = count(1)

#: A number of each country that tests write to.
_NUMBERS = {
    "SA": "+966500000001",
    "AE": "+971500000001",
    "EG": "+201000000001",
    "FR": "+33600000001",
    "QA": "+97433000001",
    "US": "+12025550101",
}


def number_in(country: str | None) -> dict[str, Any]:
    """A contact's country and a number there, as core.contacts has them; NULL without one."""
    return {"country": country, "phone_e164": _NUMBERS.get(country or "")}


#: ``"<who> <day> <time>"``, or that and columns of its own.
Line = str | tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class Story:
    """A conversation, and who it is with."""

    conversation: str
    lines: tuple[Line, ...]
    country: str | None
    conversation_columns: dict[str, Any]

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """The story's rows, by table."""
        own = {"contact_id": f"with {self.conversation}", "channel_id": f"of {self.conversation}"}
        contact = {"contact_id": own["contact_id"], "name": "Cora", **number_in(self.country)}
        conversation = {"conversation_id": self.conversation, **own, **self.conversation_columns}
        return {
            "contacts": [contact],
            "conversations": [conversation],
            **spoken(self.conversation, self.lines, own),
        }


#: Every story that the collected tests tell.
STORIES: list[Story] = []

Test = TypeVar("Test", bound=Callable[..., None])


def tells(
    conversation: str, *lines: Line, country: str | None = "SA", **conversation_columns: Any
) -> Callable[[Test], Test]:
    """Tell a conversation for the test below, on a channel and with a contact of its own.

    A line is ``"<who> <day> <time>"`` in Riyadh, in 2026: who is customer, agent (Amal), ai (Robo),
    template, automatic, or call (inbound, taken by Amal); assigned is an
    assignment, seen a change between two readings. 1 March is a Sunday.
    """
    STORIES.append(Story(conversation, lines, country, conversation_columns))
    return lambda test: test


class World:
    """A lake whose core tables a test fills, and its marts.

    Args:
        home: where it is to lie.
        like: the home of a closed world to begin with; without it the lake is empty.
        settings: that differ from the defaults.
    """

    def __init__(self, home: Path, *, like: Path | None = None, **settings: object) -> None:
        self.settings = Settings.load(home=home, **settings)
        _copy(like or _empty_home(), self.settings.home)
        self.lake = Lake(self.settings)

    def close(self) -> None:
        self.lake.close()

    def put(self, table: str, *rows: dict[str, Any]) -> None:
        """Insert rows, or replace those with the same key, and note what that makes outdated."""
        (model,) = (model for model in models("core") if model.name == table)
        full = [DEFAULTS.get(table, {}) | row for row in rows]

        def work(connection: duckdb.DuckDBPyConnection) -> None:
            connection.register("given", table_of(model, full))
            same = " AND ".join(f"g.{column} = t.{column}" for column in model.grain)
            note(connection, table, f"SELECT t.* FROM {model.table} t JOIN given g ON {same}")
            connection.execute(
                f"DELETE FROM wh.{model.table} t WHERE EXISTS (FROM given g WHERE {same})"
            )
            connection.execute(f"INSERT INTO wh.{model.table} BY NAME FROM given")
            note(connection, table, "FROM given")
            connection.unregister("given")

        self.lake.write(f"put {table}", work)

    def remove(self, table: str, key: str) -> None:
        """Let a row of core vanish, as a merge that joins two messages does."""
        (model,) = (model for model in models("core") if model.name == table)

        def work(connection: duckdb.DuckDBPyConnection) -> None:
            where = f"FROM {model.table} WHERE {model.grain[0]} = '{key}'"
            note(connection, table, where)
            connection.execute(f"DELETE {where.replace('FROM ', 'FROM wh.')}")

        self.lake.write(f"remove from {table}", work)

    # --- telling a story ---------------------------------------------------------------------

    def tell(self, *stories: Story) -> None:
        """Put all of some stories."""
        together: dict[str, list[dict[str, Any]]] = {}
        for story in stories:
            for table, rows in story.rows().items():
                together.setdefault(table, []).extend(rows)
        for table, rows in together.items():
            self.put(table, *rows)

    def say(self, conversation: str, *lines: Line, **more: Any) -> None:
        """Go on with a conversation; columns named in `more` hold for every line."""
        for table, rows in spoken(conversation, lines, more).items():
            self.put(table, *rows)

    # --- asking --------------------------------------------------------------------------------

    def refresh(self) -> dict[str, refresh.Refreshed]:
        return refresh.refresh(self.lake, self.settings)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a statement over the lake."""
        with self.lake.reading() as connection:
            return connection.execute(sql).to_arrow_table().to_pylist()

    def one(self, sql: str) -> dict[str, Any]:
        """The only row of a statement."""
        (row,) = self.rows(sql)
        return row

    def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every stored mart, row by row, in an order of its own."""
        found = {}
        with self.lake.reading() as connection:
            for model in models("marts"):
                if not model.is_view:
                    columns = ", ".join(f'"{column.name}"' for column in model.columns)
                    found[model.name] = connection.execute(
                        f"SELECT {columns} FROM {model.table} ORDER BY ALL"
                    ).fetchall()
        return found


def spoken(
    conversation: str, lines: Iterable[Line], more: dict[str, Any]
) -> dict[str, list[dict[str, Any]]]:
    """Messages and calls of some lines; keys count in the order of telling."""
    found: dict[str, list[dict[str, Any]]] = {
        table: [] for table in ("messages", "calls", "assignments", "conversation_observations")
    }
    for line in lines:
        text, own = line if isinstance(line, tuple) else (line, {})
        who, moment = text.split(" ", 1)
        row: dict[str, Any] = {
            "key": f"{next(_KEYS):06}",
            "conversation": conversation,
            "at": local(moment),
        }
        if who == "call":
            found["calls"].append(call(**row, **(more | own)))
        elif who == "assigned":
            found["assignments"].append(_at(row, "assigned_at", event_id=row["key"]) | own)
        elif who == "seen":
            seen = _at(row, "observed_at", property_key=own["property_name"])
            found["conversation_observations"].append(seen | own)
        else:
            found["messages"].append(message(**row, who=who, **(more | own)))
    return {table: rows for table, rows in found.items() if rows}


def _at(row: dict[str, Any], time: str, **more: Any) -> dict[str, Any]:
    """A row of a conversation that is neither a message nor a call."""
    return {"conversation_id": row["conversation"], time: row["at"], **more}


def message(key: str, conversation: str, at: datetime, who: str, **more: Any) -> dict[str, Any]:
    """A message by customer, agent (user amal), ai (agent robo), template or automatic."""
    row: dict[str, Any] = {
        "message_key": key,
        "event_id": key,
        "conversation_id": conversation,
        "sent_at": at,
        "direction": "outbound",
        "origin": who,
        "origin_confidence": "stated",
        "status": "delivered",
        "is_charged": True,
        "is_billable": True,
    }
    if who == "customer":
        row |= {"direction": "inbound", "is_charged": False, "is_billable": False}
    else:
        row["delivered_at"] = at + timedelta(seconds=2)
    row |= {
        "agent": {"sender_user_id": "amal"},
        "ai": {"ai_agent_id": "robo"},
        "template": {"message_type": "template"},
    }.get(who, {})
    row |= more
    if row["status"] not in ("delivered", "read"):
        row |= {"is_charged": False, "delivered_at": None}
    return row


def call(key: str, conversation: str | None, at: datetime, **more: Any) -> dict[str, Any]:
    """An inbound call that Amal took: rang 8 s, lasted a minute."""
    return {
        "call_key": key,
        "event_id": key,
        "conversation_id": conversation,
        "started_at": at,
        "direction": "inbound",
        "status": "completed",
        "is_answered": True,
        "is_completed": True,
        "ringing_seconds": 8.0,
        "duration_seconds": 60.0,
        "user_id": "amal",
        "is_ai_call": False,
        **more,
    }


def note(connection: duckdb.DuckDBPyConnection, table: str, rows: str) -> None:
    """Note what the loader and the merge would."""
    if table == "conversation_observations":
        return  # views alone read it
    if table in ("messages", "calls", "assignments", "conversations"):
        invalidation.mark(
            connection,
            "marts",
            "conversation",
            f"SELECT coalesce(conversation_id, '') AS key {_f(rows)}",
        )
    elif table in ("contacts", "contact_history", "contact_observations", "contact_properties"):
        invalidation.mark(connection, "marts", "contact", f"SELECT contact_id AS key {_f(rows)}")
    else:
        invalidation.mark(connection, "marts", "stream", f"SELECT '{table}' AS key")


def _f(rows: str) -> str:
    return f"FROM ({rows})" if rows.startswith("SELECT") else rows


def _copy(home: Path, to: Path) -> None:
    """Copy a home that nobody has open: a tenth of the time of making its tables anew."""
    shutil.copytree(home, to, dirs_exist_ok=True)
    with closing(sqlite3.connect(to / "catalog.sqlite")) as catalog, catalog:
        catalog.execute(
            "UPDATE ducklake_metadata SET value = replace(value, ?, ?) WHERE key = 'data_path'",
            [str(home), str(to)],
        )


@cache
def _empty_home() -> Path:
    home = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, home)
    with Lake(Settings.load(home=home)) as lake:
        lake.write("make the tables", _make_tables)
    return home


def _make_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """The lake's own, with tables in place of core views: their rows are the test's."""
    schema.create(connection)
    followers.remember_version(connection, {})  # rows put in here count as merged
    for model in models("core"):
        if model.is_view:
            columns = ", ".join(f'"{column.name}" {column.type}' for column in model.columns)
            connection.execute(f"DROP VIEW wh.{model.table}")
            connection.execute(f"CREATE TABLE wh.{model.table} ({columns})")
