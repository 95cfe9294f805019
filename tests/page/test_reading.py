"""The lake is read and let go, answers are kept by snapshot, a slow question delays no other."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from page import lake_reader
from page.answers import Answers
from page.errors import TooSlow
from page.lake_reader import AT_ONCE, LakeReader
from tests.page.conftest import Visit, World
from tests.template import make_home
from warehouse.errors import NoWarehouse, WarehouseError
from warehouse.lake.locks import READERS, exclusive
from warehouse.lake.readers import others_read
from warehouse.lake.schema import open_lake
from warehouse.settings.environment import Settings

SLOW = "SELECT count(*) FROM range(10000000000) a, range(1000) b"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings.load(home=tmp_path / "home")
    make_home(settings)
    return settings


def count_tags(reader: LakeReader) -> int:
    found = reader.read(lambda c, _: c.execute("SELECT count(*) FROM core.tags").fetchone())
    assert found is not None
    return int(found[0])


def add_a_tag(settings: Settings, name: str) -> None:
    with open_lake(settings) as lake:
        lake.write(
            "add a tag",
            lambda c: c.execute("INSERT INTO core.tags (tag_id, name) VALUES (?, ?)", [name, name]),
        )


def test_the_same_question_of_a_snapshot_is_asked_once(settings: Settings) -> None:
    answers = Answers(LakeReader(settings))
    count = "SELECT count(*) FROM core.tags"
    found = [answers.answer("tags", lambda c, _: c.execute(count).fetchall()) for _ in range(3)]
    assert (found, answers.asked) == ([b"[[0]]"] * 3, 1)
    add_a_tag(settings, "a")
    assert answers.answer("tags", lambda c, _: c.execute(count).fetchall()) == b"[[1]]"
    assert answers.asked == 2


def test_memory_for_answers_is_bounded(settings: Settings) -> None:
    answers = Answers(LakeReader(settings), kept=1_000)
    for question in range(5):
        answers.answer(question, lambda *_: "x" * 300)
    assert answers.asked == 5
    assert answers.answer(4, lambda *_: "y") == b'"' + b"x" * 300 + b'"'
    assert answers.answer(0, lambda *_: "y") == b'"y"'
    assert len(answers.answer("large", lambda *_: "z" * 5_000)) == 5_002


def test_between_questions_nothing_is_held(settings: Settings) -> None:
    reader = LakeReader(settings)
    assert reader.read(lambda c, _: c.execute("SELECT 1").fetchall()) == [(1,)]
    assert not reader.is_held
    with exclusive(settings.home / READERS, "test", wait=False):
        assert not others_read(settings.home / "catalog.sqlite")
    numbers = Path("/proc/self/fd").iterdir()
    opened = [number.readlink() for number in numbers if number.is_symlink()]
    assert [file for file in opened if file.is_relative_to(settings.home)] == []
    add_a_tag(settings, "a")


def test_what_maintenance_moves_is_read_where_it_is_now(settings: Settings) -> None:
    # DuckLake remembers the tables of the catalog, and a flush removes some of them.
    reader = LakeReader(settings)
    for number in range(3):
        add_a_tag(settings, f"tag {number}")
        assert count_tags(reader) == number + 1
        with open_lake(settings) as lake:
            lake.write("move rows", lambda c: c.execute("CALL ducklake_flush_inlined_data('wh')"))
        assert count_tags(reader) == number + 1


def test_maintenance_gets_its_turn_among_viewers_without_a_pause(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake_reader, "_OLDEST", 0.5)
    reader, done = LakeReader(settings), threading.Event()

    def ask() -> None:
        while not done.is_set():
            count_tags(reader)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        with exclusive(settings.home / READERS, "maintenance"):
            assert not done.is_set()
    finally:
        done.set()
        for thread in threads:
            thread.join(60)


def test_a_lake_stays_open_until_something_is_committed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    openings = []

    def counted(*given: Any) -> Any:
        openings.append(1)
        return opened(*given)

    opened = lake_reader._open
    monkeypatch.setattr(lake_reader, "_open", counted)
    reader = LakeReader(settings)
    for _ in range(3):
        count_tags(reader)
    assert len(openings) == 1
    add_a_tag(settings, "a")
    assert count_tags(reader) == 1
    assert len(openings) == 2


def test_a_home_that_takes_the_place_of_another_is_read(settings: Settings, tmp_path: Path) -> None:
    reader = LakeReader(settings)
    assert count_tags(reader) == 0
    restored = Settings.load(home=tmp_path / "restored")
    make_home(restored)
    add_a_tag(restored, "a")
    settings.home.rename(tmp_path / "old")
    with pytest.raises(NoWarehouse):
        count_tags(reader)
    restored.home.rename(settings.home)
    assert count_tags(reader) == 1


def test_questions_at_the_same_time_share_one_opening(settings: Settings) -> None:
    reader = LakeReader(settings)
    together = threading.Barrier(AT_ONCE, timeout=60)
    found: list[int] = []

    def ask() -> None:
        def work(connection: object, snapshot: int) -> None:
            together.wait()
            found.append(snapshot)

        reader.read(work)

    threads = [threading.Thread(target=ask) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == AT_ONCE
    assert len(set(found)) == 1
    assert not reader.is_held


def test_a_slow_statement_is_interrupted_and_the_next_goes_on(settings: Settings) -> None:
    reader = LakeReader(settings, longest=0.3)
    with pytest.raises(TooSlow, match="no answer within"):
        reader.read(lambda c, _: c.execute(SLOW).fetchall())
    assert reader.read(lambda c, _: c.execute("SELECT 2").fetchall()) == [(2,)]
    assert not reader.is_held


def test_a_slow_statement_does_not_delay_others(settings: Settings) -> None:
    reader = LakeReader(settings, longest=60)
    began, ended = threading.Event(), threading.Event()

    def work(*_: object) -> None:
        began.set()
        assert ended.wait(60)

    slow = threading.Thread(target=reader.read, args=(work,))
    slow.start()
    assert began.wait(60)
    assert reader.read(lambda c, _: c.execute("SELECT 3").fetchall()) == [(3,)]
    ended.set()
    slow.join(60)
    assert not reader.is_held


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM core.tags",
        "CREATE TABLE wh.core.x AS SELECT 1",
        "COPY (SELECT 1) TO 'stolen.csv'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "ATTACH 'other.db'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
    ],
)
def test_it_cannot_write_or_reach_files(settings: Settings, sql: str, tmp_path: Path) -> None:
    reader = LakeReader(settings)
    with pytest.raises(WarehouseError):
        reader.read(lambda c, _: c.execute(sql))
    assert not (tmp_path / "stolen.csv").exists()
    assert not reader.is_held


def test_a_home_without_a_warehouse_is_named(tmp_path: Path) -> None:
    reader = LakeReader(Settings.load(home=tmp_path / "none"))
    for _ in range(2):
        with pytest.raises(NoWarehouse, match="there is no warehouse"):
            reader.read(lambda *_: None)


def test_what_fails_is_answered_in_words(world: World, visit: Visit, tmp_path: Path) -> None:
    nothing = visit(world.page(home=tmp_path / "none"))
    answer = nothing.get("/data/view/now")
    assert (answer.status_code, answer.json()["problem"]) == (503, "no_warehouse")


def test_what_messages_contain_is_behind_a_switch(world: World, visit: Visit) -> None:
    closed = visit(world.page())
    first = closed.json("/data/view/now", waiting="all")["parts"][2]["rows"][0][0]
    refused = closed.get(f"/data/messages/{first}")
    assert (refused.status_code, refused.json()["problem"]) == (403, "messages_off")
    shown = visit(world.page(page_messages=True)).json(f"/data/messages/{first}")
    times = [row[0] for row in shown["rows"]]
    assert len(times) > 0
    assert times == sorted(times)
    parts = [part for view in closed.page.views.values() for part in view.parts]
    assert "body" not in {column.name for part in parts for column in part.columns}


def test_an_answer_that_reads_the_clock_is_kept_for_a_minute(world: World, visit: Visit) -> None:
    moments = [world.now, world.now, world.now + timedelta(minutes=2)]
    for view, expected in (("trust", [0, 0, 2]), ("volume", [0, 0, 0])):
        clock = {"now": world.now}
        visitor = visit(world.page(clock=lambda clock=clock: clock["now"]))
        found = []
        for clock["now"] in moments:
            asked = visitor.json(f"/data/view/{view}", period="7d")["asked_at"]
            found.append(datetime.fromisoformat(asked))
        assert [(one - found[0]).total_seconds() / 60 for one in found] == expected
