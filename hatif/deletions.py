"""What is missing becomes deleted only on proof: a 404 from its own address, or a second look.

Asked for at the end of a stream's full read, in the same run. The brake comes first: when so many
are missing that something else must be wrong, not one request is spent on proving it.
"""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from hatif.client import HatifClient
from hatif.errors import HatifError, cause_of
from hatif.sender import Meter
from hatif.sink import Missing, Sink
from hatif.stream_reader import Reading, StreamReader, lives
from hatif.streams import STREAMS, Stream
from hatif.targets import FixedPlan, Target


async def settle(
    client: HatifClient,
    stream: Stream,
    reader: StreamReader,
    sink: Sink,
    *,
    share: float | None,
    tasks: int,
) -> Reading:
    """Prove or dismiss what a full read of `stream` did not meet, and bury what is proven gone.

    Args:
        client: the run's shared client.
        stream: just read.
        reader: that read it; used again where a list must be read once more.
        sink: where tombstones go.
        share: the brake as a fraction of the stream, None to lift it.
        tasks: requests at the same time.

    Raises:
        BrakeHeld: too many are missing; nothing was marked.
        ServiceError: the service did not answer; what was proven by then is marked.
        RequestLimitReached: likewise.
    """
    reading = reader.reading
    missing, reading.missing = reading.missing, []
    if reading.gone_parents and stream.parent is not None:
        gone_parents = sorted(set(reading.gone_parents))
        await _bury(sink, STREAMS[stream.parent], gone_parents, share, reading)
    if missing:
        await _brake(sink, stream, len(missing), share)
        gone: list[str] = []
        if stream.own_path is not None:
            try:
                await _ask_each(client, stream.own_path, missing, gone, reading, tasks)
            except HatifError:
                await _bury(sink, stream, gone, share, reading)  # proven is proven
                raise
        else:
            gone = await _look_again(reader, missing)
        await _bury(sink, stream, gone, share, reading)
        _note_doubts(stream, reading, len(missing) - len(gone))
    return reading


async def _brake(sink: Sink, stream: Stream, missing: int, share: float | None) -> None:
    await anyio.to_thread.run_sync(sink.brake, stream, missing, share)


async def _ask_each(
    client: HatifClient,
    own_path: str,
    missing: list[Missing],
    gone: list[str],
    reading: Reading,
    tasks: int,
) -> None:
    """Ask every missing record's own address; add the ids that the service says are gone."""
    meter = Meter()
    queue = iter(missing)

    async def work() -> None:
        for record in queue:
            alive = await lives(client, own_path, record.record_id, meter)
            if not alive:
                gone.append(record.record_id)

    try:
        async with anyio.create_task_group() as group:
            for _ in range(min(tasks, len(missing))):
                group.start_soon(work)
    except BaseExceptionGroup as several:
        raise cause_of(several) from None
    finally:
        reading.result.requests += meter.requests


async def _look_again(reader: StreamReader, missing: list[Missing]) -> list[str]:
    """Read the lists of missing records once more; return the ids missing from both reads.

    Lists that hold bad records prove nothing: one of these may be the record that is missing.
    """
    missing = [m for m in missing if m.parent_id not in reader.reading.lists_with_rejects]
    if not missing:
        return []
    parents = sorted({m.parent_id or "" for m in missing})
    again_read = FixedPlan([Target(parent or None, "check") for parent in parents])
    reading = await reader.read(again_read, again=True)
    again, reading.missing = reading.missing, []
    return sorted({m.record_id for m in missing} & {m.record_id for m in again})


async def _bury(
    sink: Sink, stream: Stream, gone: Sequence[str], share: float | None, reading: Reading
) -> None:
    if not gone:
        return
    buried = await anyio.to_thread.run_sync(sink.mark_deleted, stream, gone, share)
    reading.result.deleted += sum(buried.values())
    reading.result.rows_changed += buried.get(stream.name, 0)


def _note_doubts(stream: Stream, reading: Reading, alive: int) -> None:
    """Say so when records live that their list did not show: then the list proves nothing."""
    if alive and stream.own_path is not None:
        reading.result.unproven += 1
        reading.result.message = (
            f"{stream.name}: {alive} records live at their own address but are not in the list"
        )
