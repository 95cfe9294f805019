"""``core`` rebuilt from ``raw`` alone is the core that was loaded, to the row and the value."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from hatif.streams import STREAMS
from tests.conftest import Serve, settings_for, sync
from tests.warehouse.batches import batch
from warehouse.lake import functions, locks, schema
from warehouse.lake.connection import Lake
from warehouse.lake.sql import home_values
from warehouse.merge.messages import merge, merge_all
from warehouse.models.model import Model, models
from warehouse.records import core_tables
from warehouse.records import rebuild as rebuilding
from warehouse.records.absences import Absences
from warehouse.records.loader import Loader
from warehouse.records.rebuild import rebuild
from warehouse.settings.environment import Settings

_TABLES = [model.table for model in models("core") if not model.is_view]

#: A change: of which stream, in whose list, which record, what it says; None buries it.
Change = tuple[str, str | None, str, dict[str, Any] | None]


def _random_changes(dice: random.Random, length: int) -> list[Change]:
    """Versions, returns to an earlier one, moves to another list, deletions and comebacks."""
    says: dict[str, Callable[[str, int], dict[str, Any]]] = {
        "tags": lambda key, n: {"id": key, "name": f"Tag {n}"},
        "contacts": lambda key, n: {
            "id": key,
            "name": f"Name {n}",
            "creationTime": f"2026-01-0{1 + n}T10:00:00",
            "contactProperties": [
                {"id": f"{key}-{p}", "name": f"P{p}", "value": str(n)} for p in range(n)
            ],
            "notes": [{"id": f"n-{key}", "text": f"Note {n}"}][: n % 2],
        },
        "conversations": lambda key, n: {
            "id": key,
            "status": n,
            "tags": [{"id": f"g{t}", "name": f"G{t}"} for t in range(n)],
        },
        "timelines": lambda key, n: {
            "eventId": key,
            "sourceType": 1 + n % 3,
            "direction": 2,
            "creationTime": f"2026-01-05T10:0{n}:00",
            "status": ["Sent", "Read", "Answered", "Hovering"][n],
            "body": f"text {n}",
        },
        "contact_history": lambda key, n: {
            "id": key,
            "propertyName": f"P{n}",
            "creationTime": f"2026-01-05T10:0{n}:00",
        },
    }
    changes: list[Change] = []
    while len(changes) < length:
        stream = dice.choice(sorted(says))
        parent = f"p{dice.randrange(2)}" if STREAMS[stream].parent else None
        for number in dice.sample(range(6), dice.randint(1, 6)):
            key = f"{stream}{number}"
            changes.append((stream, parent, key, says[stream](key, dice.randrange(4))))
        if dice.random() < 0.3:
            changes.append((stream, parent, key, None))
    return changes


def _load(lake: Lake, changes: Sequence[Change], dice: random.Random, longest: int) -> None:
    """Load changes in their order, neighbours of one list together in batches of random length."""
    loader = Loader(lake, "run")
    begin = 0
    while begin < len(changes):
        stream, parent, key, wording = changes[begin]
        end = begin + 1
        if wording is None:
            Absences(lake, "run").mark_deleted(STREAMS[stream], [key], None)
        else:
            most = begin + dice.randint(1, longest)
            while end < min(most, len(changes)) and changes[end][:2] == (stream, parent):
                if changes[end][3] is None:
                    break
                end += 1
            records = [json.dumps(change[3]).encode() for change in changes[begin:end]]
            loader.load(batch(stream, parent, *records))
        begin = end


def _keep(lake: Lake) -> None:
    """Keep a copy of every core table."""

    def work(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("CREATE SCHEMA IF NOT EXISTS memory.kept")
        for table in _TABLES:
            kept = f"memory.kept.{table.removeprefix('core.')}"
            connection.execute(f"CREATE OR REPLACE TABLE {kept} AS FROM {table}")

    lake.write("keep", work)


def _differences(lake: Lake) -> dict[str, tuple[int, int]]:
    """Rows lost and rows gained since they were kept, by table; only where there are any."""
    found = {}
    with lake.reading() as connection:
        for table in _TABLES:
            kept = f"memory.kept.{table.removeprefix('core.')}"
            counts = [
                connection.execute(
                    f"SELECT count(*) FROM (FROM {one} EXCEPT ALL FROM {other})"
                ).fetchone()
                for one, other in ((kept, table), (table, kept))
            ]
            lost, gained = (int(count[0]) for count in counts if count)
            if lost or gained:
                found[table] = (lost, gained)
    return found


def _filled(lake: Lake) -> set[str]:
    with lake.reading() as connection:
        return {
            table
            for table in _TABLES
            if connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()
        }


def test_versions_reversions_moves_deletions_and_comebacks_are_rebuilt_as_they_were_loaded(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(4)
    _load(lake, _random_changes(dice, 80), dice, longest=6)
    _keep(lake)
    for at_once in (200_000, 7):
        monkeypatch.setattr(rebuilding, "_ROWS_AT_ONCE", at_once)

        rebuild(lake, lambda *_: None)

        assert _differences(lake) == {}
    assert _filled(lake) >= {"core.tags", "core.contacts", "core.timeline_events"}


def test_the_number_of_batches_does_not_matter(tmp_path: Path) -> None:
    changes = _random_changes(random.Random(11), 25)
    held = []
    for longest in (1, 30):
        with Lake(Settings.load(home=tmp_path / f"home{longest}")) as lake:
            lake.write("make the tables", schema.create)
            _load(lake, changes, random.Random(longest), longest)
            rebuild(lake, lambda *_: None)
            with lake.reading() as connection:
                held.append(
                    {
                        table: connection.execute(
                            f"SELECT * REPLACE (deleted_at IS NULL AS deleted_at) FROM {table} "
                            "ORDER BY ALL"
                            if "deleted_at" in _columns(connection, table)
                            else f"FROM {table} ORDER BY ALL"
                        ).fetchall()
                        for table in _TABLES
                    }
                )
    assert held[0] == held[1]


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> set[str]:
    return {row[0] for row in connection.execute(f"DESCRIBE {table}").fetchall()}


def test_a_workspace_that_lived_on_is_rebuilt_with_its_messages_and_calls(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(contacts=15, conversations=10, events=150)
    settings = settings_for(server, tmp_path / "home")
    sync(settings)
    contact = next(iter(server.world.contacts))
    server.delete_contacts([contact])
    server.advance(timedelta(hours=2), deleted_conversations=1, deleted_tags=1, status_changes=20)
    sync(settings)
    server.restore_contacts([contact])
    server.advance(timedelta(hours=2), silent_edits=5, late_summaries=5)
    sync(settings)
    with Lake(settings) as lake:
        merge(lake)
        _keep(lake)

        rebuild(lake, lambda *_: None)
        merge_all(lake)

        assert _differences(lake) == {}
        assert _filled(lake) >= {"core.messages", "core.calls", "core.contact_properties"}
        with lake.reading() as connection:
            found = connection.execute(
                "SELECT op, count(*) FROM raw.records GROUP BY op"
            ).fetchall()
    assert {op for op, _ in found} == {"upsert", "tombstone"}


def test_records_that_are_too_much_for_the_memory_together_are_rebuilt_in_parts(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    contact = '{"id":"c%d","notes":[{"id":"n%d","text":"x"}]}'
    for parts in (9, 3):
        records = [(contact % (n, parts)).encode() for n in range(parts)]
        Loader(lake, "run").load(batch("contacts", None, *records))
    _keep(lake)
    insert = core_tables.insert

    def limited(connection: duckdb.DuckDBPyConnection, model: Model) -> None:
        insert(connection, model)
        found = connection.execute("SELECT count(*) FROM changed").fetchone()
        if found and found[0] > 2:
            raise duckdb.OutOfMemoryException("failed to allocate data of size 16.0 MiB")

    monkeypatch.setattr(core_tables, "insert", limited)
    monkeypatch.setattr(rebuilding, "_BYTES_AT_ONCE", 1)
    rebuild(lake, lambda *_: None)
    assert _differences(lake) == {}
    assert _filled(lake) >= {"core.contacts", "core.contact_notes"}


def test_what_another_version_typed_is_typed_again_once(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    call = {"eventId": "e", "sourceType": 1, "creationTime": "2026-11-01T10:00:00Z"}
    record = json.dumps(call | {"durationOrSize": "02:30"}).encode()
    Loader(lake, "run").load(batch("timelines", "v", record))
    merge(lake)
    assert caplog.text == ""

    def age(connection: duckdb.DuckDBPyConnection) -> None:
        connection.execute("UPDATE core.timeline_events SET duration_seconds = NULL")
        connection.execute("UPDATE ops.home SET value = 'older' WHERE key = 'core'")

    lake.write("age it", age)
    merge(lake)
    merge(lake)
    with lake.reading() as connection:
        found = connection.execute("SELECT duration_seconds FROM core.calls").fetchall()
    assert found == [(150.0,)]
    assert caplog.text.count("core is made again from raw") == 1


def test_what_another_versions_functions_typed_is_typed_again_though_it_was_stopped_once(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a new numbering plan of the phone numbers' library."""
    number = b'{"id":"c","phoneNumber":"+966501234567"}'
    Loader(lake, "run").load(batch("contacts", None, number))
    Loader(lake, "run").load(batch("tags", None, b'{"id":"t"}'))
    age = "UPDATE core.contacts SET phone_e164 = NULL"
    lake.write("age it", lambda c: c.execute(age) and None)
    merge(lake)
    with lake.reading() as connection:
        assert connection.execute("SELECT phone_e164 FROM core.contacts").fetchall() == [(None,)]
    monkeypatch.setattr(functions, "version", lambda: "another")
    insert = core_tables.insert

    def stopped(connection: duckdb.DuckDBPyConnection, model: Model) -> None:
        if model.name == "contacts":
            raise KeyboardInterrupt
        insert(connection, model)

    monkeypatch.setattr(core_tables, "insert", stopped)
    with pytest.raises(KeyboardInterrupt):
        merge(lake)
    monkeypatch.setattr(core_tables, "insert", insert)
    merge(lake)
    with lake.reading() as connection:
        found = connection.execute("SELECT phone_e164 FROM core.contacts").fetchall()
    assert found == [("+966501234567",)]


def test_what_another_process_typed_again_meanwhile_is_not_typed_twice(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lake.write("age it", lambda c: c.execute("DELETE FROM ops.home WHERE key = 'core'") and None)
    exclusive = locks.exclusive

    @contextmanager
    def waiting(path: Path, purpose: str, **options: Any) -> Iterator[None]:
        with exclusive(path, purpose, **options):
            if path.name == locks.REBUILD:
                lake.write("remember", schema.remember_typing)  # as the other process did
            yield

    monkeypatch.setattr(locks, "exclusive", waiting)
    with lake.reading() as connection:
        values = home_values(connection)
    rebuilding.bring_up_to_date(lake, values)
    assert caplog.text == ""
