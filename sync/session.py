"""One run's shared things: lock, budget, client, lake. What every asset of a run is handed.

Here the service and the store meet; Dagster is not needed to use it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import duckdb
from anyio.from_thread import BlockingPortal, start_blocking_portal

from hatif.budget import Budget, Journal
from hatif.client import HatifClient
from hatif.deletions import settle
from hatif.errors import (
    AuthenticationFailed,
    BrakeHeld,
    ClockChanged,
    EndpointUnavailable,
    ForeignRecords,
    HatifError,
    HomeError,
    ListsFailed,
    RequestLimitReached,
)
from hatif.known_keys import DOCUMENTED
from hatif.pause import PauseFile
from hatif.progress import Progress, Quiet, StreamResult
from hatif.retry import RetryPolicy
from hatif.sender import Meter
from hatif.spelling import Spelling
from hatif.stream_reader import StreamReader
from hatif.streams import STREAMS, Stream, keys_of_streams
from hatif.targets import FixedPlan
from sync.recovery import fetch_passed_over
from warehouse import acknowledgements
from warehouse.lake.connection import Lake
from warehouse.lake.locks import exclusive
from warehouse.lake.schema import open_lake
from warehouse.models.model import wire_keys
from warehouse.queue import runs
from warehouse.queue.plan import ReadPolicy, WorkPlan, is_read_on_change
from warehouse.queue.reread import RereadRequest, request_reread
from warehouse.records import drift, workspace
from warehouse.records.loader import Loader
from warehouse.settings.environment import Settings
from warehouse.settings.intervals import interval_of, parse_intervals

#: An endpoint that the service does not offer is tried again after so long.
_RETRY_UNAVAILABLE_AFTER = timedelta(hours=24)
#: What a changed service stops a stream with, by the kind of drift it is.
_DRIFT: tuple[tuple[type[HatifError], str], ...] = (
    (ClockChanged, "clock"),
    (ForeignRecords, "ids"),
)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a run was asked for.

    Attributes:
        full: read everything and reconcile; else only what is due.
        deep: let lists that are read on a sign also take their turns to be read in full.
        accept_deletes: lift the brake on deletions.
        again: read this again, in full, and nothing else.
        max_requests: HTTP attempts the run may make, None for any number.
        step_retries: how often a stream whose error may pass is tried again by its runner.
        wait: wait for another run to end; False = give up.
        waiting: called with the holder waited for.
        retry: how patient to be with the service.
    """

    full: bool = False
    deep: bool = True
    accept_deletes: bool = False
    again: RereadRequest | None = None
    max_requests: int | None = None
    step_retries: int = 0
    wait: bool = True
    waiting: Callable[[str], None] | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)


class Session:
    """An open run; made by `open_session`."""

    def __init__(
        self,
        settings: Settings,
        options: RunOptions,
        progress: Progress,
        portal: BlockingPortal,
        client: HatifClient,
        lake: Lake,
    ) -> None:
        self.run_id = str(uuid.uuid4())
        self.lake = lake
        self.client = client
        self.results: dict[str, StreamResult] = {}
        self._settings = settings
        self._options = options
        self._progress = progress
        self._portal = portal
        self._fatal: HatifError | None = None
        self._full_round = runs.open_round(lake) if options.full else None
        self._unsettled = timedelta(hours=settings.unsettled_hours)
        self._intervals = parse_intervals(settings.intervals)
        self._loader = Loader(
            lake, self.run_id, unsettled=self._unsettled, full_round=self._full_round
        )
        self._spelling = Spelling(wire_keys() | keys_of_streams(), DOCUMENTED)

    @property
    def mode(self) -> str:
        """What the run is called in ``ops.runs``: full or incremental."""
        return "full" if self._options.full else "incremental"

    @property
    def step_retries(self) -> int:
        """How often a stream whose error may pass is tried again by its runner."""
        return self._options.step_retries

    @property
    def requests(self) -> int:
        """HTTP attempts of this run so far, tokens included."""
        return self.client.budget.used

    def sync(self, name: str) -> StreamResult:
        """Read what is due of one stream, store what changed, settle what is gone.

        Returns:
            The result; its status is `stopped` when the run's requests are used up.

        Raises:
            HatifError: the stream failed; its result is in `results`, what was read is stored.
        """
        if self._fatal is not None:
            self.results[name] = StreamResult(name, status="failed", message=str(self._fatal))
            raise self._fatal
        task = self._portal.start_task_soon(self._sync, STREAMS[name])
        try:
            return task.result()
        except BaseException:
            task.cancel()  # Ctrl-C ends the wait for the task, not the task
            raise

    async def _sync(self, stream: Stream) -> StreamResult:
        began = time.monotonic()
        reader = StreamReader(
            self.client,
            stream,
            self._loader,
            spelling=self._spelling,
            progress=self._progress,
            clock=self.client.clock,
            tasks=self._settings.max_concurrency,
            parents_seen=self._was_read(stream.parent),
        )
        result = self.results[stream.name] = reader.reading.result
        try:
            if not self._is_missing(stream, result):
                await self._read_and_settle(stream, reader)
                result.status = "unproven" if result.unproven else "done"
                self._note_end(stream)
        except RequestLimitReached as limit:
            result.status, result.message = "stopped", str(limit)
        except HatifError as error:
            result.status, result.message = "failed", str(error)
            if isinstance(error, (AuthenticationFailed, HomeError)):
                self._fatal = error  # no stream can fare better
            self._note_end(stream, error)
            raise
        except BaseException as error:
            # Ctrl-C, or a defect of ours: whatever it is, the stream was not read to its end.
            result.status = "failed"
            result.message = f"{stream.name}: ended early ({type(error).__name__})"
            raise
        finally:
            result.acknowledged = self._acknowledged(reader.rejected_ids)
            result.seconds = round(time.monotonic() - began, 3)
            self._progress.finished(result)
        return result

    def _acknowledged(self, reject_ids: frozenset[str]) -> int:
        if not reject_ids:
            return 0
        with self.lake.reading() as connection:
            return acknowledgements.count(connection, sorted(reject_ids))

    async def _read_and_settle(self, stream: Stream, reader: StreamReader) -> None:
        """Read what is due; lists that failed are no reason not to settle the others."""
        failed: ListsFailed | None = None
        result = reader.reading.result
        with WorkPlan(self.lake, stream.name, self._terms(stream)) as plan:
            try:
                await reader.read(plan)
            except ListsFailed as error:
                failed = error
            finally:
                result.backlog = max(0, plan.count - result.scans)
        if reader.reading.passed_over:
            await self._fetch_passed_over(stream, reader)
        failed = await self._read_disagreeing(reader) or failed
        try:
            await settle(
                self.client,
                stream,
                reader,
                self._loader,
                share=None if self._options.accept_deletes else self._settings.delete_share,
                tasks=self._settings.max_concurrency,
            )
        except (BrakeHeld, ListsFailed) as unsettled:
            if failed is None:
                raise
            raise ListsFailed(
                f"{failed} {unsettled}",
                transient=failed.transient or unsettled.transient,
                others_read=failed.others_read,
            ) from None
        if failed is not None:
            raise failed

    async def _read_disagreeing(self, reader: StreamReader) -> ListsFailed | None:
        """Read lists in full whose count is not what is stored; return the error of some."""
        failed: ListsFailed | None = None
        while reader.reading.disagreeing:
            disagreeing, reader.reading.disagreeing = reader.reading.disagreeing, []
            try:
                await reader.read(FixedPlan(disagreeing), again=True)
            except ListsFailed as error:
                failed = error
        return failed

    async def _fetch_passed_over(self, stream: Stream, reader: StreamReader) -> None:
        meter, result = Meter(), reader.reading.result
        try:
            result.rows_changed += await fetch_passed_over(
                self.client,
                stream,
                self.lake,
                self._loader,
                self._spelling,
                reader.reading,
                meter,
            )
        finally:
            result.requests += meter.requests

    def _terms(self, stream: Stream) -> ReadPolicy:
        interval = interval_of(stream.name, self._intervals)
        return ReadPolicy(
            now=self.client.clock.now(),
            interval=interval if self._options.deep or not is_read_on_change(stream.name) else None,
            unsettled=self._unsettled,
            full_round=self._full_round,
            only_requested=self._options.again is not None,
        )

    def _was_read(self, stream: str | None) -> bool:
        return stream in self.results and self.results[stream].status == "done"

    def _is_missing(self, stream: Stream, result: StreamResult) -> bool:
        """Whether the service was found not to offer the stream, too lately to ask again."""
        if self._full_round is not None:
            return False
        since = runs.stream_state(self.lake, stream.name).get("unavailable_since")
        if since is None:
            return False
        age = datetime.now(UTC) - datetime.fromisoformat(since)
        if abs(age) > _RETRY_UNAVAILABLE_AFTER:  # also of a clock that was set back since
            return False
        result.status = "unavailable"
        result.message = (
            f"{stream.name}: the service did not offer it when last asked ({since[:16]} UTC); it "
            "is asked again a day later, or with --full"
        )
        return True

    def _note_end(self, stream: Stream, error: HatifError | None = None) -> None:
        """Note how a stream ended, where the next run or a check wants to know."""
        now = datetime.now(UTC)
        kind = next((kind for cause, kind in _DRIFT if isinstance(error, cause)), None)

        def work(connection: duckdb.DuckDBPyConnection) -> None:
            if error is None:
                runs.note_stream(connection, stream.name, {"synced_at": now})
                drift.forget(connection, stream.name, drift.STOPS)
            elif isinstance(error, EndpointUnavailable):
                runs.note_stream(connection, stream.name, {"unavailable_since": now})
            elif kind is not None:
                what = str(error).partition(". ")[0]
                drift.note(connection, stream.name, kind, [(what, None)])

        self.lake.write(f"note how {stream.name} ended", work)

    def status(self) -> str:
        """How the run as a whole went: done, stopped or failed."""
        statuses = {result.status for result in self.results.values()}
        if statuses & {"failed", "unproven"}:
            return "failed"
        return "stopped" if "stopped" in statuses else "done"


@contextmanager
def open_session(
    settings: Settings,
    options: RunOptions | None = None,
    progress: Progress | None = None,
    lake: Lake | None = None,
) -> Iterator[Session]:
    """Open a run: one at a time in a home, since whatever calls the service shares one budget.

    Args:
        settings: of the home.
        options: how the run was asked for.
        progress: whom to tell.
        lake: the home's, if this process has it open already; it must not be opened twice.

    Raises:
        SettingsError: credentials are missing.
        HomeError: the home cannot be used.
        Busy: another run is under way and `options.wait` is False.
    """
    options = options or RunOptions()
    settings.credentials()
    with nullcontext(lake) if lake is not None else open_lake(settings) as lake:
        lock = exclusive(
            settings.home / "api.lock", "sync", wait=options.wait, waiting=options.waiting
        )
        with (
            lock,
            open_budget(settings, options.max_requests) as budget,
            start_blocking_portal() as portal,
        ):
            _bind(lake, settings)
            if options.again is not None:
                request_reread(lake, options.again, settings.timezone)
            with lake.reading() as connection:
                clock = runs.clock(connection)
            client = HatifClient(settings, budget, retry=options.retry, clock=clock)
            with portal.wrap_async_context_manager(client):
                _sign_in(portal, client, lake, "full" if options.full else "incremental")
                session = Session(settings, options, progress or Quiet(), portal, client, lake)
                yield from _recorded(session)


def _sign_in(portal: BlockingPortal, client: HatifClient, lake: Lake, mode: str) -> None:
    """Sign in; a run that cannot is in ``ops.runs`` like any other that failed."""
    try:
        portal.call(client.sign_in)
    except HatifError as error:
        run_id = str(uuid.uuid4())
        runs.begin(lake, run_id, mode)
        requests = client.budget.used
        runs.end(lake, run_id, requests=requests, status="failed", error=str(error))
        raise


def _bind(lake: Lake, settings: Settings) -> None:
    """See that the home is this workspace's."""
    client_id, _ = settings.credentials()
    lake.write("bind the home", lambda connection: workspace.bind_client(connection, client_id))


def _recorded(session: Session) -> Iterator[Session]:
    """Yield the session between its two entries in ``ops.runs``."""
    runs.begin(session.lake, session.run_id, session.mode)
    error: str | None = None
    status = "failed"
    try:
        yield session
        status = session.status()
    except KeyboardInterrupt:
        status, error = "interrupted", "Ctrl-C"
        raise
    except BaseException as failure:
        error = str(failure) if isinstance(failure, HatifError) else type(failure).__name__
        raise
    finally:
        # What stops one stream often stops all, in the same words.
        messages = dict.fromkeys(r.message for r in session.results.values() if r.message)
        runs.keep_clock(session.lake, session.client.clock.reading())
        runs.end(
            session.lake,
            session.run_id,
            requests=session.requests,
            status=status,
            error=error or ("; ".join(messages) or None),
        )


@contextmanager
def open_budget(settings: Settings, at_most: int | None) -> Iterator[Budget]:
    """Open the home's request budget; the caller holds ``api.lock``.

    Args:
        settings: of the home.
        at_most: requests that may be made, None for any number.

    Raises:
        HomeError: the journal of requests cannot be used.
    """
    per_minute = settings.requests_per_minute
    journal = Journal(settings.home / "requests.ring", per_minute) if per_minute else None
    try:
        pause = PauseFile(settings.home / "retry_after.json")
        yield Budget(per_minute, at_most=at_most, journal=journal, pause_file=pause)
    finally:
        if journal is not None:
            journal.close()
