"""The half of a run's sink that is about deletions: evidence, the brake, and marking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import duckdb

from hatif.sink import Missing, Suspects, Weighed
from hatif.streams import Stream
from warehouse.lake.connection import Lake
from warehouse.records import absences, certificates, tombstones


class Evidence:
    """What is known of missing records, and how they are marked deleted, in one run.

    Args:
        lake: open for writing, tables made.
        run_id: noted with the evidence.
    """

    def __init__(self, lake: Lake, run_id: str) -> None:
        self._lake = lake
        self._run_id = run_id
        self._deleted: Counter[str] = Counter()

    def brake(self, stream: Stream, deletions: int, share: float | None) -> None:
        """Raise BrakeHeld for more deletions than the brake allows, see `tombstones.brake`."""
        with self._lake.reading() as connection:
            live = tombstones.count_live(connection, stream.name)
        tombstones.brake(stream.name, live, deletions, share, marked=self._deleted[stream.name])

    def mark_deleted(
        self, stream: Stream, record_ids: Sequence[str], share: float | None
    ) -> dict[str, int]:
        """Mark records deleted, and all their descendants; return how many, by stream.

        Args:
            stream: whose records they are.
            record_ids: proven to be gone.
            share: the brake on the run as a whole, see `tombstones.brake`; None lifts it.

        Raises:
            BrakeHeld: too many; nothing was marked.
        """
        name = stream.name

        def work(connection: duckdb.DuckDBPyConnection) -> tuple[dict[str, int], int]:
            marked = self._deleted[name]
            deleted = tombstones.mark_deleted(connection, name, record_ids, share, marked)
            if stream.own_path is None:
                dead = absences.parents_of(connection, name, record_ids)
                absences.note(connection, name, dead, self._run_id, "deleted")
            return deleted

        deleted, counted = self._lake.write(f"mark deleted {name}", work)
        self._deleted[name] += counted
        return deleted

    def still_missing(self, stream: Stream, missing: Sequence[Missing]) -> list[Missing]:
        """Return those that no other list of the stream has shown meanwhile."""
        with self._lake.reading() as connection:
            return absences.still_missing(connection, stream.name, missing)

    def weigh(self, stream: Stream, missing: Sequence[Missing]) -> Weighed:
        """Weigh the evidence against records, see `absences.weigh`.

        Lists whose evidence waits for a second proof lose their certificates.
        """
        with self._lake.reading() as connection:
            weighed = absences.weigh(connection, stream.name, missing, self._run_id)
        if weighed.wait:
            self._lake.write(
                f"note lists of {stream.name} in doubt",
                lambda c: certificates.withdraw(c, stream.name, weighed.wait, self._run_id),
            )
        return weighed

    def suspects(self, stream: Stream) -> Suspects:
        """Return the living records that are to be fetched from their own addresses."""
        with self._lake.reading() as connection:
            return Suspects(
                absences.held(connection, stream.name), absences.orphans(connection, stream.name)
            )

    def note_absent(
        self, stream: Stream, records: Sequence[Missing], proof: str | None = None
    ) -> None:
        """Keep evidence for later runs, see `absences.note`."""
        self._lake.write(
            f"note what is missing of {stream.name}",
            lambda c: absences.note(c, stream.name, records, self._run_id, proof),
        )

    def keep_count(self, stream: Stream, missing: Sequence[Missing]) -> None:
        """Expect these records to stay stored though their lists lack them."""
        self._lake.write(
            f"keep the count of {stream.name}",
            lambda c: absences.keep_count(c, stream.name, missing),
        )
