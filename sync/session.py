"""One run: its lock, budget, client and lake, opened and closed, and its streams one by one.

Here the service and the store meet; Dagster is not needed to use it. How one stream is read, stored
and settled: `sync.stream_sync`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timedelta

from anyio.from_thread import BlockingPortal, start_blocking_portal

from hatif.budget import LONGEST_WAIT, Budget, Journal, PauseFile
from hatif.client import HatifClient
from hatif.errors import AuthenticationFailed, HatifError, HomeError
from hatif.known_keys import DOCUMENTED
from hatif.reading import Progress, Quiet, StreamResult
from hatif.sender import RetryPolicy
from hatif.streams import STREAMS, Stream, keys_of_streams
from hatif.wire import Spelling
from sync.ends import StreamEnds
from sync.outage import Outage, first_refusal
from sync.stream_sync import RunContext, StreamSync
from warehouse.lake.connection import Lake
from warehouse.lake.locks import API, FileLocks, Locks
from warehouse.lake.schema import open_lake
from warehouse.models.model import wire_keys
from warehouse.queue import runs
from warehouse.queue.plan import reasons
from warehouse.queue.reread import RereadRequest, request_reread
from warehouse.queue.states import State
from warehouse.records import workspace
from warehouse.records.absences import Absences
from warehouse.records.loader import Loader
from warehouse.settings.environment import Settings
from warehouse.settings.values import parse_intervals


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a run is to do.

    Attributes:
        full: read everything and reconcile; else only what is due.
        deep: let lists that are read on change also take their turns to be read in full.
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
        self._options = options
        self._portal = portal
        self._fatal: HatifError | None = None
        self._current: StreamSync | None = None
        self._outage = Outage()
        full_round = runs.open_round(lake) if options.full else None
        self._context = RunContext(
            settings=settings,
            client=client,
            lake=lake,
            loader=Loader(
                lake,
                self.run_id,
                unsettled=timedelta(hours=settings.unsettled_hours),
                full_round=full_round,
            ),
            absences=Absences(lake, self.run_id),
            ends=StreamEnds(lake),
            spelling=Spelling(wire_keys() | keys_of_streams(), DOCUMENTED),
            progress=progress,
            full_round=full_round,
            deep=options.deep,
            only_requested=options.again is not None,
            intervals=parse_intervals(settings.intervals),
            delete_share=None if options.accept_deletes else settings.delete_share,
        )

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

    @property
    def is_in_doubt(self) -> bool:
        """Whether the last stream failed for a reason that could stop any other."""
        return self._outage.error is not None

    def outage(self) -> HatifError | None:
        """Return what would stop any stream, where the run has ended in that; call it at the end.

        Where the reason can be of one address alone, another list is asked for, once.
        """
        error = self._outage.error
        if error is None or error is self._fatal or self._outage.is_confirmed:
            return error
        others = self._outage.others
        if others and self._portal.call(first_refusal, self.client, others) is None:
            self._outage.note_read()
        else:
            self._outage.is_confirmed = True
        return self._outage.error

    @property
    def unnoted(self) -> Mapping[str, State]:
        """How streams stand that ended well, where that is not noted yet."""
        return self._context.ends.waiting

    @property
    def requests_left(self) -> int | None:
        """HTTP attempts that the run may still make, None for any number."""
        most = self._options.max_requests
        return None if most is None else max(0, most - self.requests)

    def lists_due(self, stream: str) -> int:
        """Return how many lists of a stream are due by what is stored now."""
        with self.lake.reading() as connection:
            return sum(reasons(connection, stream, self._context.policy(stream)).values())

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
            if not task.done():  # Ctrl-C ends the wait for the task, not the task
                self._interrupt(task)
            raise

    def _interrupt(self, task: Future[StreamResult]) -> None:
        """End the stream under way; what it has received is stored first."""
        current = self._current
        if current is None or not self._portal.call(current.interrupt):
            task.cancel()
        with suppress(HatifError, CancelledError):
            task.result()

    async def _sync(self, stream: Stream) -> StreamResult:
        parents = self.results.get(stream.parent or "")
        one = StreamSync(
            self._context, stream, parents_seen=parents is not None and parents.status == "done"
        )
        self.results[stream.name] = one.result
        self._current = one
        try:
            result = await one.run()
        except HatifError as error:
            self._outage.note_failed(stream.name, error)
            if isinstance(error, (AuthenticationFailed, HomeError)):
                self._fatal = error  # no stream can fare better
            raise
        if result.requests:
            self._outage.note_read()
        return result

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
    """Open a run: one at a time on a catalog, since all that call the service share one budget.

    Args:
        settings: of the home.
        options: what the run is to do.
        progress: the listener for progress.
        lake: the home's, if this process has it open already; it must not be opened twice.

    Raises:
        SettingsError: credentials are missing.
        HomeError: the home cannot be used.
        Busy: another run is under way and `options.wait` is False.
    """
    options = options or RunOptions()
    settings.credentials()
    with nullcontext(lake) if lake is not None else open_lake(settings) as lake:
        locks = lake.store.locks
        lock = locks.exclusive(API, "sync", wait=options.wait, waiting=options.waiting)
        with (
            lock,
            open_budget(locks, settings.requests_per_minute, options.max_requests) as budget,
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
        runs.end(lake, run_id, requests=requests, status="failed", error=str(error), outage=error)
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
        runs.end(
            session.lake,
            session.run_id,
            requests=session.requests,
            status=status,
            error=error or ("; ".join(messages) or None),
            outage=None if status == "interrupted" else session.outage(),
            clock=session.client.clock.reading(),
            states=session.unnoted,
        )


@contextmanager
def open_budget(locks: Locks, per_minute: int, at_most: int | None) -> Iterator[Budget]:
    """Open the request budget of a workspace; the caller holds ``api.lock``.

    Args:
        locks: of its catalog; the budget is spent wherever these are taken.
        per_minute: requests that all runs together may send a minute; 0 = no limit.
        at_most: requests that may be made, None for any number.

    Raises:
        HomeError: the journal of requests cannot be used.
    """
    if not isinstance(locks, FileLocks):
        yield _shared_budget(locks, per_minute, at_most)
        return
    journal = Journal(locks.path("requests.ring"), per_minute) if per_minute else None
    try:
        pause = PauseFile(locks.path("retry_after.json"))
        yield Budget(per_minute, at_most=at_most, journal=journal, pause_file=pause)
    finally:
        if journal is not None:
            journal.close()


def _shared_budget(locks: Locks, per_minute: int, at_most: int | None) -> Budget:
    from warehouse.lake.database_budget import DatabaseJournal, DatabasePause
    from warehouse.lake.database_locks import DatabaseLocks

    assert isinstance(locks, DatabaseLocks)  # noqa: S101 - there is no third kind
    journal = DatabaseJournal(locks) if per_minute else None
    pause = DatabasePause(locks, LONGEST_WAIT)
    return Budget(per_minute, at_most=at_most, journal=journal, pause_file=pause)
