"""Gathers what the scans of a stream bring into batches and stores each in a thread of its own."""

from __future__ import annotations

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from hatif.calibration import Calibration
from hatif.certificate import Certificate, ScannedPage
from hatif.errors import ClockChanged
from hatif.reading import Reading
from hatif.sink import Batch, Sink
from hatif.streams import Stream

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
        self._rejects: set[str] = set()
        self._storing = anyio.Semaphore(1)

    @property
    def rejected_ids(self) -> frozenset[str]:
        """The ids of the records set aside so far."""
        return frozenset(self._rejects)

    async def store(self, receive: MemoryObjectReceiveStream[Item], *, again: bool) -> None:
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
        self._rejects |= {reject.reject_id for reject in loaded.rejects}
        result.rejects = len(self._rejects)
        self.reading.missing.extend(loaded.missing)
        self.reading.disagreeing.extend(loaded.disagreeing)


async def tick(send: MemoryObjectSendStream[Item]) -> None:
    """Wake the store now and then, so that a batch does not grow old while nothing arrives."""
    while True:
        await anyio.sleep(BATCH_SECONDS)
        await send.send(None)
