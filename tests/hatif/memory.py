"""A sink that remembers: what a lake does, in a few dictionaries."""

import threading
import time

from hatif.errors import BrakeHeld
from hatif.sink import FixedPlan, Loaded, Missing, Suspects, Target, Weighed


class Memory:
    """Keeps records by stream; `stored` may be filled beforehand, as by an earlier run."""

    def __init__(self, parents=(), plan=FixedPlan):
        self.stored = {}  # stream → id → parent
        self.batches = []
        self.buried = []
        self.brakes = []
        self.waiting = []
        self.rejects = []
        self.failures = []
        self.limit = 10**9
        self.fail = None
        self.slow = 0.0
        self.reading = None
        self._parents = list(parents)
        self._plan = plan
        self._seen = {}
        self._loading = threading.Lock()

    def plan(self, stream):
        parents = self._parents if stream.parent else [None]
        return self._plan([Target(parent, "full") for parent in parents])

    def unfinished(self, _):
        return {}

    def load(self, batch):
        assert self._loading.acquire(blocking=False), "one transaction at a time"
        try:
            time.sleep(self.slow)
            if self.fail is not None:
                raise self.fail
            return self._load(batch)
        finally:
            self._loading.release()

    def _load(self, batch):
        self.batches.append(batch)
        rejects = [reject for scanned in batch.pages for reject in scanned.page.rejects]
        self.rejects += rejects
        stored = self.stored.setdefault(batch.stream.name, {})
        changed = 0
        for scanned in batch.pages:
            key = (scanned.certificate.scan_id, scanned.number)
            for record_id in scanned.page.ids:
                changed += record_id not in stored
                stored[record_id] = scanned.certificate.parent_id
                self._seen.setdefault(key, set()).add(record_id)
        missing = []
        for ended in batch.ended:
            met = self._seen.get((ended.scan_id, ended.passes), set())
            if ended.verdict.certified:
                missing += [
                    Missing(record_id, parent)
                    for record_id, parent in stored.items()
                    if parent == ended.parent_id and record_id not in met
                ]
        return Loaded(changed, missing, rejects)

    def note_failures(self, stream, failed, now):
        self.failures += [(stream.name, one.parent_id, now) for one in failed]

    def still_missing(self, _, missing):
        return missing

    def weigh(self, _, missing):
        return Weighed([], missing, [])

    def suspects(self, _):
        return Suspects([], [])

    def note_absent(self, stream, records, proof=None):
        self.waiting += [(stream.name, record.record_id, proof) for record in records]

    def keep_count(self, *_):
        pass

    def brake(self, stream, deletions, share):
        self.brakes.append(deletions)
        if share is not None and deletions > self.limit:
            raise BrakeHeld(f"{stream.name}: {deletions} are too many")

    def mark_deleted(self, stream, record_ids, _):
        self.buried += [(stream.name, record_id) for record_id in sorted(record_ids)]
        for record_id in record_ids:
            self.stored.get(stream.name, {}).pop(record_id, None)
        return {stream.name: len(record_ids)}
