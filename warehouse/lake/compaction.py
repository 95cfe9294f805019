"""The steps of maintenance that move rows: out of the catalog into files, of many files into few.

None is taken while another process reads (see `warehouse.lake.readers`): it waits, and is put off
to the next night where that does not end. A step that other writers keep from its commit is put off
too, and the others go on.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import duckdb

from hatif.errors import Busy
from warehouse.errors import Conflict, ReadersPresent
from warehouse.lake import readers
from warehouse.lake.connection import Lake
from warehouse.lake.locks import READERS

#: Small files merged in one transaction.
_FILES_AT_ONCE = 200
#: Files with fewer deleted rows than this share are left as they are.
_DELETED_SHARE = 0.1
_POLL = 0.1  # seconds
_TRIES = 3
#: Between two nights only files below this size are merged, and only where there are many: each
#: merged file stays on the disk for days.
_SMALL, _MANY = 1 << 20, 24
_WITH_MANY_SMALL = f"""
    SELECT s.schema_name, t.table_name FROM __ducklake_metadata_wh.ducklake_data_file f
    JOIN __ducklake_metadata_wh.ducklake_table t ON t.table_id = f.table_id
    JOIN __ducklake_metadata_wh.ducklake_schema s ON s.schema_id = t.schema_id
    WHERE f.end_snapshot IS NULL AND t.end_snapshot IS NULL AND f.file_size_bytes < {_SMALL}
    GROUP BY ALL HAVING count(*) >= {_MANY} ORDER BY ALL
"""

_Step = tuple[str, str, Callable[[], int]]


class Compaction:
    """One run of all steps.

    Args:
        lake: open for writing.
        patience: seconds to wait for other processes to end reading, at each step.

    Attributes:
        counts: rows flushed, files rewritten and files merged.
        put_off: steps that were not taken, with the reason.
        moved: tables of which rows moved, with their schemas.
    """

    def __init__(self, lake: Lake, patience: float) -> None:
        self._lake = lake
        self._patience = patience
        self.counts: Counter[str] = Counter()
        self.put_off: dict[str, str] = {}
        self.moved: set[str] = set()

    def run(self) -> None:
        """Take every step that can be taken.

        Raises:
            WarehouseError: DuckDB refused a step; those before it stay done.
        """
        self._take(self._steps())

    def tidy(self) -> None:
        """Take the steps that are worth it between two nights, while small batches come in.

        Raises:
            WarehouseError: DuckDB refused a step; those before it stay done.
        """
        self._take(self._small_steps())

    def _take(self, steps: Iterator[_Step]) -> None:
        for counted, name, step in steps:
            try:
                self.counts[counted] += self._undisturbed(step)
            except Conflict as error:
                self.put_off[name] = str(error)
            except Busy as error:
                self.put_off |= {name: str(error)} | {later: str(error) for _, later, _ in steps}

    def _undisturbed(self, step: Callable[[], int]) -> int:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                with self._lake.store.locks.exclusive(READERS, "maintenance", wait=False):
                    if readers.others_read(self._lake.catalog.file):
                        raise ReadersPresent
                    return step()
            except Busy:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_POLL)

    def _steps(self) -> Iterator[_Step]:
        """Yield the steps: what each counts, its name, and what it does."""
        yield "rows_flushed", "move rows out of the catalog", self._flush
        for schema, table in self._tables():
            where = f"{schema}.{table}"
            yield (
                "files_rewritten",
                f"rewrite files of {where}",
                partial(self._rewrite, schema, table),
            )
            yield "files_merged", f"merge files of {where}", partial(self._merge, schema, table)

    def _small_steps(self) -> Iterator[_Step]:
        yield "rows_flushed", "move rows out of the catalog", self._flush
        with self._lake.reading() as connection:
            tables = connection.execute(_WITH_MANY_SMALL).fetchall()
        for schema, table in tables:
            merge = partial(self._merge, schema, table, smaller_than=_SMALL)
            yield "files_merged", f"merge files of {schema}.{table}", merge

    def _tables(self) -> list[tuple[str, str]]:
        """Return the tables with files to merge or to write anew."""
        with self._lake.reading() as connection:
            return connection.execute(
                "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'wh' "
                "AND table_name IN (SELECT table_name FROM ducklake_table_info('wh') "
                "WHERE file_count > 1 OR delete_file_count > 0) ORDER BY ALL"
            ).fetchall()

    def _flush(self, schema: str | None = None, table: str | None = None) -> int:
        """Move rows that lie in the catalog, because they came in small numbers, into files."""
        only = f", schema_name => '{schema}', table_name => '{table}'" if table else ""
        call = f"CALL ducklake_flush_inlined_data('wh'{only})"
        return self._write(
            "move rows out of the catalog",
            lambda c: sum(self._noted(*moved) for moved in c.execute(call).fetchall()),
        )

    def _rewrite(self, schema: str, table: str) -> int:
        """Write files with many deleted rows anew; return how many."""
        return self._compact(
            "rewrite",
            f"CALL ducklake_rewrite_data_files('wh', '{table}', schema => '{schema}', "
            f"delete_threshold => {_DELETED_SHARE})",
            schema,
            table,
        )

    def _merge(self, schema: str, table: str, smaller_than: int | None = None) -> int:
        """Merge adjacent small files, a bounded number at a time; return how many."""
        only = f", max_file_size => {smaller_than}" if smaller_than else ""
        call = (
            f"CALL ducklake_merge_adjacent_files('wh', '{table}', schema => '{schema}', "
            f"max_compacted_files => {_FILES_AT_ONCE}{only})"
        )
        total = 0
        while merged := self._compact("merge", call, schema, table):
            total += merged
        return total

    def _compact(self, verb: str, call: str, schema: str, table: str) -> int:
        """Run one compaction of a table; return how many files became part of others.

        Where a sync has left rows in the catalog since the flush, DuckLake 1.0 cannot commit a
        compaction of a table with floating-point columns ("inlined-data aggregates"), however
        often it is tried. These rows are flushed, and it is tried again.
        """
        for attempt in range(_TRIES):
            try:
                return self._write(
                    f"{verb} files of {schema}.{table}",
                    lambda c: sum(
                        self._noted(schema, table, done)
                        for _, _, done, _ in c.execute(call).fetchall()
                    ),
                )
            except Conflict:
                if attempt + 1 == _TRIES:
                    raise
                self.counts["rows_flushed"] += self._flush(schema, table)
        raise AssertionError("the last attempt returns or raises")

    def _noted(self, schema: str, table: str, moved: int) -> int:
        if moved:
            self.moved.add(f"{schema}.{table}")
        return moved

    def _write(self, purpose: str, work: Callable[[duckdb.DuckDBPyConnection], int]) -> int:
        """Run `work` in a transaction that is not committed under the eyes of another reader."""

        def checked(connection: duckdb.DuckDBPyConnection) -> int:
            done = work(connection)
            if done and readers.others_read_beside_us(self._lake.catalog.file):
                raise ReadersPresent
            return done

        return self._lake.write(purpose, checked, moves_rows=True)
