"""What comes of reading a stream: counts for a listener, what seems to be gone, lists that failed.

One conversation may be gone, locked or broken in the service while all others answer. So a failure
concerns its own list alone (`ListFailures`), until there is other evidence: when many lists in a
row have failed, a list that was read a moment ago and a few others of the plan are read for one
row. Where one of them answers the endpoint works and reading goes on; where none does the stream
stops.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

import anyio
import numpy as np
import numpy.typing as npt

from hatif.client import HatifClient
from hatif.errors import (
    AuthenticationFailed,
    EndpointUnavailable,
    ForeignRecords,
    HatifError,
    ListsFailed,
    NotFound,
    RateLimited,
    ServiceError,
)
from hatif.page_reader import PageSize
from hatif.scan import Scan
from hatif.sender import Meter
from hatif.sink import KNOWN_UNPROVEN, ListFailure, Missing, Plan, Target, Verdict
from hatif.streams import Stream


@dataclass(slots=True)
class StreamResult:
    """How one stream went.

    Attributes:
        status: `done`; `unproven` (read, but the list kept moving); `stopped` (the run's requests
            were used up); `unavailable` (the service does not offer it, as a run found out a short
            while ago); `interrupted` (what was received is stored); `failed`.
        rows_read: different records seen.
        rows_changed: records that differ from what was stored: new, changed, or marked deleted.
        deleted: records marked deleted, those that hung on them included; `deleted_here` of them
            are of this stream, and count in `rows_changed`, though none was read.
        rejects: different records set aside; `acknowledged` of them are known and accepted.
        requests: HTTP attempts, without those for tokens.
        backlog: lists that are due and were not read.
        left_out: lists that would be due, had webhooks not reported all that changed in them.
        scans: lists read; `repaired` and `unproven` of them ended so, `known_unproven` as they had
            so often before that it is no failure any more.
        time_offset_minutes: see `Calibration.offset_minutes`.
        message: for the user, None when all is well.
    """

    stream: str
    status: str = "done"
    rows_read: int = 0
    rows_changed: int = 0
    deleted: int = 0
    deleted_here: int = 0
    rejects: int = 0
    acknowledged: int = 0
    requests: int = 0
    backlog: int = 0
    left_out: int = 0
    scans: int = 0
    repaired: int = 0
    unproven: int = 0
    known_unproven: int = 0
    seconds: float = 0.0
    time_offset_minutes: int | None = None
    message: str | None = None

    @property
    def rows_stored(self) -> int:
        """Records of which a version was stored: new or changed."""
        return self.rows_changed - self.deleted_here


class Progress(Protocol):
    """Listener to the reading of streams. `unit` is what `total` counts."""

    def started(self, stream: str, total: int | None, unit: str) -> None:
        """A stream begins."""

    def advanced(self, stream: str, by: int, total: int | None = None) -> None:
        """So many more units are done; `total` replaces the one given before."""

    def finished(self, result: StreamResult) -> None:
        """A stream ended, well or not."""


class Quiet:
    """Watches nothing."""

    def started(self, stream: str, total: int | None, unit: str) -> None:
        """Say nothing."""

    def advanced(self, stream: str, by: int, total: int | None = None) -> None:
        """Say nothing."""

    def finished(self, result: StreamResult) -> None:
        """Say nothing."""


@dataclass(slots=True)
class Reading:
    """What came of reading a stream: the result so far, and what seems to be gone.

    Attributes:
        missing: records absent from certified scans of their lists.
        gone_parents: parents whose own address answered 404.
        lists_with_rejects: parents (None: the stream's one list) whose lists held bad records. A
            stored record that has turned bad shows no id, so absence from them proves nothing.
        disagreeing: lists read down to an instant whose count is not what is stored: something
            happened further down, so they must be read to their end.
        passed_over: rows that the service could not deliver in their lists.
        empty_lists: parents (None: the stream's one list) whose lists were certified without a row.
        met: of the lists with such rows, by parent, the hashes of the ids that they showed.
        rejected_ids: the ids of the records set aside so far.
        heads: how many records lists showed that were not read to their end, by parent.
    """

    result: StreamResult
    missing: list[Missing] = field(default_factory=list)
    gone_parents: list[str] = field(default_factory=list)
    lists_with_rejects: set[str | None] = field(default_factory=set)
    disagreeing: list[Target] = field(default_factory=list)
    passed_over: int = 0
    empty_lists: set[str | None] = field(default_factory=set)
    met: dict[str | None, npt.NDArray[np.int64]] = field(default_factory=dict)
    rejected_ids: set[str] = field(default_factory=set)
    heads: dict[str | None, int] = field(default_factory=dict)

    def add_scan(self, scan: Scan, target: Target, *, again: bool, ended: bool) -> None:
        """Count a scan.

        Args:
            scan: of one list.
            target: the list, and how it ended before.
            again: its rows were counted before in this run.
            ended: the list was read, or failed; else it is left for the next run.
        """
        certificate, result = scan.certificate, self.result
        result.requests += scan.meter.requests
        self.passed_over += len(scan.passed_over)
        if certificate.verdict.certified and certificate.whole and not certificate.distinct_ids:
            self.empty_lists.add(target.parent)
        if scan.passed_over:
            self.met[target.parent] = scan.met
        if certificate.verdict is Verdict.UNPROVEN:
            known = target.setbacks >= KNOWN_UNPROVEN
            result.known_unproven += known
            result.unproven += not known
            if result.message is None or (result.unproven == 1 and not known):
                what = "known to be unproven" if known else "unproven"
                where = f" below {target.parent}" if target.parent else ""
                result.message = f"{result.stream}{where}: {what}: {certificate.note}"
        if again:
            # A list of which the beginning was counted is read to its end now.
            counted = self.heads.pop(target.parent, certificate.distinct_ids)
            result.rows_read += max(0, certificate.distinct_ids - counted)
            return
        if target.until is not None:
            self.heads[target.parent] = certificate.distinct_ids
        result.rows_read += certificate.distinct_ids
        result.scans += ended
        result.repaired += certificate.verdict is Verdict.REPAIRED


#: Other lists of the plan that are tried before a stream is given up.
_SAMPLES = 2
#: Tries for each: the lists that failed have shown patience enough.
_ATTEMPTS = 2


def is_of_one_list(failure: HatifError) -> bool:
    """Whether a failure concerns its list alone.

    Refused credentials and a rate limit concern every list alike.
    """
    if isinstance(failure, (AuthenticationFailed, RateLimited)):
        return False
    return isinstance(failure, (ServiceError, ForeignRecords))


@dataclass(frozen=True, slots=True)
class _Failed:
    target: Target
    error: HatifError


class ListFailures:
    """Failures met while the lists of a stream are read once.

    Args:
        client: the run's shared client.
        stream: whose lists.
        plan: being read.
        tasks: lists read at the same time.
        meter: where requests made for evidence are counted.
        size: what is known of the stream's page size.
    """

    def __init__(
        self,
        client: HatifClient,
        stream: Stream,
        plan: Plan,
        tasks: int,
        meter: Meter,
        size: PageSize,
    ) -> None:
        self._client = client
        self._stream = stream
        self._plan = plan
        self._meter = meter
        self._size = size
        self._limit = 2 * tasks
        self._in_a_row = 0
        self._last_read: Target | None = None
        self._probing = anyio.Lock()
        self._unavailable = 0
        self._failed: list[_Failed] = []
        self.endpoint_works = False

    def succeeded(self, target: Target) -> None:
        """Note a list that was read."""
        self._in_a_row, self._last_read, self.endpoint_works = 0, target, True

    async def record(self, target: Target, error: HatifError) -> None:
        """Note a list that failed.

        Raises:
            HatifError: this one, or `EndpointUnavailable`, where it concerns the whole stream.
        """
        if target.parent is None:
            raise error
        self._failed.append(_Failed(target, error))
        self._unavailable += isinstance(error, NotFound) and error.abp
        self._in_a_row += 1
        async with self._probing:
            if self._in_a_row < self._limit:
                return  # so few, or the endpoint was found to work meanwhile
            if not await self._any_list_answers():
                raise self._of_the_stream(error)
            self._in_a_row, self._limit, self.endpoint_works = 0, 2 * self._limit, True

    async def _any_list_answers(self) -> bool:
        for target in self._evidence():
            path = self._stream.list_path(target.parent)
            params = {"SkipCount": 0, "MaxResultCount": 1} if self._stream.paged else {}
            try:
                await self._client.get(path, params, len, self._meter, attempts=_ATTEMPTS)
            except (ServiceError, ForeignRecords) as error:
                if not is_of_one_list(error):
                    raise
            else:
                self._size.accepted = max(self._size.accepted, 1)
                return True
        return False

    def _evidence(self) -> Iterator[Target]:
        """Yield a list that was read a moment ago, and some of the plan that have not failed."""
        if self._last_read is not None:
            yield self._last_read
        failed = {one.target.parent for one in self._failed}
        others = self._plan.sample(_SAMPLES + len(failed))
        yield from islice((one for one in others if one.parent not in failed), _SAMPLES)

    def _of_the_stream(self, error: HatifError) -> HatifError:
        if isinstance(error, NotFound) and error.abp and not self.endpoint_works:
            return EndpointUnavailable(self._unavailable_message())
        return error

    def _unavailable_message(self) -> str:
        return (
            f"{self._stream.name}: {self._stream.path} answers 404 for {self._unavailable} "
            f"{self._stream.parent} that live. The endpoint is not available; nothing was deleted"
        )

    async def to_note(self, *, probing: bool) -> Sequence[ListFailure]:
        """Return the failures that are known to be of their lists alone, to be kept.

        Args:
            probing: requests may be made to find out.
        """
        if not self._failed:
            return []
        if not self.endpoint_works and not (probing and await self._any_list_answers()):
            return []
        self.endpoint_works = True
        return [ListFailure(one.target.parent, str(one.error)) for one in self._failed]

    def report(self, reading: Reading, *, parents_seen: bool) -> None:
        """Raise what failed once all lists were tried.

        Args:
            reading: what came of it; parents that cannot all be gone are taken from it.
            parents_seen: the parents were read in this run.

        Raises:
            EndpointUnavailable: no list could be read for a reason that concerns all.
            ListsFailed: some lists could not be read; all the others were.
        """
        scans, gone = reading.result.scans, len(reading.gone_parents)
        if gone and not self.endpoint_works and not parents_seen:
            reading.gone_parents = []
            raise EndpointUnavailable(
                f"{self._stream.name}: every one of {gone} {self._stream.parent} seems to be "
                "gone, and not one list could be read. Are these the credentials of another "
                "workspace? Nothing was deleted"
            )
        if self._unavailable and not self.endpoint_works:
            raise EndpointUnavailable(self._unavailable_message())
        if self._failed:
            transient = any(one.error.transient for one in self._failed)
            raise ListsFailed(
                f"{self._stream.name}: {len(self._failed)} of {scans} lists could not be read, "
                f"the others are stored; the first: {self._failed[0].error}",
                transient=transient,
                others_read=len(self._failed) < scans,
            )
