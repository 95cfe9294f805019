"""Fuzz: any value in any column of core, or in an invoice. No mart stops, a rebuild equals.

Core rows of an earlier version may hold instants and numbers that this version does not store. Ids
hold no NUL: none is stored with one. Each odd row has a conversation and contact of its own, amid
good ones. `make fuzz` searches longer.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz import number_of_values, shown, typed_and_null
from tests.warehouse.marts.world import DEFAULTS, World, call, local, message
from warehouse.marts import refresh
from warehouse.marts.tie_outs import tie_outs, wrong
from warehouse.models.model import Column, models
from warehouse.settings.rate_card import SAMPLE

VALUES = number_of_values(240)
SEED = 7
_INFINITE = 2**63 - 1  # as microseconds, DuckDB's instant 'infinity'
_INSTANTS = [
    *(datetime(1, 1, 1, tzinfo=UTC), datetime(1, 1, 4, tzinfo=UTC), _INFINITE, -_INFINITE),
    *(datetime(1899, 12, 31, tzinfo=UTC), datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
    *(datetime(2199, 12, 31, 23, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)),
    *(datetime(9999, 12, 28, 23, tzinfo=UTC), 9_200_000_000_000_000_000, None),
]
#: By the type of the column.
_ODD: dict[str, list[Any]] = {
    "VARCHAR": [
        *("", " ", "\0", "a\0b", "{", '{"a":', "[", "'", '"', "'; DROP TABLE x", "%", "\\", ":1"),
        *("x" * 70_000, "\u202e", "\x1b[2J", "🇸🇦" * 50, "ا\u0300", "\n", "unknown:x", "inbound"),
        *("00000000-0000-0000-0000-000000000000", "outbound", "agent", "read", "failed", None),
    ],
    "JSON": ["null", "[1]", '{"a": "\\u0000"}', "9" * 400, None],
    "BIGINT": [0, -1, 2**63 - 1, -(2**63), None],
    "DOUBLE": [0.0, -0.0, -1.0, 1e308, -1e308, 1e-320, *map(float, ("inf", "-inf", "nan")), None],
    "BOOLEAN": [True, False, None],
    "DATE": [datetime(1, 1, 1, tzinfo=UTC).date(), datetime(9999, 12, 31, tzinfo=UTC).date(), None],
    "TIMESTAMPTZ": _INSTANTS,
}
_CHANGED_AT = local("03-02 09:00")
#: A row of each table; ``*`` stands for the number of the conversation.
_BASES: dict[str, dict[str, Any]] = {
    "messages": message("m*", "c*", local("03-02 09:00"), "agent", contact_id="k*"),
    "questions": message("q*", "c*", local("03-02 08:50"), "customer", contact_id="k*"),
    "failures": message(
        *("f*", "c*", local("03-02 09:10"), "agent"),
        contact_id="k*",
        status="failed",
        error_code=131047,
        error_reason="why",
    ),
    "templates": message(
        "s*", "c*", local("03-02 08:40"), "template", contact_id="k*", body="An offer"
    ),
    "calls": call("t*", "c*", local("03-02 09:00"), contact_id="k*", channel_id="line"),
    "missed calls": call(
        *("x*", "c*", local("03-02 08:55")),
        contact_id="k*",
        channel_id="line",
        status="missed",
        is_completed=False,
    ),
    "contacts": {"contact_id": "k*", "name": "n", "country": "SA", "modified_at": _CHANGED_AT},
    "conversations": {"conversation_id": "c*", "contact_id": "k*"},
    "assignments": {"event_id": "a*", "conversation_id": "c*", "assigned_at": _CHANGED_AT},
    "contact_properties": {
        "contact_id": "k*",
        "property_id": "p",
        "property_name": "n",
        "property_type": "select",
        "select_value": "v",
    },
    "contact_history": {
        "history_id": "h*",
        "contact_id": "k*",
        "property_name": "Email",
        "old_value": "a",
        "new_value": "b",
        "changed_at": _CHANGED_AT,
    },
    "contact_observations": {
        "contact_id": "k*",
        "property_key": "Company",
        "property_name": "Company",
        "old_value": "a",
        "new_value": "b",
        "observed_at": _CHANGED_AT,
    },
    "users": {"user_id": "u*", "name": "n", "is_ai_agent": False},
}
_COLUMNS: dict[str, tuple[Column, ...]] = {
    model.name: model.columns for model in models("core") if model.name in _BASES
}
_MORE_MESSAGES = ("questions", "failures", "templates")
_COLUMNS |= dict.fromkeys(_MORE_MESSAGES, _COLUMNS["messages"])
_COLUMNS["missed calls"] = _COLUMNS["calls"]
_KEYS = {model.name: model.grain for model in models("core") if model.name in _BASES}
_KEYS |= dict.fromkeys(_MORE_MESSAGES, _KEYS["messages"])
_KEYS["missed calls"] = _KEYS["calls"]
#: A line of an invoice, and what may stand in each of its cells.
_INVOICE = {
    "month": "2026-03",
    "channel": "line",
    "market": "Saudi Arabia",
    "category": "service",
    "quantity": "3",
    "amount": "0.05",
    "currency": "USD",
}
_CELLS = [
    *(
        "",
        "0",
        "-1",
        "999999999999",
        "1e11",
        "-0.0000001",
        "0.5",
        "1,234",
        "1e999",
        "NaN",
        "٣",
        "x",
    ),
    *(
        "2026-13",
        "0001-01",
        "9999-12",
        "2199-12-31T23:59:59Z",
        "999999999",
        "\u202eSA",
        "SA",
        "sar",
    ),
    *('"; DROP TABLE x"', '"a""b"', "\0", "unknown", "marketing", "x" * 70_000),
]


def _row(table: str, number: int | str) -> dict[str, Any]:
    """A good row of a table, of the conversation with a number."""
    return {
        column: value.replace("*", str(number)) if isinstance(value, str) else value
        for column, value in (DEFAULTS.get(_stored_in(table), {}) | _BASES[table]).items()
    }


def _put(row: dict[str, Any], column: str, value: Any) -> None:
    """Set a value of a row; whether it is charged follows from its status, as in core."""
    row[column] = value
    if "is_charged" in row and row["status"] not in ("delivered", "read"):
        row["is_charged"] = False


def _stored_in(table: str) -> str:
    return "messages" if table in _MORE_MESSAGES else table.removeprefix("missed ")


def _outcomes(
    kept: dict[str, list[tuple[Any, ...]]], rejects: list[dict[str, Any]]
) -> dict[str, Counter[str]]:
    """Return how many rows of each mart hold every value, and keys of its scope set aside."""
    found = {}
    for mart in models("marts"):
        found[mart.name] = typed_and_null(kept[mart.name])
        scope = f"marts by {mart.scope}"
        found[mart.name]["set aside"] = sum(row["stream"] == scope for row in rejects)
    return found


def _everything(world: World) -> dict[str, list[tuple[Any, ...]]]:
    """Every mart, views too, row by row."""
    found = world.everything()
    with world.lake.reading() as connection:
        for mart in models("marts"):
            if mart.is_view:
                rows = connection.execute(f"FROM {mart.table} ORDER BY ALL")
                found[mart.name] = rows.fetchall()
    return found


def _write_invoices(folder: Path, dice: random.Random) -> None:
    """Write an invoice without fault, and others with one odd cell each."""
    lines = [_INVOICE, _INVOICE | {"market": "Egypt", "quantity": ""}]
    (folder / "good.csv").write_text(_csv(*lines))
    for number in range(VALUES // 4):
        odd = _INVOICE | {dice.choice(list(_INVOICE)): dice.choice(_CELLS)}
        (folder / f"{number}.csv").write_text(_csv(odd))


def _csv(*lines: dict[str, str]) -> str:
    return "\n".join([",".join(_INVOICE), *(",".join(line.values()) for line in lines)])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    (tmp_path / "invoices").mkdir()
    world = World(tmp_path / "home", rate_card=str(SAMPLE), invoices=str(tmp_path / "invoices"))
    yield world
    world.close()


def test_any_value_in_any_column_of_core_stops_no_mart(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = random.Random(SEED)
    rows: dict[str, list[dict[str, Any]]] = {table: [] for table in _BASES}
    for number in range(VALUES):
        table = dice.choice(sorted(_BASES))
        column = dice.choice(_COLUMNS[table])
        odd = dice.choice(_ODD.get(column.type, [None]))
        if number == 0:  # was once set aside: the day of its charge overflowed
            table, odd = "messages", 9_200_000_000_000_000_000
            column = next(one for one in _COLUMNS[table] if one.name == "delivered_at")
        for other in ("messages", *_MORE_MESSAGES, "contacts", "conversations", table):
            rows[other].append(_row(other, number))
        if column.name.endswith(("_id", "_key")):
            odd = (odd or "").replace("\0", "") or (
                rows[table][-1][column.name] if column.name in _KEYS[table] else None
            )
        _put(rows[table][-1], column.name, odd)
    good = [f"good{number}" for number in range(VALUES // 10)]
    for name in good:
        for table in rows:
            rows[table].append(_row(table, name))
    for table, some in rows.items():
        by_key = {tuple(row.get(key) for key in _KEYS[table]): row for row in some}
        world.put(_stored_in(table), *by_key.values())
    assert world.settings.invoices is not None
    _write_invoices(world.settings.invoices, dice)
    world.refresh()

    for mart, number_of_rows in (("conversation_sessions", 1), ("message_costs", 2)):
        found = world.rows(
            f"SELECT conversation_id, count(*) AS n FROM marts.{mart} "
            "WHERE starts_with(conversation_id, 'cgood') GROUP BY ALL"
        )
        assert {row["conversation_id"]: row["n"] for row in found} == {
            f"c{name}": number_of_rows for name in good
        }
    assert sum(done.written for done in world.refresh().values()) == 0
    kept = _everything(world)
    assert [name for name, there in kept.items() if not there] == []
    assert sum(row["file"] == "good.csv" for row in world.rows("FROM marts.invoice_lines")) == 2
    rejects = world.rows("SELECT stream, reason FROM ops.rejects WHERE replayed_at IS NULL")
    with world.lake.reading() as connection:
        failed = {one.name for one in tie_outs() if wrong(connection, one)}
    with capsys.disabled():
        sys.stdout.write(f"{shown('mart', _outcomes(kept, rejects))}statements: {failed}\n")
    refresh.rebuild(world.lake, world.settings)
    rebuilt = _everything(world)
    for mart, there in rebuilt.items():
        assert repr(kept[mart]) == repr(there), mart  # NaN is not equal to itself
    assert not rejects
    assert failed <= {"conversations_are_known", "rates_price_messages", "invoices_can_be_read"}
