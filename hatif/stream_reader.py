"""Reads one stream, all its lists, into a sink: concurrency, batches, what to do when one fails.

A stream's lists (one, or one a parent) are scanned by a few tasks at once (`StreamReader`); their
pages flow into batches, and each batch goes to the sink as a whole (`BatchWriter`), in a thread of
its own, while reading goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from hatif.client import HatifClient
from hatif.clock import Calibration, ServiceClock, instant_of, parse_time
from hatif.errors import (
    ClockChanged,
    HatifError,
    Interrupted,
    NotFound,
    RequestLimitReached,
    ServiceError,
    cause_of,
)
from hatif.own_address import is_alive
from hatif.page_reader import PageSize
from hatif.reading import ListFailures, Progress, Reading, StreamResult, is_of_one_list
from hatif.scan import Scan
from hatif.sender import Meter
from hatif.sink import Batch, Certificate, Plan, ScannedPage, Sink, Target, Unfinished
from hatif.streams import STREAMS, Stream
from hatif.wire import Page, Spelling

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
        self._failures: ListFailures
        self._again = False
        self._unfinished: dict[str | None, Unfinished] = {}
        self._scanning = anyio.CancelScope()
        self._is_scanning = False
        self.reading = Reading(StreamResult(stream.name))
        self._writer = BatchWriter(stream, sink, self._calibration, self.reading)

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
            Interrupted: `interrupt` was called; what was received is stored.
        """
        self._again = again
        self._failures = ListFailures(
            self._client, self._stream, plan, self._tasks, self._meter, self._size
        )
        self._unfinished = {} if again else self._sink.unfinished(self._stream)
        send, receive = anyio.create_memory_object_stream[Item](_BUFFERED_PAGES)
        error: HatifError | None = None
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._writer.store, receive, again)
                async with send, anyio.create_task_group() as clock:
                    clock.start_soon(tick, send)
                    try:
                        await self._scan_interruptibly(plan, send)
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
        self._failures.report(self.reading, parents_seen=self._parents_seen)
        return self.reading

    def interrupt(self) -> bool:
        """End the reading and let what was received be stored; return whether any was going on."""
        self._scanning.cancel()
        return self._is_scanning

    async def _scan_interruptibly(self, plan: Plan, send: MemoryObjectSendStream[Item]) -> None:
        """Scan all lists.

        Raises:
            Interrupted: `interrupt` was called meanwhile.
        """
        self._is_scanning = True
        try:
            with anyio.CancelScope() as self._scanning:
                await self._scan_all(plan, send)
        finally:
            self._is_scanning = False
        if self._scanning.cancelled_caught:
            raise Interrupted("interrupted; what was received is stored")

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
            if scanned.number == 1:
                self._update_service_clock(page)
            self._calibration.observe(page.times, page.time_ids, parent)
            if certificate.began_at is None:
                # Only now the service's time is known; the scan began a little earlier.
                certificate.began_at = self._clock.at(certificate.started_at)
                certificate.top = _newest_until(certificate.began_at, page.order_keys)
            if parent is None and scanned.number == 1 and not self._again:
                self._progress.advanced(self._stream.name, page.received, page.total)
            # Only the reading looks at these.
            page.times, page.time_ids, page.order_keys = [], [], []
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
        ended = False
        try:
            await scan.run()
            ended = True
            self._failures.succeeded(target)
        except RequestLimitReached:
            raise  # not read to its end, and no failure either: the next run does it
        except HatifError as error:
            failure, ended = error, True
        finally:
            self.reading.add_scan(scan, target, again=self._again, ended=ended)
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


#: A batch is one transaction: large enough to be cheap, small enough to fit in memory (a fifth more
#: than this at most, see `Batch.is_full`, which are two row groups of the store), and never so old
#: that a killed run loses more than half a minute of requests.
BATCH_ROWS = 27_000
BATCH_BYTES = 48 << 20
BATCH_SECONDS = 30.0

#: What flows from the scans to the store; None is the clock's tick.
Item = ScannedPage | Certificate | None


class BatchWriter:
    """Stores one stream's pages and certificates, one batch at a time.

    Args:
        stream: they are of.
        sink: where they go.
        calibration: the offset of the stream's times, which must not change.
        reading: takes what storing shows.
    """

    def __init__(
        self, stream: Stream, sink: Sink, calibration: Calibration, reading: Reading
    ) -> None:
        self._stream = stream
        self._sink = sink
        self._calibration = calibration
        self.reading = reading
        self._storing = anyio.Semaphore(1)

    async def store(self, receive: MemoryObjectReceiveStream[Item], again: bool) -> None:
        """Gather what arrives into batches; while one is stored in a thread, fill the next."""
        batch = Batch(self._stream, again=again)
        async with receive, anyio.create_task_group() as group:
            # Never received under a time limit: cancelling at the wrong instant loses an item.
            async for item in receive:
                if item is not None:
                    batch.add(item)
                if batch.is_full(BATCH_ROWS, BATCH_BYTES) or batch.age >= BATCH_SECONDS:
                    await self._storing.acquire()
                    group.start_soon(self._flush, batch)
                    batch = Batch(self._stream, again=again)
            await self._storing.acquire()
            await self._flush(batch)

    async def _flush(self, batch: Batch) -> None:
        """Store a batch; the caller has acquired `_storing`, one batch at a time."""
        try:
            if batch.pages or batch.ended:
                await self._load(batch)
        finally:
            self._storing.release()

    async def _load(self, batch: Batch) -> None:
        offset = batch.time_offset_minutes = self._calibration.offset_minutes()
        if offset:
            raise ClockChanged(
                f"{self._stream.name}: timestamps are {offset:+d} minutes off the instants inside "
                "the ids (naive ones read as Riyadh time). Loading them would shift every figure; "
                "the stream stops, what was stored before stays"
            )
        loaded = await anyio.to_thread.run_sync(self._sink.load, batch)
        result = self.reading.result
        result.rows_changed += loaded.changed
        # Overlaps and further passes meet the same bad record again: it is one.
        self.reading.rejected_ids |= {reject.reject_id for reject in loaded.rejects}
        result.rejects = len(self.reading.rejected_ids)
        self.reading.missing.extend(loaded.missing)
        self.reading.disagreeing.extend(loaded.disagreeing)


async def tick(send: MemoryObjectSendStream[Item]) -> None:
    """Wake the store now and then, so that a batch does not grow old while nothing arrives."""
    while True:
        await anyio.sleep(BATCH_SECONDS)
        await send.send(None)
