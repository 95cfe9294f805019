"""Each figure is what its own SQL gives to ``hatif query``, and what the marts hold."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from page.view import find
from pipelines.cells import rows as rows_of
from tests.page.conftest import Visitor, World
from warehouse.reports.query import Query

PERIODS = ("90d by week", "year by month", "free by day")
FILTERS = ("none", "channel", "all at once")


def ask(world: World, sql: str) -> list[tuple[Any, ...]]:
    """What ``hatif query`` gives."""
    with Query(world.settings, sql) as query:
        return list(rows_of(query))


def one_row(world: World, sql: str) -> list[Any]:
    return list(ask(world, sql)[0])


@pytest.fixture(scope="module")
def filters(world: World) -> dict[str, dict[str, str]]:
    """Sets of filters that some rows pass."""
    channel, agent, tag, kind = one_row(
        world,
        "SELECT channel_id, acting_user(origin, sender_user_id, ai_agent_id) AS agent, tag_id,"
        " message_type FROM messages JOIN conversation_tags USING (conversation_id)"
        " WHERE agent IS NOT NULL AND message_type IS NOT NULL"
        " GROUP BY ALL ORDER BY count(*) DESC, 1, 2, 3, 4 LIMIT 1",
    )
    both = {"channel": channel, "agent": agent, "tag": tag, "country": "SA", "message_type": kind}
    return {"none": {}, "channel": {"channel": channel, "clock": "business"}, "all at once": both}


def normal(value: Any, kind: str) -> Any:
    """A value of either side's JSON in one form."""
    if value is None or kind not in ("instant", "money"):
        return round(value, 6) if isinstance(value, float) else value
    return (
        datetime.fromisoformat(value).replace(microsecond=0) if kind == "instant" else float(value)
    )


def all_at_once(parts: list[dict[str, Any]], sources: list[dict[str, Any]]) -> str:
    """One statement for many, a row of JSON for each of their rows: opening the lake is dear."""
    return " UNION ALL ".join(
        f"SELECT {number}, to_json(t)::VARCHAR FROM ({source['sql']}) t"
        for number, source in enumerate(sources)
    )


@pytest.mark.parametrize("chosen", FILTERS)
@pytest.mark.parametrize("period", PERIODS)
def test_every_figure_is_what_its_sql_gives(
    world: World, visitor: Visitor, filters: dict[str, dict[str, str]], chosen: str, period: str
) -> None:
    day = world.now.date() - timedelta(days=40)
    given = {
        "90d by week": {"period": "90d", "grain": "week"},
        "year by month": {"period": "year", "grain": "month"},
        "free by day": {"from": str(day), "to": str(day + timedelta(days=35)), "waiting": "all"},
    }[period] | filters[chosen]
    parts: list[dict[str, Any]] = []
    sources: list[dict[str, Any]] = []
    for view in find():
        parts += visitor.json(f"/data/view/{view}", **given)["parts"]
        sources += visitor.json(f"/data/about/{view}", **given)["parts"]
    found: list[list[list[Any]]] = [[] for _ in parts]
    for number, row in ask(world, all_at_once(parts, sources)):
        kinds = {column["name"]: column["kind"] for column in parts[number]["columns"]}
        values = json.loads(row)
        found[number].append([normal(values[name], kind) for name, kind in kinds.items()])
    for part, rows in zip(parts, found, strict=True):
        shaped = [column["kind"] for column in part["columns"]]
        shown = [list(map(normal, row, shaped)) for row in part["rows"]]
        assert sorted(shown, key=repr) == sorted(rows, key=repr), part["name"]
    assert sum(map(len, found)) > len(parts)


def test_the_volume_is_that_of_the_daily_mart(world: World, visitor: Visitor) -> None:
    answer = visitor.json("/data/view/volume", period="year")
    (inbound, outbound, _, _, sessions) = answer["parts"][0]["rows"][0]
    span = answer["filters"]
    mart = one_row(
        world,
        "SELECT sum(inbound_messages)::BIGINT, sum(outbound_messages)::BIGINT,"
        " sum(sessions_started)::BIGINT FROM channel_daily"
        f" WHERE date BETWEEN '{span['from']}' AND '{span['to']}'",
    )
    assert [inbound, outbound, sessions] == mart
    assert inbound > 100


def test_days_without_a_message_are_there_and_none_is_after_today(
    world: World, visitor: Visitor
) -> None:
    last = world.now.date() + timedelta(days=20)
    answer = visitor.json("/data/view/volume", **{"from": "2026-06-01", "to": str(last)})
    days = [row[0] for row in answer["parts"][1]["rows"]]
    assert days[0] == "2026-06-01"
    assert days[-1] == answer["filters"]["today"]
    assert len(days) == len(set(days)) > 100


def test_who_waits_is_listed_longest_first_and_counted(world: World, visitor: Visitor) -> None:
    answer = visitor.json("/data/view/now")
    parts = {part["name"]: part for part in answer["parts"]}
    waiting = [row[4] for row in parts["waiting"]["rows"]]
    assert waiting == sorted(waiting)
    assert len(waiting) == parts["state"]["rows"][0][0] > 0
    everyone = visitor.json("/data/view/now", waiting="all")["parts"][2]["rows"]
    silent = parts["state"]["rows"][0][4]
    assert len(everyone) == len(waiting) + silent


@pytest.mark.parametrize("view", list(find()))
def test_conversations_behind_a_bar_are_those_of_its_sql(
    world: World, visitor: Visitor, view: str
) -> None:
    answer = visitor.json(f"/data/view/{view}", period="year")
    for part in answer["parts"]:
        if not part["drill"] or not part["rows"]:
            continue
        row = part["rows"][-1]
        names = [column["name"] for column in part["columns"]]
        picks = {
            f"pick.{key}": "" if row[names.index(key)] is None else str(row[names.index(key)])
            for key in part["drill"]
        }
        path = f"/data/conversations/{view}/{part['name']}"
        behind = visitor.json(path, period="year", **picks)
        assert behind["total"] >= len(behind["rows"])
        assert len({row[0] for row in behind["rows"]}) == len(behind["rows"])


def test_a_cell_of_the_heat_map_leads_to_its_messages(world: World, visitor: Visitor) -> None:
    answer = visitor.json("/data/view/volume", period="year")
    cells = {part["name"]: part for part in answer["parts"]}["when_they_write"]["rows"]
    weekday, hour, _ = max(cells, key=lambda cell: cell[2])
    picks = {"pick.weekday": str(weekday), "pick.hour": str(hour)}
    path = "/data/conversations/volume/when_they_write"
    behind = visitor.json(path, period="year", **picks)
    span = answer["filters"]
    expected = one_row(
        world,
        "SELECT count(DISTINCT conversation_id) FROM (SELECT conversation_id,"
        " sent_at AT TIME ZONE 'Asia/Riyadh' AS moment FROM messages WHERE direction = 'inbound')"
        f" WHERE moment::DATE BETWEEN '{span['from']}' AND '{span['to']}'"
        f" AND dayofweek(moment) = {weekday} AND hour(moment) = {hour}",
    )
    assert [behind["total"]] == expected
