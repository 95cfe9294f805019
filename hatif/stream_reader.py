"""Reads one stream, all its lists, into a sink: concurrency, batches, what to do when one fails.

A stream's lists (one, or one a parent) are scanned by a few tasks at once; their pages flow into
batches, and each batch goes to the sink as a whole, in a thread of its own, while reading goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from hatif.batch_writer import BatchWriter, Item, tick
from hatif.calibration import Calibration, parse_time
from hatif.certificate import Certificate, ScannedPage, Unfinished
from hatif.client import HatifClient
from hatif.clock import ServiceClock
from hatif.errors import (
    HatifError,
    NotFound,
    RequestLimitReached,
    ServiceError,
    cause_of,
)
from hatif.guid import instant_of
from hatif.list_failures import ListFailures, is_of_one_list
from hatif.own_address import is_alive
from hatif.page_size import PageSize
from hatif.progress import Progress, StreamResult
from hatif.reading import Reading
from hatif.scan import Scan
from hatif.sender import Meter
from hatif.sink import Sink
from hatif.spelling import Spelling
from hatif.streams import STREAMS, Stream
from hatif.targets import FixedPlan, Plan, Target
from hatif.wire import Page

_BUFFERED_PAGES = 32


class StreamReader:
    """Reads the lists of one stream.

    Args:
        client: the run's shared client.
        stream: what to read.
        sink: where to.
        spelling: the keys that the sink reads.
        progress: listener.
        clock: the service's.
        tasks: lists read at the same time.
        parents_seen: the records that the lists hang on were read in this run, so that these are
            the right credentials for them.
    """

    def __init__(
        self,
        client: HatifClient,
        stream: Stream,
        sink: Sink,
        *,
        spelling: Spelling,
        progress: Progress,
        clock: ServiceClock,
        tasks: int,
        parents_seen: bool = False,
    ) -> None:
        self._client = client
        self._stream = stream
        self._sink = sink
        self._spelling = spelling
        self._progress = progress
        self._clock = clock
        self._tasks = tasks
        self._parents_seen = parents_seen
        self._size = PageSize()
        self._calibration = Calibration()
        self._meter = Meter()
        self._failures = self._failures_of(FixedPlan([]))
        self._again = False
        self._unfinished: dict[str | None, Unfinished] = {}
        self.reading = Reading(StreamResult(stream.name))
        self._writer = BatchWriter(stream, sink, self._calibration, self.reading)

    @property
    def rejected_ids(self) -> frozenset[str]:
        """The ids of the records set aside so far."""
        return self._writer.rejected_ids

    async def read(self, plan: Plan, *, again: bool = False) -> Reading:
        """Read the lists of a plan.

        Args:
            plan: which.
            again: they have been read in this run, this is to make sure of something.

        Raises:
            ListsFailed: some lists could not be read; all the others were.
            StreamError: no more could be read; what was read is stored.
            ServiceError: the service refuses this stream altogether.
            RequestLimitReached: the run may send no more requests; what was read is stored.
        """
        self._again = again
        self._failures = self._failures_of(plan)
        self._unfinished = {} if again else self._sink.unfinished(self._stream)
        send, receive = anyio.create_memory_object_stream[Item](_BUFFERED_PAGES)
        error: HatifError | None = None
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._write, receive)
                async with send, anyio.create_task_group() as clock:
                    clock.start_soon(tick, send)
                    try:
                        await self._scan_all(plan, send)
                    except HatifError as caught:
                        error = caught
                    clock.cancel_scope.cancel()
        except BaseExceptionGroup as several:
            raise cause_of(several) from None
        finally:
            receive.close()  # its task may have been cancelled before it began
            self.reading.result.requests += self._meter.requests
            self._meter.requests = 0
        self.reading.result.time_offset_minutes = self._calibration.offset_minutes()
        if error is None or isinstance(error, RequestLimitReached):
            await self._note_failures(probing=error is None)
        if error is not None:
            raise error
        self._report_failures()
        return self.reading

    def _failures_of(self, plan: Plan) -> ListFailures:
        return ListFailures(self._client, self._stream, plan, self._tasks, self._meter, self._size)

    async def _write(self, receive: MemoryObjectReceiveStream[Item]) -> None:
        await self._writer.store(receive, again=self._again)

    async def _scan_all(self, plan: Plan, send: MemoryObjectSendStream[Item]) -> None:
        if not self._again:
            parent = self._stream.parent
            count = None if parent is None else plan.count
            self._progress.started(self._stream.name, count, parent or "rows")
        queue = iter(plan)
        stop: list[HatifError] = []

        async with anyio.create_task_group() as group:
            for _ in range(min(self._tasks, max(1, plan.count))):
                group.start_soon(self._scan_many, queue, send, stop, group.cancel_scope)
        if stop:
            raise stop[0]

    async def _scan_many(
        self,
        queue: Iterator[Target],
        send: MemoryObjectSendStream[Item],
        stop: list[HatifError],
        all_tasks: anyio.CancelScope,
    ) -> None:
        """Scan one list after the other, as one of several tasks; `stop` takes what ended it."""
        for target in queue:
            try:
                await self._scan(target, send)
            except RequestLimitReached as limit:
                stop.append(limit)  # the others may finish what they have paid for
                return
            except HatifError as error:
                stop.insert(0, error)
                all_tasks.cancel()
                return
            if target.parent is not None and not self._again:
                self._progress.advanced(self._stream.name, 1)

    async def _scan(self, target: Target, send: MemoryObjectSendStream[Item]) -> None:
        """Scan one list."""
        parent = target.parent

        async def emit(scanned: ScannedPage) -> None:
            page, certificate = scanned.page, scanned.certificate
            if page.rejects:
                self.reading.lists_with_rejects.add(parent)
            self._calibration.observe(page.times, page.time_ids, parent)
            if scanned.number == 1:
                self._update_service_clock(page)
            if certificate.began_at is None:
                # Only now the service's time is known; the scan began a little earlier.
                certificate.began_at = self._clock.at(certificate.started_at)
                certificate.top = _newest_until(certificate.began_at, page.order_keys)
            if parent is None and scanned.number == 1 and not self._again:
                self._progress.advanced(self._stream.name, page.received, page.total)
            page.forget_instants()
            await send.send(scanned)

        unfinished = self._unfinished.get(parent) if target.until is None else None
        scan = Scan(
            self._client,
            self._stream,
            unfinished.certificate if unfinished else self._certificate(target),
            spelling=self._spelling,
            size=self._size,
            emit=emit,
            until=target.until,
            unfinished=unfinished,
            setbacks=target.setbacks,
        )
        failure: HatifError | None = None
        try:
            await scan.run()
            self._failures.succeeded(target)
        except RequestLimitReached:
            raise  # not read to its end, and no failure either: the next run does it
        except HatifError as error:
            failure = error
        finally:
            self.reading.add_scan(scan, target, again=self._again)
        await send.send(scan.certificate)
        if failure is not None:
            await self._record_failure(target, failure)

    def _certificate(self, target: Target) -> Certificate:
        return Certificate(
            self._stream.name,
            target.parent,
            "full" if target.until is None else "incremental",
            reason=target.reason,
            signal=target.signal,
        )

    def _update_service_clock(self, page: Page) -> None:
        """The rows of a list by activity show what time it is, and their ids show it, too.

        Not those of a single parent's list: they may all be dated ahead.
        """
        if self._stream.newest_first and self._stream.own_path is not None:
            times = (parse_time(key) for key in page.order_keys if key)
            inserted = (instant_of(record_id) for record_id in page.ids)
            self._clock.note_rows(filter(None, times), filter(None, inserted))

    async def _record_failure(self, target: Target, failure: HatifError) -> None:
        """Note a failure that concerns one list alone; raise it where it concerns them all.

        The service's own 404 from a child's address means that the parent is gone, or that only
        the address is: the parent's own address decides.
        """
        if not is_of_one_list(failure):
            raise failure
        own = STREAMS[self._stream.parent or self._stream.name].own_path
        if target.parent is not None and isinstance(failure, NotFound) and failure.abp and own:
            try:
                if not await is_alive(self._client, own, target.parent, self._meter):
                    self.reading.gone_parents.append(target.parent)
                    return
            except ServiceError as error:
                if not is_of_one_list(error):
                    raise
                failure = error
        await self._failures.record(target, failure)

    def _report_failures(self) -> None:
        """Raise what failed.

        Raises:
            EndpointUnavailable, ListsFailed: see `ListFailures.report`.
        """
        gone = self.reading.gone_parents
        unlikely = gone and not self._failures.endpoint_works and not self._parents_seen
        if unlikely:
            self.reading.gone_parents = []
        self._failures.report(self.reading.result.scans, len(gone), parents_seen=self._parents_seen)

    async def _note_failures(self, *, probing: bool) -> None:
        try:
            failed = await self._failures.to_note(probing=probing)
        finally:
            self.reading.result.requests += self._meter.requests
            self._meter.requests = 0
        if failed:
            now = self._clock.now()
            await anyio.to_thread.run_sync(self._sink.note_failures, self._stream, failed, now)


def _newest_until(instant: datetime, order_keys: list[str | None]) -> datetime | None:
    """The newest of a page's order keys that is not later than `instant`.

    A row dated ahead stands first in its list for as long; it marks nothing.
    """
    times = (parse_time(key) for key in order_keys if key)
    return max((time for time in times if time is not None and time <= instant), default=None)
