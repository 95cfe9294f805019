"""Do a catalog on a server and a lake in a bucket let us do all that a sync needs? It is tried."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta

from hatif.errors import Busy, HomeError
from hatif.findings import Finding
from warehouse.lake import removal
from warehouse.lake.bucket import Bucket
from warehouse.lake.locks import WRITE
from warehouse.lake.store import Store
from warehouse.settings.environment import Settings

_PROBE_NAME = ".hatif-probe-"
#: A trial takes seconds; whatever is older is not under way.
_LONGEST = timedelta(hours=1)
_PROBE = b"written by hatif doctor, which removes it at once\n"


def findings(settings: Settings) -> list[Finding]:
    """Try the database and the bucket that settings name; nothing where they name files.

    Raises:
        HomeError: HATIF_CATALOG names no catalog.
    """
    store = Store.of(settings)
    found = [] if store.catalog.file is not None else _database(store)
    bucket = store.catalog.bucket
    return [*found, *([] if bucket is None else _bucket(bucket))]


def _database(store: Store) -> list[Finding]:
    """Sign in, make a table that is rolled back, take a lock and let go of it."""
    from warehouse.lake.database_locks import DatabaseLocks

    database, locks = store.catalog.database, store.locks
    if database is None or not isinstance(locks, DatabaseLocks):
        return []
    try:
        version = database.try_out()
        found = [Finding("database", "ok", f"{database.name}: PostgreSQL {version}")]
        found += _limits(database.limits())
    except HomeError as error:
        return [Finding("database", "failed", str(error), "See docs/cluster.md")]
    try:
        with closing(locks), locks.exclusive(WRITE, "doctor", wait=False):
            locks.require()
        found.append(Finding("locks", "ok", "a lock can be taken and freed"))
    except Busy as error:
        found.append(Finding("locks", "ok", str(error)))
    except HomeError as error:
        advice = "A pooler must keep its sessions: docs/cluster.md"
        found.append(Finding("locks", "failed", str(error), advice))
    return found


def _limits(limits: Mapping[str, str]) -> list[Finding]:
    """Warn of time limits of the server: a sync reads from the service amid a transaction."""
    if not limits:
        return []
    listed = ", ".join(f"{name} = {value}" for name, value in limits.items())
    advice = "Set them to 0 for this user: ALTER ROLE … SET … = 0"
    return [Finding("database limits", "warning", f"what takes longer is ended: {listed}", advice)]


def _bucket(bucket: Bucket) -> list[Finding]:
    """List the bucket; write, read and remove an object, which is left there in no case."""
    advice = "See docs/cluster.md"
    try:
        removal.remove(bucket, _forgotten(bucket))
        content, is_left = _try_out(bucket, f"{_PROBE_NAME}{uuid.uuid4().hex}")
    except HomeError as error:
        return [Finding("bucket", "failed", str(error), advice)]
    if is_left:
        text = f"{bucket.address}: the object that was written on trial is there after its removal"
        advice = (
            "Give the credentials the right to delete objects (s3:DeleteObject), and run it again"
        )
        return [Finding("bucket", "failed", text, advice)]
    if content != _PROBE:
        text = f"{bucket.address} does not give back what was just written"
        advice = "Its service must be consistent: what was written is seen at once"
        return [Finding("bucket", "failed", text, advice)]
    text = f"{bucket.address}: an object was written, read and removed"
    return [Finding("bucket", "ok", text)]


def _try_out(bucket: Bucket, name: str) -> tuple[bytes | None, bool]:
    """Return what was read of an object that was written, and whether it cannot be removed.

    Raises:
        HomeError: the bucket refuses; the first refusal.
    """
    try:
        bucket.write(name, _PROBE)
        content = bucket.read(name)
    except BaseException:
        # Also one whose answer was lost may be there. The first refusal says what is wrong.
        with suppress(HomeError):
            removal.remove(bucket, [name])
        raise
    removal.remove(bucket, [name])
    return content, bucket.read(name) is not None


def _forgotten(bucket: Bucket) -> list[str]:
    """Return the objects of trials that were killed."""
    before = datetime.now(UTC) - _LONGEST
    return [name for name in bucket.names(before) if name.startswith(_PROBE_NAME)]
