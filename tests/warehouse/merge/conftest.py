"""One lake for a module; a world of its own, emptied before each test."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from tests.warehouse.merge.world import World
from warehouse.lake.connection import Lake
from warehouse.lake.schema import open_lake
from warehouse.settings.environment import Settings


@pytest.fixture(scope="package")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    settings = Settings.load(home=tmp_path_factory.mktemp("merging"))
    with open_lake(settings) as lake:
        yield lake


def empty(connection: duckdb.DuckDBPyConnection) -> None:
    filled = ["core.timeline_events", "core.conversations", "raw.webhook_events", "ops.outdated"]
    filled += ["ops.webhook_files", "ops.hints"]
    filled += [f"core.{name}" for name in ("messages", "message_statuses", "calls")]
    filled += [f"core.{name}" for name in ("call_statuses", "ivr_calls", "ivr_statuses")]
    for table in filled:
        connection.execute(f"DELETE FROM {table}")


@pytest.fixture
def world(lake: Lake) -> World:
    lake.write("empty it", empty)
    return World(lake)
