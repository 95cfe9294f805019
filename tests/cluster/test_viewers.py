"""The page on a catalog of a server: opened once while nothing changes, and never out of date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from page import lake_reader
from page.answers import Answers
from page.lake_reader import LakeReader
from tests.cluster.conftest import Stores
from tests.cluster.test_maintenance import add, settings_of
from warehouse.errors import NoWarehouse
from warehouse.lake.maintenance import maintain
from warehouse.lake.schema import open_lake

COUNT = "SELECT count(*), count(DISTINCT contact_id) FROM core.contacts"


def test_a_lake_on_a_server_stays_open_until_something_is_committed(
    stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    openings: list[int] = []

    def opened(*given: Any) -> Any:
        openings.append(1)
        return open_it(*given)

    open_it = lake_reader._open
    monkeypatch.setattr(lake_reader, "_open", opened)
    settings = settings_of(stores, tmp_path)
    reader = LakeReader(settings)
    answers = Answers(reader)

    def seen() -> tuple[bytes, int]:
        """Return the answer, and how often the lake was opened for it."""
        openings.clear()
        for _ in range(2):
            found = answers.answer("contacts", lambda c, _: c.execute(COUNT).fetchall())
            reader.read(lambda c, _: c.execute(COUNT).fetchall())
        return found, len(openings)

    with pytest.raises(NoWarehouse):
        seen()
    with open_lake(settings) as lake:
        add(lake, 0, 5)
        assert seen() == (b"[[5,5]]", 1)
        assert seen() == (b"[[5,5]]", 0)
        assert answers.asked == 1
        add(lake, 5, 30)
        assert seen() == (b"[[35,35]]", 1)
        maintain(lake, patience=0)
        assert seen() == (b"[[35,35]]", 1)
        # Sessions that rest are cut by a server that starts again, and nobody sees an error.
        stores.postgres.restart()
        assert seen() == (b"[[35,35]]", 1)
        stores.postgres.cut(stores.database, "query = 'DISCARD ALL'")
        assert seen() == (b"[[35,35]]", 0)
    reader.close()
