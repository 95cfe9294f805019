"""A part's rows as a file: written in full while the lake is open, and sent after that."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import IO

import anyio
import duckdb
from starlette.responses import StreamingResponse

from page import rows, spreadsheets
from page.lake_reader import LakeReader
from page.statements import Statement

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_CHUNK = 1 << 18


def write(
    reader: LakeReader,
    asked: Statement,
    labels: Sequence[str],
    *,
    form: str,
    timezone: str,
    right_to_left: bool,
) -> IO[bytes]:
    """Return a file without a name that holds the rows, open at its beginning."""
    with tempfile.TemporaryDirectory(prefix="hatif-page-") as folder:
        file = Path(folder) / f"rows.{form}"

        def work(connection: duckdb.DuckDBPyConnection, _: int) -> None:
            found = rows.all_rows(connection, asked)
            if form == "csv":
                spreadsheets.write_csv(file, labels, found, timezone)
            else:
                spreadsheets.write_xlsx(file, labels, found, timezone, right_to_left=right_to_left)

        reader.read(work)
        return file.open("rb")


class Download(StreamingResponse):
    """A file to keep; its name holds nothing but what we chose."""

    def __init__(self, content: IO[bytes], media_type: str, name: str) -> None:
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        super().__init__(_chunks(content), media_type=media_type, headers=headers)


async def _chunks(content: IO[bytes]) -> AsyncIterator[bytes]:
    try:
        while chunk := await anyio.to_thread.run_sync(content.read, _CHUNK):
            yield chunk
    finally:
        content.close()
