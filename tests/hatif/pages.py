"""Bodies of list answers, and their pages."""

import json
from typing import Any

from hatif.streams import STREAMS
from hatif.wire import decode_page
from tests.hatif.conftest import SPELLING

CONTACTS, CHANNELS, TAGS = STREAMS["contacts"], STREAMS["channels"], STREAMS["tags"]
TIMELINES, STATISTICS = STREAMS["timelines"], STREAMS["property_statistics"]
RECORD: dict[str, Any] = {
    "id": "3A1C365D-9E72-C1D3-2A3A-F4D46B0A18E8",
    "name": "نورة 😀",
    "creationTime": "2026-10-31T08:15:02.1234567",
    "channel": {"id": "c", "name": None, "creationTime": "x"},
    "tags": [{"id": "t1", "name": "a"}],
    "customFields": {"Loyalty_Tier": "gold", "ID": 7},
    "amount": 12345678901234567890.123456789,
}


def decode(body, stream=CONTACTS, parent=None):
    if not isinstance(body, (bytes, bytearray)):
        body = json.dumps(body).encode()
    return decode_page(body, stream, SPELLING, parent)


def page_of(*raws):
    return b'{"totalCount":%d,"items":[%s]}' % (len(raws), b",".join(raws))


def good(number):
    return b'{"id":"good-%d","name":"x"}' % number
