"""A home in seven days of steady traffic: its files, its catalog, its lake, day by day."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta

from benchmarks.seven_days_storage import measure
from hatif.streams import STREAMS
from rehearsal import RehearsalServer
from sync.run import compute, read_service
from sync.session import open_session
from warehouse.lake.maintenance import maintain
from warehouse.lake.schema import open_lake
from warehouse.settings.environment import Settings

_DAY = timedelta(days=1)
#: Columns of the catalog by which maintenance tells how old something is.
_INSTANTS = (
    ("ducklake_snapshot", "snapshot_time"),
    ("ducklake_files_scheduled_for_deletion", "schedule_start"),
)


def live_through(server: RehearsalServer, settings: Settings, days: int, every: timedelta) -> None:
    """Sync a home at simulated intervals, maintain it every night, and print what it holds.

    What maintenance looks at in the catalog is dated back by a day each night, as if that had
    passed. Webhooks come in a file an interval.
    """
    since = server.now
    for day in range(1, days + 1):
        for _ in range(_DAY // every):
            server.advance(every, messages=60, status_changes=60, contacts=2, contact_edits=4)
            server.write_webhooks(settings.webhook_directory, since)
            since = server.now
            with open_session(settings) as session:
                read_service(session, list(STREAMS))
            with open_lake(settings) as lake:
                compute(lake, settings, files=True)
        before = _sizes(settings)
        with open_lake(settings) as lake:
            maintain(lake)
        print(f"day {day}: {before}; after maintenance: {_sizes(settings)}", flush=True)
        _date_back(settings)


def _sizes(settings: Settings) -> str:
    catalog = (settings.home / "catalog.sqlite").stat().st_size
    files, size = measure(settings.home / "lake")
    webhooks, _ = measure(settings.webhook_directory)
    home, _ = measure(settings.home)
    with closing(sqlite3.connect(settings.home / "catalog.sqlite")) as db:
        (snapshots,) = db.execute("SELECT count(*) FROM ducklake_snapshot").fetchone()
    return (
        f"catalog {catalog / 1e6:.1f} MB, lake {size / 1e6:.1f} MB in {files:,} files, "
        f"{snapshots:,} snapshots, other files {home - files - webhooks:,}"
    )


def _date_back(settings: Settings) -> None:
    with closing(sqlite3.connect(settings.home / "catalog.sqlite")) as db, db:
        for table, column in _INSTANTS:
            for rowid, text in db.execute(f"SELECT rowid, {column} FROM {table}").fetchall():
                earlier = datetime.fromisoformat(text) - _DAY
                db.execute(
                    f"UPDATE {table} SET {column} = ? WHERE rowid = ?",
                    [earlier.isoformat(sep=" "), rowid],
                )
