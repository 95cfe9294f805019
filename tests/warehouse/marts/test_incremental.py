"""Whatever changes, in whatever order: a refresh leaves what a rebuild would, to the row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.warehouse.marts.chance import BEGIN, Chance
from tests.warehouse.marts.world import World, call, local, number_in
from warehouse.lake import invalidation
from warehouse.marts import refresh, rows, scopes, settings_tables, volumes
from warehouse.marts.scopes import Scope
from warehouse.models.model import Model
from warehouse.settings.environment import Settings
from warehouse.settings.rate_card import SAMPLE

_HOURS = "Mon-Fri 08:00-12:00,13:00-17:00; Sat 22:00-02:00"


_SETTINGS: dict[str, Any] = {
    "timezone": "Europe/Berlin",
    "business_hours": _HOURS,
    "rate_card": str(SAMPLE),
}


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def _chance() -> Chance:
    """Some sixty conversations."""
    chance = Chance(seed=5)
    for number in range(60):
        chance.conversation(f"c{number}", 8)
    return chance


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a world of them in a zone with daylight saving, marts computed."""
    world = World(tmp_path_factory.mktemp("computed") / "home", **_SETTINGS)
    _chance().put(world)
    world.refresh()
    world.close()
    return world.settings.home


@pytest.fixture
def busy(computed: Path, tmp_path: Path) -> Iterator[tuple[World, Chance]]:
    """A copy of it, and what it was made of."""
    world = World(tmp_path / "home", like=computed, **_SETTINGS)
    yield world, _chance()
    world.close()


def test_ten_random_increments_equal_a_rebuild(busy: tuple[World, Chance]) -> None:
    world, chance = busy
    for number in range(1, 11):
        _change(world, chance, number)
        world.refresh()
        if number % 5 == 0:
            kept = world.everything()
            refresh.rebuild(world.lake, world.settings)
            rebuilt = world.everything()
            for mart, rows in rebuilt.items():
                assert kept[mart] == rows, f"{mart} after {number} increments"
    assert all(rebuilt.values())


def _change(world: World, chance: Chance, number: int) -> None:
    random = chance.random
    kind = number % 5
    if kind == 0:  # receipts come in
        rows = random.sample(sorted(chance.messages), 10)
        chance.messages |= {key: chance.changed_message(chance.messages[key]) for key in rows}
        world.put("messages", *(chance.messages[key] for key in rows))
    elif kind == 1:  # people go on talking, and somebody new writes
        before = chance.messages.keys() | chance.calls.keys()
        chance.conversation(f"new{number}", 5)
        for _ in range(10):
            moment = BEGIN + timedelta(seconds=random.randrange(60 * 86_400))
            chance.event(f"c{random.randrange(60)}", moment)
        world.put("contacts", chance.contacts[f"k-new{number}"])
        fresh = [row for key, row in chance.messages.items() if key not in before]
        world.put("messages", *fresh)
        world.put("calls", *(row for key, row in chance.calls.items() if key not in before))
    elif kind == 2:  # two rows turn out to be one; another moves to where it belongs
        gone, moved = random.sample(sorted(chance.messages), 2)
        del chance.messages[gone]
        world.remove("messages", gone)
        chance.messages[moved] |= {"conversation_id": "c1", "contact_id": "k-c1"}
        world.put("messages", chance.messages[moved])
    elif kind == 3:  # contacts and users change
        contact = chance.contacts[f"k-c{random.randrange(60)}"]
        contact |= number_in("FR" if contact["country"] != "FR" else None)
        world.put("contacts", contact)
        see = {"contact_id": contact["contact_id"], "property_key": "Company"}
        see |= {"property_name": "Company", "old_value": "A", "new_value": f"B{number}"}
        world.put("contact_observations", see | {"observed_at": BEGIN + timedelta(days=number)})
        world.put("users", {"user_id": "amal", "name": f"Amal {number}", "is_ai_agent": False})
    else:  # calls end; one that belongs to nobody comes and moves
        rows = random.sample(sorted(chance.calls), 3)
        chance.calls |= {key: chance.changed_call(chance.calls[key]) for key in rows}
        world.put("calls", *(chance.calls[key] for key in rows))
        moment = BEGIN + timedelta(days=random.randrange(40))
        world.put("calls", call("stray", None, moment, contact_id="k-c3"))


def test_nothing_new_means_nothing_to_do(busy: tuple[World, Chance]) -> None:
    world, _ = busy
    assert sum(done.written for done in world.refresh().values()) == 0


def _mark_everything(connection: duckdb.DuckDBPyConnection, most: int = 1_000) -> None:
    for scope in scopes.WHOLE:
        for mart in scope.models:
            # The same in every mart, or more days are marked than are few.
            keys = (
                f"SELECT DISTINCT {scope.column}::VARCHAR AS key FROM {mart.table} "
                f"ORDER BY key LIMIT {most}"
            )
            invalidation.mark(connection, scopes.MARTS, scope.kind, keys)


def test_rows_that_are_computed_as_they_are_stored_are_not_written_again(
    busy: tuple[World, Chance],
) -> None:
    world, _ = busy
    before = world.everything()
    # So few that their stored rows are read, too, and whole days are left.
    world.lake.write("mark", lambda connection: _mark_everything(connection, 9))
    assert sum(done.written for done in world.refresh().values()) == 0
    assert world.everything() == before


def test_rows_that_differ_are_doubled_or_stray_are_put_right_in_every_mart(
    busy: tuple[World, Chance],
) -> None:
    world, _ = busy
    before = world.everything()

    def spoil(connection: duckdb.DuckDBPyConnection) -> None:
        _mark_everything(connection)
        for mart in (mart for scope in scopes.WHOLE for mart in scope.models):
            columns = {column.name: column.type for column in mart.columns}
            other = next(c for c in reversed(columns) if c not in mart.grain and c != mart.scope)
            table, changed = mart.table, f"CAST(NULL AS {columns[other]})"
            # One row is doubled, of another the last column is lost, and rows are missing.
            connection.execute(f"CREATE OR REPLACE TEMP TABLE rows AS FROM {table} LIMIT 9")
            connection.execute(f"DELETE FROM {table} WHERE hash({_grain(mart)}) % 3 = 0")
            connection.execute(f"INSERT INTO {table} FROM rows LIMIT 1")
            connection.execute(
                f"INSERT INTO {table} SELECT * REPLACE ({changed} AS {other}) FROM rows OFFSET 5"
            )

    world.lake.write("spoil", spoil)
    world.refresh()
    assert world.everything() == before


def _grain(mart: Model) -> str:
    return ", ".join(mart.grain)


def test_a_message_makes_only_its_own_day_new(busy: tuple[World, Chance]) -> None:
    world, chance = busy
    name = max(
        chance.contacts,
        key=lambda contact: sum(row["contact_id"] == contact for row in chance.messages.values()),
    )
    conversation = name.removeprefix("k-")
    world.say(conversation, "template 12-24 09:00", contact_id=name, channel_id="line0")
    done = world.refresh()
    assert done["message_billing_daily"].written == 1
    assert done["contact_summary"].written == 1


def test_a_message_changes_no_note_of_the_other_days_of_its_conversation(world: World) -> None:
    world.say("a", *(f"customer 03-{day:02} 09:00" for day in range(1, 20, 3)))
    world.say("b", "customer 03-01 09:00")
    world.refresh()
    snapshot = "SELECT id FROM wh.last_committed_snapshot()"
    before = world.one(snapshot)["id"]
    world.say("a", "agent 03-19 09:10")
    world.refresh()
    written = world.rows(
        "SELECT date::VARCHAR AS date, change_type FROM ducklake_table_changes("
        f"'wh', 'ops', 'mart_days', {before + 1}, {world.one(snapshot)['id']})"
    )
    assert {row["date"] for row in written} == {"2026-03-19"}
    assert len(written) == 2


def test_a_message_leaves_what_follows_from_its_contact_alone_as_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.say("a", "customer 03-01 09:00")
    world.refresh()
    written: list[str] = []
    write = rows.write_differences

    def noting(connection: duckdb.DuckDBPyConnection, mart: Model, *rest: str) -> int:
        written.append(mart.name)
        return write(connection, mart, *rest)

    monkeypatch.setattr(rows, "write_differences", noting)
    world.say("a", "agent 03-01 09:10")
    world.refresh()
    assert "contact_summary" in written
    assert "contact_property_history" not in written
    world.put("contacts", {"contact_id": "k-a", "name": "changed"})
    written.clear()
    world.refresh()
    assert written.count("contact_property_history") == written.count("contact_summary") == 1


def test_a_row_that_is_doubled_is_stored_as_often_as_it_is_computed(world: World) -> None:
    world.say("a", "agent 03-01 09:00", "agent 03-01 09:10")
    world.refresh()

    def double(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("INSERT INTO core.messages FROM core.messages LIMIT 1")
        invalidation.mark(connection, "marts", "conversation", "SELECT 'a' AS key")

    world.lake.write("double", double)
    world.refresh()
    refreshed = world.everything()
    assert len(refreshed["message_costs"]) > 3
    refresh.rebuild(world.lake, world.settings)
    assert world.everything() == refreshed


def test_a_changed_rate_card_computes_anew_what_depends_on_it_and_equals_a_rebuild(
    busy: tuple[World, Chance], tmp_path: Path
) -> None:
    world, _ = busy
    rates = tmp_path / "rates.csv"
    rates.write_text("country,message_type,effective_from,currency,rate\n*,*,2026-01-01,EUR,0.07\n")
    before = world.everything()
    card = Settings.load(home=world.settings.home, rate_card=str(rates)).rate_card
    world.settings = world.settings.model_copy(update={"rate_card": card})
    done = world.refresh()
    assert {name for name, one in done.items() if one.written} == {
        "message_costs",
        "message_billing_daily",
        "contact_summary",
    }
    after = world.everything()
    assert after["message_costs"] != before["message_costs"]
    refresh.rebuild(world.lake, world.settings)
    assert world.everything() == after


def test_a_rebuild_of_many_messages_replaces_what_is_there_key_by_key(
    busy: tuple[World, Chance], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _ = busy
    whole = world.everything()

    def spoil(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("DELETE FROM marts.message_costs WHERE hash(message_key) % 3 = 0")
        connection.execute(
            "INSERT INTO marts.message_costs SELECT * REPLACE ('gone' AS conversation_id, "
            "'gone' AS message_key) FROM marts.message_costs LIMIT 1"
        )
        connection.execute("DELETE FROM marts.message_billing_daily")
        connection.execute("UPDATE marts.contact_summary SET calls = calls + 1")

    world.lake.write("spoil", spoil)
    assert world.everything() != whole
    monkeypatch.setattr(refresh, "_MOST_AT_ONCE", 0)
    monkeypatch.setattr(refresh, "_compute_everything", None)
    refresh.rebuild(world.lake, world.settings)
    assert world.everything() == whole


@pytest.mark.parametrize("most_at_once", [0, 2_000_000])
def test_a_rebuild_in_chunks_without_the_old_files_gives_the_same(
    busy: tuple[World, Chance],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    most_at_once: int,
) -> None:
    world, _ = busy
    monkeypatch.setattr(refresh, "_MOST_AT_ONCE", most_at_once)
    whole = world.everything()
    lake = world.settings.home / "lake"
    files = [
        file
        for folder in (lake / "marts", lake / "ops" / "mart_days")
        for file in sorted(folder.rglob("*.parquet"))
    ]
    assert {file.parent.name for file in files} >= {"message_costs", "contact_summary", "mart_days"}
    for number, file in enumerate(files):
        file.write_bytes(file.read_bytes()[:-40]) if number % 2 else file.unlink()
    monkeypatch.setattr(scopes, "WHOLE", tuple(replace(one, few=2) for one in scopes.WHOLE))
    monkeypatch.setattr(scopes, "CHUNK", 60)
    chunks: list[str] = []
    compute = refresh._compute

    def noting(connection: duckdb.DuckDBPyConnection, scope: Scope, *rest: Any, **how: Any) -> None:
        chunks.append(scope.of)
        compute(connection, scope, *rest, **how)

    monkeypatch.setattr(refresh, "_compute", noting)
    refresh.rebuild(world.lake, world.settings)
    is_told = any("again in one transaction" in message for message in caplog.messages)
    assert is_told == (most_at_once == 0)
    assert min(Counter(chunks).values()) > 1
    assert world.everything() == whole
    assert sum(done.written for done in world.refresh().values()) == 0


def test_settings_are_made_tables_again_only_where_these_would_differ(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, make = [], settings_tables._install_business

    def counted(connection: duckdb.DuckDBPyConnection, settings: Settings, *span: Any) -> None:
        made.append(settings.business_hours)
        make(connection, settings, *span)

    monkeypatch.setattr(settings_tables, "_install_business", counted)
    for day, times in (("03-10", 1), ("03-11", 1), ("01-05", 2), ("01-06", 2)):
        world.say("a", f"customer {day} 09:00", f"agent {day} 09:10")
        world.refresh()
        assert len(made) == times, day
    world.settings = Settings.load(home=world.settings.home, business_hours=_HOURS)
    world.refresh()
    assert len(made) == 3
    kept = world.everything()
    refresh.rebuild(world.lake, world.settings)
    assert world.everything() == kept


def test_settings_are_made_for_days_around_whatever_there_is() -> None:
    room = timedelta(days=2)
    moments = [datetime(2027, 12, 1, 23, 59, tzinfo=UTC) + timedelta(n) for n in range(100)]
    for first in moments:
        for last in moments:
            begin, end = settings_tables._months_around(first, last)
            assert begin <= first - room
            assert last + room < end
    assert len({settings_tables._months_around(one, one) for one in moments}) <= 9


def test_tables_of_settings_that_a_failure_took_back_are_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.say("a", "customer 03-10 09:00", "agent 03-10 09:10")

    with monkeypatch.context() as patched:
        patched.setattr(volumes, "prepare", _killed)
        with pytest.raises(KeyboardInterrupt):
            world.refresh()
    world.refresh()
    found = world.one("SELECT response_business_seconds AS seconds FROM marts.response_times")
    assert found["seconds"] == 600


def test_a_rebuild_that_dies_leaves_the_rows_that_were_there(
    busy: tuple[World, Chance], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _ = busy
    whole = world.everything()

    monkeypatch.setattr(refresh, "_mark_differences", _killed)
    with pytest.raises(KeyboardInterrupt):
        refresh.rebuild(world.lake, world.settings)
    assert world.everything() == whole


def test_what_was_noted_when_a_run_died_is_computed_by_the_next(
    busy: tuple[World, Chance], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _ = busy
    world.say("c1", "customer 12-24 09:00", contact_id="k-c1", channel_id="line0")

    with monkeypatch.context() as patch:
        patch.setattr(refresh, "_mark_differences", _killed)
        with pytest.raises(KeyboardInterrupt):
            world.refresh()
    world.refresh()
    found = world.one(
        "SELECT count(*) AS n FROM marts.response_times WHERE turn_started_at = "
        f"TIMESTAMPTZ '{local('12-24 09:00').isoformat()}'"
    )
    assert found["n"] == 1
