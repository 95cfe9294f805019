"""Copies of runs in the storage of a local instance of Dagster, and how large it is."""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from contextlib import closing
from datetime import datetime
from pathlib import Path


class Copies:
    """Copies of a run's rows and files in the storage of a local instance."""

    def __init__(self, root: Path) -> None:
        self._runs = root / "history" / "runs"
        self._storage = root / "storage"
        self._index = sqlite3.connect(self._runs / "index.db")
        self._known = sqlite3.connect(root / "history" / "runs.db")
        self._columns = {
            (db, table): ", ".join(
                f'"{name}"'
                for _, name, *_ in db.execute(f"PRAGMA table_info({table})").fetchall()
                if name != "id"
            )
            for db, table in (
                (self._index, "event_logs"),
                (self._index, "asset_check_executions"),
                (self._known, "runs"),
                (self._known, "run_tags"),
            )
        }

    def close(self) -> None:
        """Close the databases."""
        self._index.close()
        self._known.close()

    def copy(self, run_id: str, ended: datetime) -> None:
        """Copy a run as one that ended at an instant."""
        new = str(uuid.uuid4())
        at = ended.replace(tzinfo=None).isoformat(sep=" ")
        for (db, table), columns in self._columns.items():
            values = columns
            for name in ("event", "evaluation_event", "run_body"):
                values = values.replace(f'"{name}"', f'replace("{name}", :old, :new)')
            values = values.replace('"run_id"', ":new")
            for name in ("update_timestamp", "create_timestamp", "timestamp"):
                values = values.replace(f'"{name}"', ":at")
            values = values.replace('"evaluation_event_timestamp"', ":at")
            db.execute(
                f"INSERT INTO {table} ({columns}) SELECT {values} FROM {table} WHERE run_id = :old",
                {"old": run_id, "new": new, "at": at},
            )
            db.commit()
        self._copy_files(run_id, new)

    def copy_events_without_run(self, at: datetime) -> None:
        """Copy what the process of webhooks reports every half hour."""
        columns = self._columns[self._index, "event_logs"]
        values = columns.replace('"run_id"', "''").replace('"timestamp"', ":at")
        newest = "SELECT max(id) FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION'"
        self._index.execute(
            f"INSERT INTO event_logs ({columns}) SELECT {values} FROM event_logs "
            f"WHERE id IN ({newest} GROUP BY asset_key)",
            {"at": at.replace(tzinfo=None).isoformat(sep=" ")},
        )
        self._index.commit()

    def _copy_files(self, run_id: str, new: str) -> None:
        shard = self._runs / f"{new}.db"
        shutil.copy(self._runs / f"{run_id}.db", shard)
        with closing(sqlite3.connect(shard)) as db, db:
            db.execute(
                "UPDATE event_logs SET run_id = ?, event = replace(event, ?, ?)",
                [new, run_id, new],
            )
        if (self._storage / run_id).is_dir():
            shutil.copytree(self._storage / run_id, self._storage / new)

    def counts(self) -> str:
        """Return how many rows there are, in words."""
        (runs,) = self._known.execute("SELECT count(*) FROM runs").fetchone()
        (events,) = self._index.execute("SELECT count(*) FROM event_logs").fetchone()
        (results,) = self._index.execute("SELECT count(*) FROM asset_check_executions").fetchone()
        return f"{runs:,} runs, {events:,} events in the index, {results:,} results of checks"


def measure(folder: Path) -> tuple[int, int]:
    """Return how many files a folder holds, and their bytes."""
    files = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return len(files), sum(files)
