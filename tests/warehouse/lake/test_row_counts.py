"""After maintenance moved rows, each table has as many as it states, or nothing is removed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.template import make_home
from warehouse.errors import RowsDiffer
from warehouse.lake import maintenance, row_counts
from warehouse.lake.compaction import Compaction
from warehouse.lake.connection import Lake
from warehouse.lake.maintenance import maintain
from warehouse.settings.environment import Settings

_INSERT = "INSERT INTO core.contacts BY NAME SELECT 'c' || i AS contact_id FROM range({}) t(i)"
#: In another process: SQLite's locks belong to the process (docs/architecture.md, rule 5).
_DAMAGE = """
import sqlite3, sys
catalog = sqlite3.connect(sys.argv[1])
catalog.execute("UPDATE ducklake_data_file SET record_count = 104 WHERE record_count = 105")
catalog.commit()
"""


def test_a_table_with_other_rows_than_it_states_ends_maintenance_before_anything_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.load(home=tmp_path / "home")
    make_home(settings)
    with Lake(settings) as lake:
        lake.write("fill", lambda c: c.execute(_INSERT.format(100)))
        assert row_counts.require(lake, ["core.contacts"]) == 1
        lake.write("fill", lambda c: c.execute(_INSERT.format(5)))
        assert maintain(lake).tables_counted > 0
    subprocess.run([sys.executable, "-c", _DAMAGE, settings.home / "catalog.sqlite"], check=True)
    with Lake(settings) as lake:
        lake.write("fill", lambda c: c.execute(_INSERT.format(5)))
        monkeypatch.setattr(Compaction, "_merge", lambda *_: 0)
        monkeypatch.setattr(maintenance, "_expire", lambda *_: pytest.fail("it went on"))
        with pytest.raises(RowsDiffer, match="contacts states 109 rows, and a scan finds 110"):
            maintain(lake)
