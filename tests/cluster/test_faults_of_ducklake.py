"""DuckLake's reported faults: every kind of commit and maintenance at random, against an oracle.

Among them the same keys inserted again and then flushed (duckdb/ducklake#1364), a look into the
past after files were rewritten (#1406), deleted rows that come back (#1084); after each step
`count(*)` equals the rows that are scanned. A reader beside a flush (#1413): test_maintenance.py.
Each runs on PostgreSQL with a bucket and on SQLite with a folder; `FUZZ_VALUES` is how many steps.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from warehouse.lake.connection import Lake
from warehouse.lake.maintenance import maintain
from warehouse.lake.schema import open_lake
from warehouse.settings.environment import Settings

_STEPS = int(os.environ.get("FUZZ_VALUES", "25"))
_ROWS = "SELECT contact_id, name FROM core.contacts"
Rows = dict[str, str]


class _Oracle:
    """What the contacts must be, beside the lake that holds them."""

    def __init__(self, lake: Lake, seed: int) -> None:
        self._lake = lake
        self._dice = random.Random(seed)
        self._rows: Rows = {}
        self._past: list[tuple[int, Rows]] = []

    def step(self) -> None:
        """Do something at random to both."""
        actions = (self._insert, self._delete, self._insert_again, self._update, self._maintain)
        self._dice.choices(actions, (6, 3, 3, 3, 2))[0]()
        found = self._lake_rows()
        assert found == self._rows
        self._past.append((self._snapshot(), dict(self._rows)))

    def compare_the_past(self) -> None:
        """Read states of before, whose rows were moved and rewritten since."""
        for snapshot, rows in self._dice.sample(self._past, min(10, len(self._past))):
            with self._lake.reading() as connection:
                sql = f"SELECT contact_id, name FROM wh.core.contacts AT (VERSION => {snapshot})"
                assert dict(connection.execute(sql).fetchall()) == rows, snapshot

    def _keys(self, rows: int) -> list[str]:
        return [f"c{self._dice.randrange(300):03}" for _ in range(rows)]

    def _some(self) -> list[str]:
        return self._dice.sample(
            sorted(self._rows), min(len(self._rows), self._dice.choice((1, 40)))
        )

    def _write(self, *statements: str) -> None:
        def work(connection) -> None:
            for statement in statements:
                connection.execute(statement)

        self._lake.write("fuzz", work)

    def _insert(self) -> None:
        """Few rows wait in the catalog, many go into a file."""
        keys = set(self._keys(self._dice.choice((2, 60)))) - self._rows.keys()
        self._add({key: f"name{self._dice.randrange(1000)}" for key in keys})

    def _add(self, rows: Rows, *before: str) -> None:
        values = ", ".join(f"('{key}', '{name}')" for key, name in rows.items())
        insert = f"INSERT INTO core.contacts (contact_id, name) VALUES {values}"
        self._write(*before, *([insert] if rows else []))
        self._rows |= rows

    def _delete(self) -> None:
        keys = self._some()
        self._write(_deletion(keys))
        for key in keys:
            del self._rows[key]

    def _insert_again(self) -> None:
        """In one transaction, as a merge replaces rows."""
        keys = self._some()
        self._add({key: f"again{self._dice.randrange(1000)}" for key in keys}, _deletion(keys))

    def _update(self) -> None:
        keys = self._some()
        self._write(f"UPDATE core.contacts SET name = name || '+' WHERE contact_id IN {_in(keys)}")
        for key in keys:
            self._rows[key] += "+"

    def _maintain(self) -> None:
        freed = maintain(self._lake, patience=0)
        assert freed.put_off == {}

    def _lake_rows(self) -> Rows:
        with self._lake.reading() as connection:
            rows = connection.execute(_ROWS).fetchall()
            counted = connection.execute("SELECT count(*) FROM core.contacts").fetchone()
        assert counted == (len(rows),)
        assert len(dict(rows)) == len(rows)
        return dict(rows)

    def _snapshot(self) -> int:
        with self._lake.reading() as connection:
            found = connection.execute("SELECT max(snapshot_id) FROM wh.snapshots()").fetchone()
        return int(found[0]) if found else 0


def _in(keys: list[str]) -> str:
    return f"({', '.join(map(repr, keys)) or 'NULL'})"


def _deletion(keys: list[str]) -> str:
    return f"DELETE FROM core.contacts WHERE contact_id IN {_in(keys)}"


@pytest.mark.parametrize("place", ["server", "file"])
@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_committed_and_maintained_the_rows_are_those_of_the_oracle(
    request: pytest.FixtureRequest, tmp_path: Path, place: str, seed: int
) -> None:
    more = request.getfixturevalue("stores").settings if place == "server" else {}
    with open_lake(Settings.load(home=tmp_path, **more)) as lake:
        oracle = _Oracle(lake, seed)
        for _ in range(_STEPS):
            oracle.step()
        oracle.compare_the_past()
