"""The steps of a sync, one after the other, in this process: what Dagster's jobs do, without it.

Dagster takes two seconds to load and to plan sixty steps; a command that keeps no record of its run
need not wait for that. The steps and checks are the functions that the assets call.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import duckdb

from hatif.errors import HatifError, StreamError
from hatif.reading import StreamResult
from hatif.streams import STREAMS
from hatif.webhooks.sources import Found, place_of
from sync import checks, stream_checks
from sync.check import CheckResult
from sync.session import Session
from warehouse.lake.connection import Lake
from warehouse.lake.explain import step_failure
from warehouse.lake.known_ids import KnownIds
from warehouse.lake.staging import NotJoined
from warehouse.marts import refresh
from warehouse.merge.messages import merge
from warehouse.settings.environment import Settings
from warehouse.webhooks.ingest import ingest, reading_files

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Computed:
    """What came of webhook files, messages, calls and marts.

    Attributes:
        broken: steps that failed and checks that did, a sentence each.
        deliveries: newly accepted.
        rejects: deliveries and files set aside.
        computed: what was computed of each mart.
        results: of the checks that were made.
        left: webhook files that were not read to their end, and how many bytes of them were; 0 =
            not looked into.
    """

    broken: list[str] = field(default_factory=list)
    deliveries: int = 0
    rejects: int = 0
    computed: dict[str, refresh.Refreshed] = field(default_factory=dict)
    results: list[CheckResult] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)

    def keep(self, results: Iterable[CheckResult]) -> None:
        """Keep results of checks; a sentence for each that failed."""
        found = list(results)
        self.results += found
        self.broken += _failures(found)


class _StepFailed(Exception):
    """Ends the steps that follow from one that failed."""


def read_service(
    session: Session, streams: Sequence[str]
) -> tuple[dict[str, StreamResult], list[str]]:
    """Read streams; one that fails keeps waiting only what hangs on it.

    Args:
        session: an open run.
        streams: names, in the order of `STREAMS`, parents first.

    Returns:
        The result of each, `skipped` where its parent failed; and which checks of them failed.
    """
    results: dict[str, StreamResult] = {}
    without_children: set[str] = set()
    broken: list[str] = []
    for name in streams:
        if STREAMS[name].parent in without_children:
            results[name] = StreamResult(name, status="skipped")
            without_children.add(name)
            continue
        if not _read(session, name):
            without_children.add(name)
        results[name] = session.results[name]
    read = [name for name in streams if name not in without_children]
    # The result of a stream that is not done has its reason already.
    reported = {name for name, one in results.items() if one.status != "done"}
    for found in _checked(session.lake, read, broken):
        broken += _failures(found, reported)
    return results, broken


def _checked(
    lake: Lake, streams: Sequence[str], broken: list[str]
) -> Iterator[Sequence[CheckResult]]:
    """Yield the results of streams' checks; of each alone where one of them cannot be made."""
    if not streams:
        return
    try:
        yield from stream_checks.results_of_streams(lake, streams).values()
    except Exception:  # noqa: BLE001 - what keeps one from being made is found below
        for name in streams:
            with suppress(_StepFailed), _step(f"{name}_checks", broken):
                yield [
                    stream_checks.drift_result(lake, name),
                    *stream_checks.stream_results(lake, name),
                ]


def _read(session: Session, stream: str) -> bool:
    """Read a stream, whose result shows how it went; return whether its children can be read."""
    try:
        session.sync(stream)
    except HatifError as error:
        return isinstance(error, StreamError) and error.others_read
    except Exception:  # noqa: BLE001 - a defect in one stream is no reason to leave the others
        _log.debug("%s: failed", stream, exc_info=True)
        return False
    return True


#: The parts of `compute`, in their order.
FILES, MERGED, MARTS = "webhook files", "messages and calls", "marts"


def stages(*, files: bool) -> list[str]:
    """Return the names of the parts of computing."""
    return [FILES, MERGED, MARTS] if files else [MERGED, MARTS]


def no_stages(name: str) -> None:
    """Listen to no stage."""


def compute(
    lake: Lake,
    settings: Settings,
    *,
    files: bool,
    stage: Callable[[str], None] = no_stages,
    found: Iterable[Found] | None = None,
    at_most: int | None = None,
    check_all: bool = True,
    is_locked: bool = False,
) -> Computed:
    """Bring messages, calls and marts up to what is stored; read webhook files first if `files`.

    A step that fails ends those that follow from it.

    Args:
        lake: open for writing.
        settings: of the home.
        files: whether webhook files are read first.
        stage: called with the name of each part that begins.
        found: the files that may be new; None = all there are.
        at_most: so many bytes of deliveries are read of them, as of `ingest`.
        check_all: make all checks; else only the one that keeps a doubled row out of the marts,
            of the conversations that are computed.
        is_locked: the caller holds the lock of those who read webhook files.
    """
    done = Computed()
    with suppress(_StepFailed):
        if files:
            stage(FILES)
            with _step("webhook_events", done.broken):
                place = place_of(settings.webhook_location)
                read = ingest(
                    lake,
                    place,
                    settings.secrets,
                    found=found,
                    at_most=at_most,
                    is_locked=is_locked,
                )
                done.deliveries, done.rejects, done.left = read.new, read.rejected, read.left
            if check_all:
                with suppress(_StepFailed), _step("webhook_checks", done.broken):
                    done.keep(checks.webhook_results(lake, settings))
        stage(MERGED)
        with _step("merged", done.broken):
            merge(lake)
        with _step("merged_checks", done.broken):
            results = checks.merged_results(lake) if check_all else checks.marked_results(lake)
        done.keep(results)
        blocking = {check.key for check in checks.checks_of_merged() if check.blocks}
        if any(result.is_error and result.key in blocking for result in results):
            return done
        stage(MARTS)
        with _step("marts", done.broken):
            done.computed = refresh.refresh(lake, settings)
        if check_all:
            with _step("mart_checks", done.broken):
                done.keep(checks.mart_results(lake))
    return done


def compute_joined(
    lake: Lake, settings: Settings, found: Iterable[Found], known: KnownIds, at_most: int
) -> Computed | None:
    """Do what `compute` does for few deliveries in one transaction: a third of the work.

    Args:
        lake: open for writing.
        settings: of the home.
        found: the webhook files that may be new.
        known: the ids that this process remembers.
        at_most: so many bytes of deliveries are read, as of `ingest`.

    Returns:
        None where something was refused or failed: nothing was kept, and `compute` is to be called,
        which sets aside what is refused and keeps the rest.
    """
    try:
        with lake.snapshot() as connection:
            known.prepare(connection)
        with (
            reading_files(lake),
            lake.joined("work webhooks off") as connection,
            known.used(connection),
        ):
            done = compute(
                lake,
                settings,
                files=True,
                found=found,
                at_most=at_most,
                check_all=False,
                is_locked=True,
            )
            _require_success(done)
    except (NotJoined, duckdb.Error):
        _log.debug("the pass is made in several transactions", exc_info=True)
        return None
    with suppress(duckdb.Error):  # nothing is remembered then
        known.keep(connection)
    return done


def _require_success(done: Computed) -> None:
    """See that nothing failed.

    Raises:
        NotJoined: something did.
    """
    if done.broken:
        raise NotJoined


def _failures(results: Iterable[CheckResult], reported: Iterable[str] = ()) -> list[str]:
    """Return a sentence for each failed check, without those of tables named in `reported`."""
    return [
        f"{result.table[1]}: the check {result.name} failed"
        for result in results
        if result.is_error and result.table[1] not in reported
    ]


@contextmanager
def _step(name: str, broken: list[str]) -> Iterator[None]:
    """Note in `broken` why a step failed.

    Raises:
        _StepFailed: it did.
    """
    try:
        yield
    except HatifError as error:
        why = str(error)
    except NotJoined:
        raise
    except (duckdb.Error, OSError) as error:
        why = step_failure(error)
    except Exception as error:  # noqa: BLE001 - a defect: its words may hold data
        _log.debug("%s: failed", name, exc_info=True)
        why = f"the step failed ({type(error).__name__})"
    else:
        return
    broken.append(f"{name}: {why}")
    raise _StepFailed
