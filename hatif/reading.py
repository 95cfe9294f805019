"""What came of reading a stream: counts, certificates that prove nothing, what seems to be gone."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hatif.certificate import Verdict
from hatif.progress import StreamResult
from hatif.scan import Scan
from hatif.scan_proof import KNOWN_UNPROVEN
from hatif.sink import Missing
from hatif.targets import Target


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
    """

    result: StreamResult
    missing: list[Missing] = field(default_factory=list)
    gone_parents: list[str] = field(default_factory=list)
    lists_with_rejects: set[str | None] = field(default_factory=set)
    disagreeing: list[Target] = field(default_factory=list)
    passed_over: int = 0
    empty_lists: set[str | None] = field(default_factory=set)
    met: dict[str | None, npt.NDArray[np.int64]] = field(default_factory=dict)

    def add_scan(self, scan: Scan, target: Target, *, again: bool) -> None:
        """Count a scan that ended.

        Args:
            scan: of one list.
            target: the list, and how it ended before.
            again: its rows were counted before in this run.
        """
        certificate, result = scan.certificate, self.result
        result.requests += scan.requests
        self.passed_over += scan.passed_over
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
            return
        result.rows_read += certificate.distinct_ids
        result.scans += 1
        result.repaired += certificate.verdict is Verdict.REPAIRED
