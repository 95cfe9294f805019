"""Whose records a home takes: its workspace's; a strange row does not decide."""

from __future__ import annotations

import pytest

from hatif.errors import HomeError
from tests.comparison import stored
from tests.warehouse.batches import batch
from warehouse.lake.connection import Lake
from warehouse.records.loader import Loader
from warehouse.settings.environment import Settings

_OURS = "3a10c5a4-0000-4000-8000-00000000000a"
_THEIRS = "3a10c5a4-0000-4000-8000-00000000000b"
_EMPTY = "00000000-0000-0000-0000-000000000000"
_BOUND = "SELECT value FROM ops.home WHERE key = 'workspace_id'"


def _channels(*workspaces: str | None, first: int = 0) -> list[bytes]:
    return [
        b'{"id":"c%d","workspaceId":%s}'
        % (number, b"null" if workspace is None else b'"%s"' % workspace.encode())
        for number, workspace in enumerate(workspaces, start=first)
    ]


def _stored(settings: Settings) -> set[str]:
    return {row["channel_id"] for row in stored(settings, "SELECT channel_id FROM core.channels")}


def test_the_empty_workspace_and_none_are_no_workspace(lake: Lake, settings: Settings) -> None:
    Loader(lake, "run").load(batch("channels", None, *_channels(_EMPTY, _OURS.upper(), None)))
    Loader(lake, "run").load(batch("channels", None, *_channels(_EMPTY, first=3)))
    assert _stored(settings) == {"c0", "c1", "c2", "c3"}
    assert stored(settings, _BOUND) == [{"value": _OURS}]


def test_a_strange_row_is_set_aside_and_its_neighbours_are_stored(
    lake: Lake, settings: Settings
) -> None:
    loaded = Loader(lake, "run").load(batch("channels", None, *_channels(_THEIRS, _OURS, _OURS)))
    assert [reject.reason for reject in loaded.rejects] == ["foreign_workspace"]
    assert _stored(settings) == {"c1", "c2"}
    assert stored(settings, _BOUND) == [{"value": _OURS}]


def test_most_rows_of_another_workspace_are_refused(lake: Lake, settings: Settings) -> None:
    Loader(lake, "run").load(batch("channels", None, *_channels(_OURS)))
    with pytest.raises(HomeError, match="another workspace"):
        Loader(lake, "run").load(
            batch("channels", None, *_channels(_THEIRS, _THEIRS, _OURS, first=1))
        )
    assert _stored(settings) == {"c0"}


def test_a_home_is_not_bound_by_half_of_the_rows(lake: Lake, settings: Settings) -> None:
    Loader(lake, "run").load(batch("channels", None, *_channels(_THEIRS, _OURS)))
    assert stored(settings, _BOUND) == []


def test_the_last_rows_of_a_list_are_weighed_with_those_before_them(
    lake: Lake, settings: Settings
) -> None:
    loader = Loader(lake, "run")
    loader.load(batch("channels", None, *_channels(_OURS, _OURS)))
    loaded = loader.load(batch("channels", None, *_channels(_THEIRS, first=2)))
    assert [reject.reason for reject in loaded.rejects] == ["foreign_workspace"]
    with pytest.raises(HomeError, match="another workspace"):
        loader.load(batch("channels", None, *_channels(*[_THEIRS] * 3, first=3)))
    assert _stored(settings) == {"c0", "c1"}


def test_a_record_that_duckdb_rejects_does_not_have_its_neighbours_weighed_one_by_one(
    lake: Lake, settings: Settings
) -> None:
    made = batch("channels", None, *_channels(_THEIRS, _OURS, _OURS, _OURS))
    made.pages[0].page.payloads[3] = b'{"id":"c3"'
    loaded = Loader(lake, "run").load(made)
    assert sorted(reject.reason for reject in loaded.rejects) == ["bad_json", "foreign_workspace"]
    assert _stored(settings) == {"c1", "c2"}
    assert stored(settings, _BOUND) == [{"value": _OURS}]
