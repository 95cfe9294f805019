"""Removing objects of a bucket as DuckLake does, by requests that delete up to 1,000 at once.

pyarrow puts an empty object in the place of a folder whose last object it removed (tried: 26), so
DuckDB removes them: as files that a catalog in memory has out of use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import duckdb

from hatif.errors import HomeError
from warehouse.errors import StoreUnavailable
from warehouse.lake.catalog import config_for, load_extension
from warehouse.lake.explain import explanation
from warehouse.lake.sql import literal

if TYPE_CHECKING:
    from warehouse.lake.bucket import Bucket  # which loads pyarrow.fs

_SCHEDULED = "__ducklake_metadata_removal.ducklake_files_scheduled_for_deletion"


def remove(bucket: Bucket, paths: Sequence[str]) -> None:
    """Remove objects below a bucket's prefix; one that is not there is no error.

    Args:
        bucket: with the prefix.
        paths: below it.

    Raises:
        HomeError: the bucket refuses.
    """
    if not paths:
        return
    extensions = ("ducklake", *bucket.extensions)
    with duckdb.connect(config={**config_for(extensions)}) as connection:
        try:
            for extension in extensions:
                load_extension(connection, extension)
            connection.execute("SET allow_persistent_secrets = false")
            connection.execute(bucket.secret())
            place = literal(f"{bucket.address}/")
            connection.execute(f"ATTACH 'ducklake::memory:' AS removal (DATA_PATH {place})")
            connection.execute(
                f"INSERT INTO {_SCHEDULED} BY NAME SELECT row_number() OVER () AS data_file_id, "
                "path, true AS path_is_relative, now() AS schedule_start FROM (SELECT unnest(?))"
                " t(path)",
                [list(paths)],
            )
            connection.execute("CALL ducklake_cleanup_old_files('removal', cleanup_all => true)")
        except duckdb.Error as error:
            found = explanation(error)
            kind = StoreUnavailable if found.passes else HomeError
            raise kind(f"HATIF_LAKE: cannot remove from {bucket.address}: {found.text}") from None
