"""What a message is for: by the sender's log, by the text of its template, else unknown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hatif.errors import SettingsError
from tests.warehouse.marts.world import World, number_in
from warehouse.marts import refresh
from warehouse.marts.tie_outs import tie_outs, wrong
from warehouse.reports import money
from warehouse.settings.environment import Settings
from warehouse.settings.templates import folded

_CARD = "market,category,effective_from,currency,rate\nSA,marketing,2026-01-01,USD,0.05\n"
_COSTS = "SELECT category, category_from, template FROM marts.message_costs ORDER BY charged_at"


def _world(tmp_path: Path, **settings: Any) -> World:
    card = tmp_path / "card.csv"
    card.write_text(_CARD)
    world = World(tmp_path / "home", rate_card=str(card), **settings)
    world.put("contacts", {"contact_id": "cora", **number_in("SA")})
    return world


def _categories(world: World) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in world.rows(_COSTS)]


def _file(tmp_path: Path, name: str, text: str) -> str:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_template_is_known_by_its_text_the_longest_first(tmp_path: Path) -> None:
    templates = _file(
        tmp_path,
        "templates.csv",
        "template,category,language,text\n"
        'offer,marketing,en,"Hi {{1}},\n# now {{2}} less_than 100%"\n'
        "reminder,utility,en,Hi {{1}}\n"
        "code,authentication,ar,رمزك {{1}} صالح\n"
        "a,marketing,en,{{1}} waits for {{2}}here\n"
        "b,utility,en,{{1}} waits for you {{2}}\n",
    )
    world = _world(tmp_path, templates=templates)
    texts = (
        "Hi Amal, # now half less_than 100%",
        "Hi Amal, # now half lessXthan 100%",
        "\u200fرمزك\n 123  صالح",
        "Amal waits for you here",
        "Hi",
        None,
    )
    for number, text in enumerate(texts):
        world.say("c", (f"template 03-01 09:0{number}", {"body": text}))
    world.say("c", ("agent 03-01 09:09", {"body": "Hi Amal"}))
    world.refresh()
    assert _categories(world) == [
        ("marketing", "template", "offer"),
        ("utility", "template", "reminder"),
        ("authentication", "template", "code"),
        ("unknown", "ambiguous", None),
        ("unknown", "unknown", None),
        ("unknown", "unknown", None),
        ("service", "message_type", None),
    ]
    world.close()


def test_costs_add_up_where_no_category_of_a_currency_is_known(tmp_path: Path) -> None:
    world = _world(tmp_path)
    world.say("c", ("template 03-01 09:00", {"body": "Hi"}))
    world.refresh()
    (row,) = world.rows("SELECT cost, currency, cost_high FROM marts.message_costs")
    assert (row["cost"], row["currency"]) == (None, "USD")
    with world.lake.reading() as connection:
        (costs,) = (one for one in tie_outs() if one.name == "costs_add_up")
        assert wrong(connection, costs) == 0
    world.close()


@pytest.mark.parametrize("is_parquet", [False, True])
def test_a_log_of_the_sender_counts_first_and_its_changes_are_brought_in(
    tmp_path: Path, is_parquet: bool
) -> None:
    log = tmp_path / "sent"

    def write(*rows: tuple[str, str, str | None]) -> None:
        names = ("Message_ID", "category", "template")
        if is_parquet:
            records = [dict(zip(names, row, strict=True)) for row in rows]
            pq.write_table(pa.Table.from_pylist(records), log)
        else:
            lines = [",".join(value or "" for value in row) for row in rows]
            log.write_text("\ufeffMessage_ID,category,template\n" + "\n".join(lines) + "\n")

    write(("WAMID.1", "Marketing", "sale"), ("E2", "utility", None), ("e2", "marketing", None))
    world = _world(tmp_path, message_categories=str(log))
    for number in (1, 2, 3):
        ids = {"message_key": f"e{number}", "event_id": f"e{number}", "wamid": f"wamid.{number}"}
        world.say(f"c{number}", (f"template 03-01 09:0{number}", ids))
    world.refresh()
    assert [row[0] for row in _categories(world)] == ["marketing", "unknown", "unknown"]
    write(("wamid.1", "marketing", "sale"), ("e3", "utility", None), ("e9", "nonsense", None))
    done = world.refresh()
    assert _categories(world)[2] == ("utility", "message", None)
    assert done["message_costs"].written == 1
    kept = world.everything()
    refresh.rebuild(world.lake, world.settings)
    assert world.everything() == kept
    world.settings = world.settings.model_copy(update={"message_categories": None})
    world.refresh()
    assert {row[0] for row in _categories(world)} == {"unknown"}
    world.close()


def test_a_line_that_is_none_costs_no_other_and_is_named(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    lines = [
        *(b"\xef\xbb\xbfTemplate, category ,Message_ID,more", b"# a remark", b""),
        *(b'"half,marketing,e9', b"sale,MARKETING, E1 ,x", b"sale,marketing", b",nonsense,e8"),
        *(b"\xff\xfe,utility,\xffe7", b'"a ""b"", c",Utility,e2', b"sale;marketing;e6"),
        *(b"=1+1,utility,e3,,,,", b"sale,marketing," + b"x" * 300_000, b",service,e4\r"),
        *(b",utility,e5", b",marketing,E5", b"\x00,authentication international,e10"),
    ]
    log.write_bytes(b"\n".join(lines))
    world = _world(tmp_path, message_categories=str(log))
    for number in range(1, 11):
        ids = {"message_key": f"e{number}", "event_id": f"e{number}"}
        world.say(f"c{number}", (f"template 03-01 09:{number:02}", ids))
    world.refresh()
    found = {row["message_key"]: row for row in world.rows("FROM marts.message_costs")}
    known = {key: row["category"] for key, row in found.items() if row["category"] != "unknown"}
    assert known == {
        "e1": "marketing",
        "e2": "utility",
        "e3": "utility",
        "e4": "service",
        "e10": "authentication_international",
    }
    assert found["e2"]["template"] == 'a "b", c'
    with world.lake.reading() as connection:
        texts = [
            (one.text, one.advice)
            for one in money.findings(connection, world.settings)
            if one.check == "message categories"
        ]
    assert texts == [
        (
            "13 rows; 3 ids have no known category, or two",
            "Correct HATIF_MESSAGE_CATEGORIES, beginning with line 4, 6, 7, 10, 14",
        )
    ]
    world.close()


def test_a_log_that_can_no_longer_be_read_leaves_what_it_had(tmp_path: Path) -> None:
    log = tmp_path / "sent"
    rows = [{"message_id": "e1", "category": "marketing"}]
    pq.write_table(pa.Table.from_pylist(rows), log)
    world = _world(tmp_path, message_categories=str(log))
    world.say("c", ("template 03-01 09:00", {"message_key": "e1", "event_id": "e1"}))
    world.refresh()
    whole = log.read_bytes()
    for damage in (whole[:-20], None, b"PAR1"):
        if damage is None:
            log.unlink()
        else:
            log.write_bytes(damage)
        world.refresh()
        assert _categories(world) == [("marketing", "message", None)]
        with world.lake.reading() as connection:
            found = [one.text for one in money.findings(connection, world.settings)]
            (check,) = (one for one in tie_outs() if one.name == "categories_can_be_read")
            assert wrong(connection, check) == 1
        assert any("HATIF_MESSAGE_CATEGORIES cannot be read: " in text for text in found)
    log.write_bytes(whole)
    world.refresh()
    with world.lake.reading() as connection:
        assert wrong(connection, check) == 0
    world.close()


def test_an_edit_of_equal_length_and_time_is_brought_in(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("message_id,category\ne1,marketing\n")
    times = log.stat()
    world = _world(tmp_path, message_categories=str(log))
    world.say("c", ("template 03-01 09:00", {"message_key": "e1", "event_id": "e1"}))
    world.refresh()
    log.write_text("message_id,category\ne1, utility \n")
    os.utime(log, ns=(times.st_atime_ns, times.st_mtime_ns))
    world.refresh()
    assert _categories(world) == [("utility", "message", None)]
    log.touch()
    assert world.refresh()["message_costs"].written == 0
    world.close()


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (["template,category,text"], "the file holds no template"),
        (["template,text", "a,b"], "line 1: the heading lacks category"),
        (["a,marketing,en,Hello"], "line 1: the file needs a first line of column names"),
        (["template,category,text", ",marketing,Hello"], "line 2: template must be"),
        (["template,category,text", "a,marketting,Hello"], "did you mean marketing?"),
        (["template,category,text", "a,text,Hello"], "text is a message_type"),
        (["template,category,text", "a,marketing,"], "line 2: text must hold more than"),
        (["template,category,text", "a,marketing,{{1}} {{2}}"], "line 2: text must hold more than"),
        (
            [
                *("template,category,text", 'a,marketing,"Hello {{1}}, you"', "b,utility,x"),
                'c,utility,"Hello  {{name}}, you"',
            ],
            "line 4: has the same text as line 2",
        ),
    ],
)
def test_a_mistake_among_the_templates_is_named_by_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str], wanted: str
) -> None:
    monkeypatch.setenv("HATIF_TEMPLATES", _file(tmp_path, "t.csv", "\n".join(lines)))
    with pytest.raises(SettingsError, match="HATIF_TEMPLATES: ") as caught:
        Settings.load()
    assert wanted in str(caught.value)


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (b"wamid,category\n", "lacks the column message_id"),
        (b"", "lacks the column message_id and category"),
        (b"\xff\xfem\x00", "is not UTF-8"),
        (b"PAR1 and no more", "is a damaged Parquet file"),
    ],
)
def test_a_log_that_is_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, wanted: str
) -> None:
    path = tmp_path / "log"
    path.write_bytes(content)
    monkeypatch.setenv("HATIF_MESSAGE_CATEGORIES", str(path))
    with pytest.raises(SettingsError, match="HATIF_MESSAGE_CATEGORIES: ") as caught:
        Settings.load()
    assert wanted in str(caught.value)


def test_spaces_are_folded_alike_in_python_and_in_sql(tmp_path: Path) -> None:
    world = World(tmp_path / "home")
    spaces = [chr(code) for code in range(1, 0x3001) if chr(code).isspace()] + ["\u200f", "\u202e"]
    texts = [f" a{space}{space} b{space}c " for space in [*spaces, "\u200d", "\ufeff"]]
    with world.lake.reading() as connection:
        for text in texts:
            found = connection.execute("SELECT folded_text(?)", [text]).fetchall()
            assert found == [(folded(text),)], ascii(text)
    world.close()
