"""The service's webhooks: notices of messages and calls, and the ways they take.

``messages`` and ``calls`` make the notices of an event, ``bodies`` writes them as JSON,
``outbox`` collects what leaves between two instants, ``files`` and ``poster`` carry them,
``ledger`` keeps what has been received, and the truth modules what must come of it.
"""

from rehearsal.webhooks.files import FORMATS
from rehearsal.webhooks.ledger import Receipt, Written
from rehearsal.webhooks.outbox import RETRY_WAITS, SIGNATURE, Transport
from rehearsal.webhooks.poster import Attempt, Posted

__all__ = [
    "FORMATS",
    "RETRY_WAITS",
    "SIGNATURE",
    "Attempt",
    "Posted",
    "Receipt",
    "Transport",
    "Written",
]
