"""Where the webhook files of rejects are now: files are renamed, archived and deleted."""

from __future__ import annotations

from contextlib import suppress

import duckdb

from hatif.errors import BucketUnreachable
from hatif.webhooks.sources import Place, format_of, place_of
from warehouse.lake import schema
from warehouse.lake.connection import Lake
from warehouse.lake.sql import exists, literal
from warehouse.settings.environment import Settings
from warehouse.webhooks.manifest import LATEST, PATH

#: What stands for the place of a file that is no longer in the webhook folder.
GONE = None


def listing(settings: Settings, *, raw: bool, for_people: bool) -> str:
    """Return the statement that lists open rejects, the oldest first.

    Args:
        settings: of the home.
        raw: with the text of each.
        for_people: only what they need, with a file that is gone marked in the location; else
            every column, with ``is_file_gone``.

    Raises:
        HomeError: there is no warehouse yet.
    """
    with Lake(settings, read_only=True, threads=1) as lake:
        connection = lake.reader()
        schema.require_current(connection, settings.home)
        is_any_known = exists(connection, "FROM ops.acknowledgements WHERE withdrawn_at IS NULL")
        moved: dict[str, str | None] = {}
        with suppress(BucketUnreachable):
            moved = changed(connection, place_of(settings.webhook_location))
    places = ", ".join(
        f"({literal(was)}, {'NULL' if now is GONE else literal(now)})" for was, now in moved.items()
    )
    now_at = "if(p.was IS NULL, location, coalesce(p.now_at, location{mark}))"
    location = now_at.format(mark=" || ' (the file is gone)'" if for_people else "")
    columns = "left(r.reject_id, 12) AS id, "
    if for_people:
        columns += f"first_seen_at::DATE AS first_seen, stream, reason, {location} AS location"
        columns += ", acknowledged_by, why" if is_any_known else ""
    else:
        columns += f"first_seen_at, source, stream, reason, {location} AS location, "
        columns += "acknowledged_by, why, p.was IS NOT NULL AND p.now_at IS NULL AS is_file_gone"
    columns += ", raw" if raw else ""
    return (
        f"WITH p(was, now_at) AS (VALUES {places or '(NULL, NULL)'}) "
        f"SELECT {columns} FROM ops.rejects r LEFT JOIN p ON p.was = r.location "
        "LEFT JOIN ops.acknowledgements a "
        "ON a.reject_id = r.reject_id AND a.withdrawn_at IS NULL "
        "WHERE replayed_at IS NULL ORDER BY first_seen_at, r.reject_id"
    )


def changed(connection: duckdb.DuckDBPyConnection, place: Place) -> dict[str, str | None]:
    """Return the locations of open rejects whose files have another path now, or none.

    Args:
        connection: for reading.
        place: the webhook folder or bucket.

    Returns:
        By location as it is stored the present one, `GONE` where the file is gone. Those that are
        still true, and those that name no file, are not among them.

    Raises:
        BucketUnreachable: the files cannot be listed.
    """
    rows = connection.execute(
        f"SELECT DISTINCT location, {PATH}, file_id FROM ops.rejects "
        f"LEFT JOIN ({LATEST}) f ON f.path = {PATH} "
        "WHERE source = 'webhook' AND replayed_at IS NULL"
    ).fetchall()
    rows = [row for row in rows if format_of(row[1])]
    if not rows:
        return {}
    listed = list(place.files())
    paths = {found.path for found in listed}
    by_id = {found.file_id: found.path for found in listed if found.file_id}
    # What lies below a folder that cannot be read may be there.
    hidden = tuple(f"{found.path}/" for found in listed if found.problem)
    return {
        location: by_id[file_id] + location[len(path) :] if file_id in by_id else GONE
        for location, path, file_id in rows
        if not paths & {location, path} and not path.startswith(hidden)
    }
