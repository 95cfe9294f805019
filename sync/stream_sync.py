"""One stream of a run: what is due is read, what changed is stored, what is missing is settled."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import anyio

from hatif.client import HatifClient
from hatif.deletions import settle
from hatif.errors import (
    BrakeHeld,
    HatifError,
    Interrupted,
    ListsFailed,
    RequestLimitReached,
)
from hatif.reading import Progress, StreamResult
from hatif.sender import Meter
from hatif.sink import FixedPlan
from hatif.stream_reader import StreamReader
from hatif.streams import STREAMS, Stream
from hatif.wire import Spelling
from sync.ends import StreamEnds
from sync.recovery import fetch_passed_over
from warehouse import acknowledgements
from warehouse.lake.connection import Lake
from warehouse.queue.plan import ReadPolicy, WorkPlan, is_read_on_change
from warehouse.records.absences import Absences
from warehouse.records.loader import Loader
from warehouse.settings.environment import Settings

#: An endpoint that the service does not offer is tried again after so long.
_RETRY_UNAVAILABLE_AFTER = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class RunContext:
    """What the streams of a run share.

    Attributes:
        settings: of the home.
        client: of the service, with the run's budget.
        lake: open for writing.
        loader: stores what is read.
        absences: keeps what is known of missing records, and marks them deleted.
        ends: notes how the streams end.
        spelling: the keys that the warehouse reads.
        progress: the listener for progress.
        full_round: the full sync that the run belongs to, None for an incremental one.
        deep: let lists that are read on change also take their turns to be read in full, and read
            short lists however long they have stayed the same.
        only_requested: read nothing but what was requested to be read again.
        intervals: times between two whole reads that differ from the streams' own, by stream.
        delete_share: the brake on deletions as a fraction of a stream, None to lift it.
    """

    settings: Settings
    client: HatifClient
    lake: Lake
    loader: Loader
    absences: Absences
    ends: StreamEnds
    spelling: Spelling
    progress: Progress
    full_round: str | None = None
    deep: bool = True
    only_requested: bool = False
    intervals: Mapping[str, timedelta] = field(default_factory=dict)
    delete_share: float | None = None

    def policy(self, stream: str) -> ReadPolicy:
        """Return the terms on which lists of a stream are due."""
        interval = self.intervals.get(stream, STREAMS[stream].interval)
        return ReadPolicy(
            now=self.client.clock.now(),
            interval=interval if self.deep or not is_read_on_change(stream) else None,
            unsettled=timedelta(hours=self.settings.unsettled_hours),
            full_round=self.full_round,
            only_requested=self.only_requested,
            learns=not self.deep and stream not in self.intervals,
        )


class StreamSync:
    """Syncs one stream, once.

    Args:
        context: of the run.
        stream: which.
        parents_seen: the records that its lists hang on were read in this run.
    """

    def __init__(self, context: RunContext, stream: Stream, *, parents_seen: bool) -> None:
        self._context = context
        self._stream = stream
        self._reader = StreamReader(
            context.client,
            stream,
            context.loader,
            spelling=context.spelling,
            progress=context.progress,
            clock=context.client.clock,
            tasks=context.settings.max_concurrency,
            parents_seen=parents_seen,
        )

    @property
    def result(self) -> StreamResult:
        """What came of it so far."""
        return self._reader.reading.result

    def interrupt(self) -> bool:
        """End the reading and let what was received be stored; return whether any was going on."""
        return self._reader.interrupt()

    async def run(self) -> StreamResult:
        """Read what is due, store what changed, settle what is missing; return the result.

        Raises:
            HatifError: the stream failed, which `result` shows; what was read is stored.
        """
        began = time.monotonic()
        result = self.result
        try:
            if not self._is_unavailable():
                await self._read_and_settle()
                result.status = "unproven" if result.unproven else "done"
                self._context.ends.succeeded(self._stream.name)
        except RequestLimitReached as limit:
            result.status, result.message = "stopped", str(limit)
        except Interrupted as error:
            result.status, result.message = "interrupted", str(error)
        except HatifError as error:
            result.status, result.message = "failed", str(error)
            self._context.ends.failed(self._stream.name, error)
            raise
        except anyio.get_cancelled_exc_class():
            result.status, result.message = "interrupted", "interrupted"
            raise
        except BaseException as error:
            # A defect of ours: the stream was not read to its end.
            result.status = "failed"
            result.message = f"{self._stream.name}: ended early ({type(error).__name__})"
            raise
        finally:
            result.acknowledged = self._acknowledged()
            result.seconds = round(time.monotonic() - began, 3)
            self._context.progress.finished(result)
        return result

    def _acknowledged(self) -> int:
        reject_ids = self._reader.reading.rejected_ids
        if not reject_ids:
            return 0
        with self._context.lake.reading() as connection:
            return acknowledgements.count(connection, sorted(reject_ids))

    async def _read_and_settle(self) -> None:
        """Read what is due; lists that failed are no reason not to settle the others."""
        failed: ListsFailed | None = None
        context, reader, result = self._context, self._reader, self.result
        with WorkPlan(context.lake, self._stream.name, context.policy(self._stream.name)) as plan:
            result.left_out = plan.left_out
            try:
                await reader.read(plan)
            except ListsFailed as error:
                failed = error
            finally:
                result.backlog = max(0, plan.count - result.scans)
        if reader.reading.passed_over:
            await self._fetch_passed_over()
        failed = await self._read_disagreeing() or failed
        try:
            await settle(
                context.client,
                self._stream,
                reader,
                context.absences,
                share=context.delete_share,
                tasks=context.settings.max_concurrency,
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

    async def _read_disagreeing(self) -> ListsFailed | None:
        """Read lists in full whose count is not what is stored; return the error of some."""
        failed: ListsFailed | None = None
        reader = self._reader
        while reader.reading.disagreeing:
            disagreeing, reader.reading.disagreeing = reader.reading.disagreeing, []
            try:
                await reader.read(FixedPlan(disagreeing), again=True)
            except ListsFailed as error:
                failed = error
        return failed

    async def _fetch_passed_over(self) -> None:
        """Fetch records that their list could not deliver, see `sync.recovery`."""
        context, meter, result = self._context, Meter(), self.result
        try:
            fetched = await fetch_passed_over(
                context.client,
                self._stream,
                context.lake,
                context.loader,
                context.spelling,
                self._reader.reading,
                meter,
            )
            result.rows_read += fetched
            result.rows_changed += fetched
        finally:
            result.requests += meter.requests

    def _is_unavailable(self) -> bool:
        """Whether the service was found not to offer the stream, too lately to try again."""
        context, name = self._context, self._stream.name
        if context.full_round is not None:
            return False
        since = context.ends.unavailable_since(name)
        if since is None:
            return False
        age = datetime.now(UTC) - datetime.fromisoformat(since)
        if abs(age) > _RETRY_UNAVAILABLE_AFTER:  # also of a clock that was set back since
            return False
        self.result.status = "unavailable"
        self.result.message = (
            f"{name}: the service did not offer it at the last try ({since[:16]} UTC); the next "
            "try is a day later, or with --full"
        )
        return True
