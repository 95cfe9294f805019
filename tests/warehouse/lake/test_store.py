"""A store belongs to its catalog, whatever home a process comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from hatif.errors import Busy
from sync.session import open_budget
from warehouse.errors import OutputRefused
from warehouse.lake.locks import API, PURPOSES
from warehouse.lake.schema import open_lake
from warehouse.lake.store import Store
from warehouse.reports.destinations import require_foreign
from warehouse.settings.environment import Settings


@pytest.fixture
def homes(tmp_path: Path) -> tuple[Settings, Settings]:
    """Two homes with one catalog and one lake, in a folder of neither."""
    shared = {"catalog": f"sqlite:{tmp_path}/shared/c.sqlite", "lake": f"{tmp_path}/shared/lake"}
    (tmp_path / "shared").mkdir()
    one, two = (Settings.load(home=tmp_path / name, **shared) for name in ("one", "two"))
    with open_lake(one):
        pass
    return one, two


def test_two_homes_with_one_catalog_keep_each_other_out(homes: tuple[Settings, Settings]) -> None:
    one, two = (Store.of(settings).locks for settings in homes)
    for name in PURPOSES:
        with one.exclusive(name, "the first"):
            assert "the first" in str(two.holder(name))
            with pytest.raises(Busy, match="the first"), two.exclusive(name, "x", wait=False):
                pass
        assert two.holder(name) is None


def test_two_homes_with_one_catalog_have_one_request_budget(
    homes: tuple[Settings, Settings],
) -> None:
    one, two = (Store.of(settings).locks for settings in homes)
    with one.exclusive(API, "sync"), open_budget(one, 2, None) as budget:
        for _ in range(2):
            budget._journal.append(budget._clock())
    with two.exclusive(API, "sync"), open_budget(two, 2, None) as budget:
        assert budget._until_window_has_room(budget._clock()) > 50


def test_a_home_with_its_own_catalog_has_its_locks_where_they_were(tmp_path: Path) -> None:
    settings = Settings.load(home=tmp_path)
    with Store.of(settings).locks.exclusive(API, "sync"):
        assert (tmp_path / "api.lock").is_file()


def test_no_output_takes_the_place_of_a_lock_beside_its_catalog(
    homes: tuple[Settings, Settings],
) -> None:
    with Store.of(homes[0]).locks.exclusive(API, "sync"):
        pass
    lock = Path(homes[0].lake_path).with_name("c.sqlite.api.lock")
    assert lock.is_file()
    with pytest.raises(OutputRefused):
        require_foreign(homes[1], lock)
