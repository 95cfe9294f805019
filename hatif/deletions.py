"""What is missing becomes deleted only on proof: its own address's 404, or two looks at its list.

Called at the end of a stream's read. How many looks at a list are enough, and when they must be
taken, depends on how much it lost and on what its parent counts (`Absences.weigh`). Where more is
missing than the brake allows, none of it is marked or requested, and all the rest is settled.
"""

from __future__ import annotations

from collections.abc import Sequence

import anyio
from anyio.to_thread import run_sync

from hatif.client import HatifClient
from hatif.errors import BrakeHeld, HatifError, ListsFailed, ServiceError, cause_of
from hatif.own_address import is_alive
from hatif.reading import Reading, is_of_one_list
from hatif.sender import Meter
from hatif.sink import Absences, FixedPlan, Missing, Target
from hatif.stream_reader import StreamReader
from hatif.streams import STREAMS, Stream

#: Records of lists that came empty, from which on their addresses are no proof in the same run.
_MUCH_KNOWN = 5
#: Tries for a record's own address: what stays unknown is checked by the next run.
_ATTEMPTS = 3


async def settle(
    client: HatifClient,
    stream: Stream,
    reader: StreamReader,
    absences: Absences,
    *,
    share: float | None,
    tasks: int,
) -> Reading:
    """Prove or dismiss what a read of `stream` did not meet, and mark what is proven deleted.

    Args:
        client: the run's shared client.
        stream: just read.
        reader: that read it; used again where a list must be read once more.
        absences: where tombstones go, and evidence that waits for more.
        share: the brake as a fraction of the stream, None to lift it.
        tasks: requests at the same time.

    Raises:
        BrakeHeld: too many are missing; these were not marked, the rest is settled.
        ListsFailed: some records could not be checked; they stay, the rest is settled.
        ServiceError: no request is answered; what was proven by then is marked.
        RequestLimitReached: likewise.
    """
    return await _Settlement(client, stream, reader, absences, share, tasks).run()


class _Settlement:
    def __init__(
        self,
        client: HatifClient,
        stream: Stream,
        reader: StreamReader,
        absences: Absences,
        share: float | None,
        tasks: int,
    ) -> None:
        self._client = client
        self._stream = stream
        self._reader = reader
        self._reading = reader.reading
        self._absences = absences
        self._share = share
        self._tasks = tasks
        self._brake: BrakeHeld | None = None
        self._failed: ListsFailed | None = None

    async def run(self) -> Reading:
        reading = self._reading
        missing, reading.missing = reading.missing, []
        if missing:
            missing = list(await run_sync(self._absences.still_missing, self._stream, missing))
        await self._settle_parents()
        if self._stream.own_path is not None:
            await self._settle_by_address(missing)
        elif missing and not self._stream.whole:  # there the answer is the record, good or bad
            await self._settle_by_list(missing)
        if self._brake is not None:
            raise self._brake
        if self._failed is not None:
            raise self._failed
        return reading

    async def _settle_parents(self) -> None:
        """Mark parents whose lists and own addresses answered 404."""
        reading = self._reading
        gone, reading.gone_parents = sorted(set(reading.gone_parents)), []
        if not gone or self._stream.parent is None:
            return
        parents = STREAMS[self._stream.parent]
        if not await self._mark(parents, gone):
            # Proven once is enough: their lists are not read again until something shows them.
            await self._note(parents, gone, "gone")

    async def _settle_by_address(self, missing: list[Missing]) -> None:
        """Fetch the addresses of missing records, of records held back and of orphans."""
        missing = await self._put_off_empty(missing)
        known = await run_sync(self._absences.suspects, self._stream)
        suspects = sorted({m.record_id for m in missing} | set(known.held))
        if suspects and not await self._brake_allows(len(suspects)):
            if missing:
                await run_sync(self._absences.keep_count, self._stream, missing)
            suspects = []
        orphans = sorted(set(known.orphans) - set(suspects))
        gone: list[str] = []
        alive: list[str] = []
        try:
            await self._check_each([*orphans, *suspects], gone, alive)
        except HatifError:
            await self._mark(self._stream, gone)  # proven is proven
            raise
        marked = await self._mark(self._stream, gone)
        if not marked:
            await self._note(self._stream, gone, "gone")
        await self._note(self._stream, sorted(set(alive) & set(orphans)), "alive")
        self._note_doubts(len(set(alive) & set(suspects)))

    async def _put_off_empty(self, missing: list[Missing]) -> list[Missing]:
        """Return what is to be settled now: not what lists lack that are empty for the first time.

        Where a workspace's rows are hidden for a moment, a list is empty and each address answers
        404 alike. So where much was known a later run decides.
        """
        empty = self._reading.empty_lists
        doubtful = [m for m in missing if m.parent_id in empty]
        if len(doubtful) < _MUCH_KNOWN:
            return missing
        wait = (await run_sync(self._absences.weigh, self._stream, doubtful)).wait
        if wait:
            await run_sync(self._absences.note_absent, self._stream, wait)
        waiting = {m.record_id for m in wait}
        return [m for m in missing if m.record_id not in waiting]

    async def _settle_by_list(self, missing: list[Missing]) -> None:
        """Lists that hold bad records prove nothing: one of these may be what is missing."""
        excluded = self._reading.lists_with_rejects
        missing = [m for m in missing if m.parent_id not in excluded]
        weighed = await run_sync(self._absences.weigh, self._stream, missing)
        wait, proven, look = [*weighed.wait], [*weighed.proven], [*weighed.look]
        if not await self._brake_allows(len(proven) + len(look)):
            await run_sync(self._absences.keep_count, self._stream, [*proven, *look])
            wait, proven, look = [*wait, *proven, *look], [], []
        if wait:
            await run_sync(self._absences.note_absent, self._stream, wait)
        await self._mark(self._stream, sorted(m.record_id for m in proven))
        await self._mark(self._stream, sorted(await self._look_again(look)))

    async def _brake_allows(self, deletions: int) -> bool:
        try:
            await run_sync(self._absences.brake, self._stream, deletions, self._share)
        except BrakeHeld as held:
            self._brake = held
            return False
        return True

    async def _check_each(self, record_ids: list[str], gone: list[str], alive: list[str]) -> None:
        """Request each record's own address; one without an answer does not stop the others.

        Raises:
            AuthenticationFailed, RateLimited: no address is answered.
            RequestLimitReached: the run may send no more requests.
        """
        meter = Meter()
        queue = iter(record_ids)
        failures: list[ServiceError] = []
        own_path = self._stream.own_path or ""

        async def work() -> None:
            for record_id in queue:
                try:
                    lives_on = await is_alive(
                        self._client, own_path, record_id, meter, attempts=_ATTEMPTS
                    )
                except ServiceError as error:
                    if not is_of_one_list(error):
                        raise
                    failures.append(error)
                    if len(failures) > 2 * self._tasks:
                        return
                else:
                    (alive if lives_on else gone).append(record_id)

        try:
            async with anyio.create_task_group() as group:
                for _ in range(min(self._tasks, len(record_ids))):
                    group.start_soon(work)
        except BaseExceptionGroup as several:
            raise cause_of(several) from None
        finally:
            self._reading.result.requests += meter.requests
        if failures:
            unknown = len(record_ids) - len(gone) - len(alive)
            self._failed = ListsFailed(
                f"{self._stream.name}: {unknown} of {len(record_ids)} records that are missing "
                f"could not be checked at their own addresses and stay; the first: {failures[0]}",
                transient=any(error.transient for error in failures),
                others_read=True,
            )

    async def _look_again(self, missing: Sequence[Missing]) -> set[str]:
        """Read the lists of missing records once more; return the ids missing from both reads."""
        if not missing:
            return set()
        parents = sorted({m.parent_id or "" for m in missing})
        plan = FixedPlan([Target(parent or None, "check") for parent in parents])
        reading = self._reading
        try:
            await self._reader.read(plan, again=True)
        except ListsFailed as error:
            self._failed = error  # of the others the second look stands
        again, reading.missing = reading.missing, []
        excluded = reading.lists_with_rejects
        return {m.record_id for m in missing if m.parent_id not in excluded} & {
            m.record_id for m in again
        }

    async def _mark(self, stream: Stream, gone: Sequence[str]) -> bool:
        """Mark records deleted; False where the brake held."""
        if not gone:
            return True
        try:
            deleted = await run_sync(self._absences.mark_deleted, stream, gone, self._share)
        except BrakeHeld as held:
            self._brake = held
            return False
        self._reading.result.deleted += sum(deleted.values())
        here = deleted.get(self._stream.name, 0)
        self._reading.result.deleted_here += here
        self._reading.result.rows_changed += here
        return True

    async def _note(self, stream: Stream, record_ids: Sequence[str], proof: str) -> None:
        if record_ids:
            absent = [Missing(record_id, None) for record_id in record_ids]
            await run_sync(self._absences.note_absent, stream, absent, proof)

    def _note_doubts(self, alive: int) -> None:
        """Report records that live though their list does not show them: it proves nothing."""
        if alive:
            result = self._reading.result
            result.unproven += 1
            result.message = (
                f"{self._stream.name}: {alive} records live at their own address but are not in "
                "the list"
            )
