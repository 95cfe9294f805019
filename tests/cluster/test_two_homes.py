"""Two homes, as on two machines, with one catalog and one lake."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.conftest import Stores
from tests.conftest import Serve, full_sync, settings_for, sync
from warehouse.lake.connection import Lake


def test_a_sync_arrives_whole_and_is_read_from_another_home(
    stores: Stores, serve: Serve, tmp_path: Path
) -> None:
    server = serve(contacts=30, conversations=20, events=200)
    one = settings_for(server, tmp_path / "one", **stores.settings)
    two = settings_for(server, tmp_path / "two", **stores.settings)
    full_sync(one)
    with Lake(two, read_only=True) as lake, lake.reading() as connection:
        found = connection.execute(
            "SELECT count(*), count(DISTINCT contact_id) FROM core.contacts"
        ).fetchone()
    assert found == (30, 30)
    changed = sync(two)
    assert {result.rows_changed for result in changed.values()} == {0}
