"""Is the home in order? The catalog, who holds the locks, and how large the lake is."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb

from hatif.errors import HomeError
from hatif.findings import Answer, Finding
from warehouse.errors import NoWarehouse
from warehouse.lake import disk, locks, schema
from warehouse.lake.connection import Lake
from warehouse.lake.explain import explain
from warehouse.lake.home import make_home
from warehouse.lake.store import Store
from warehouse.reports import files, money, observations
from warehouse.settings.environment import Settings

_LEAST_FREE = 500 * 2**20
_COMFORTABLE = 2 * 2**30
_PRIVATE = 0o077


def home(settings: Settings) -> list[Finding]:
    """Look at HATIF_HOME: can it be written, can others read it, is there room?"""
    place = settings.home
    try:
        make_home(place)
    except HomeError as error:
        advice = "A sync needs a directory that this user may write to"
        return [Finding("home", "failed", str(error), advice)]
    found = [Finding("home", "ok", f"{place} can be written")]
    if place.stat().st_mode & _PRIVATE:
        found[0] = Finding(
            "home",
            "warning",
            f"other users of this machine may look into {place}, which holds personal data",
            f"chmod 700 {place}",
        )
    return [*found, _space(place)]


def _space(place: Path) -> Finding:
    free = shutil.disk_usage(place).free
    _, used = disk.measure(place)
    text = f"{_size(free)} free; the home holds {_size(used)}"
    if free < _LEAST_FREE:
        return Finding("disk", "failed", text, "Make room before the next sync")
    if free < max(_COMFORTABLE, used):
        # Maintenance writes files anew before it removes the old ones.
        return Finding("disk", "warning", text, "Make room for as much again, or run maintenance")
    return Finding("disk", "ok", text)


def catalog(settings: Settings, *, deep: bool = False) -> tuple[list[Finding], list[Answer]]:
    """Open the lake; return what is found, and what it answers about the service.

    Args:
        settings: of the home.
        deep: read every file of the lake, too.
    """
    try:
        with Lake(settings, read_only=True) as lake, lake.reading() as connection:
            if not schema.is_current(connection):
                text = "the tables are those of another version"
                return [Finding("catalog", "warning", text, "Run: hatif sync")], []
            text = "opens, and its tables are this version's"
            if not schema.matches_this_version(connection):
                text = "opens; the next sync renews its tables' definitions"
            found = [Finding("catalog", "ok", text)]
            if deep:
                found += files.compare(lake)
            answers = _observed(connection, found)
            if schema.matches_this_version(connection):
                found += _money(connection, settings)
            return found, answers
    except NoWarehouse:
        return [Finding("catalog", "ok", "there is none yet; the first sync makes it")], []
    except HomeError as error:
        advice = "See docs/operations.md: restore"
        if not settings.catalog_dsn.startswith("sqlite:"):
            advice = "Check HATIF_CATALOG, and whether its server can be reached"
        return [Finding("catalog", "failed", str(error), advice)], []
    except duckdb.Error as error:
        advice = "hatif doctor --deep names every file that cannot be read"
        return [Finding("catalog", "failed", explain(error), advice)], []


def _observed(connection: duckdb.DuckDBPyConnection, found: list[Finding]) -> list[Answer]:
    """Return the stored answers; where a file cannot be read, add that to what is found."""
    try:
        return observations.observe(connection)
    except duckdb.Error as error:
        advice = "hatif doctor --deep names every file that cannot be read"
        found.append(Finding("tables", "failed", explain(error), advice))
        return []


def _money(connection: duckdb.DuckDBPyConnection, settings: Settings) -> list[Finding]:
    """Return what is found of prices; a file that cannot be read is a finding of its own."""
    try:
        return money.findings(connection, settings)
    except duckdb.Error as error:
        advice = "hatif doctor --deep names every file that cannot be read"
        return [Finding("rates", "failed", explain(error), advice)]


def lock_holders(settings: Settings) -> list[Finding]:
    """Report the holders of the locks; a process that ended holds none."""
    found = []
    held = Store.of(settings).locks
    for name, purpose in locks.PURPOSES.items():
        try:
            holder = held.holder(name)
        except HomeError as error:
            return [Finding("locks", "failed", str(error))]
        text = f"no process {purpose}" if holder is None else f"held: {holder}"
        found.append(Finding(name, "ok", text))
    return found


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
