"""The command as a process of its own, a server for those who only read, a home already synced."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from assets.checks import raw_key
from hatif.webhooks.sources import place_of
from rehearsal import RehearsalServer, WorldSpec
from tests.conftest import full_sync, settings_for
from warehouse.lake.schema import open_lake
from warehouse.marts import refresh
from warehouse.merge import messages
from warehouse.models.model import models_of
from warehouse.settings.environment import Settings
from warehouse.settings.rate_card import SAMPLE
from warehouse.webhooks.ingest import ingest

ROOT = Path(__file__).parents[2]
HATIF = Path(sys.executable).with_name("hatif")

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def environment(settings: Settings | None = None, **more: str) -> dict[str, str]:
    """What a process needs to work in that home, and nothing of the developer's own."""
    found = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("HATIF_") and name != "DAGSTER_HOME"
    }
    if settings is not None:
        client_id, secret = settings.credentials()
        found |= {
            "HATIF_BASE_URL": settings.base_url,
            "HATIF_CLIENT_ID": client_id,
            "HATIF_CLIENT_SECRET": secret,
            "HATIF_HOME": str(settings.home),
            "HATIF_REQUESTS_PER_MINUTE": str(settings.requests_per_minute),
            "HATIF_CATALOG": settings.catalog or "",
            "HATIF_LAKE": settings.lake or "",
        }
    return found | more


def hatif(
    *arguments: str, settings: Settings | None = None, patience: int = 120, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end, in the current folder, for at most `patience` seconds."""
    return subprocess.run(
        [HATIF, *arguments],
        env=environment(settings, **more),
        capture_output=True,
        text=True,
        timeout=patience,
        check=False,
    )


def stream_keys(stream: str) -> list[dg.AssetKey]:
    """Return the assets of the step that reads a stream."""
    return [raw_key(stream), *(dg.AssetKey([m.schema, m.name]) for m in models_of(stream))]


@dataclass(frozen=True)
class Synced:
    """A home that holds all of a small workspace; nobody may change it."""

    server: RehearsalServer
    settings: Settings


@pytest.fixture(scope="package")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Synced]:
    """One full sync for all tests that only look."""
    spec = WorldSpec(contacts=60, conversations=40, events=800)
    with RehearsalServer(spec) as server:
        settings = settings_for(server, tmp_path_factory.mktemp("synced"))
        full_sync(settings)
        yield Synced(server, settings)


@pytest.fixture(scope="package")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home whose every table is made, webhooks and marts included; nobody may change it."""
    home = tmp_path_factory.mktemp("filled")
    with RehearsalServer(WorldSpec(contacts=30, conversations=20, events=300)) as server:
        server.write_webhooks(home / "webhooks")
        settings = settings_for(server, home, rate_card=str(SAMPLE))
        full_sync(settings)
    with open_lake(settings) as lake:
        ingest(lake, place_of(settings.webhook_location), settings.secrets)
        messages.merge_all(lake)
        refresh.rebuild(lake, settings)
    return settings
