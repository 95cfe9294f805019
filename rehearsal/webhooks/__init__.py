"""The service's webhooks: what it tells of messages and calls, and the ways it takes.

``messages`` and ``calls`` decide what is told and when, ``bodies`` writes it as JSON,
``outbox`` collects what leaves between two instants, ``files`` and ``postman`` carry it,
``ledger`` knows what has been received, and the truth modules what must come of it.
"""

from rehearsal.webhooks.files import FORMATS
from rehearsal.webhooks.ledger import Receipt, Written
from rehearsal.webhooks.outbox import RETRY_WAITS, SIGNATURE, Transport
from rehearsal.webhooks.postman import Attempt, Posted

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
