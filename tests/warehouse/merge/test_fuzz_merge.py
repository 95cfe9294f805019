"""Fuzz: any value in any field of a timeline's event or a delivery. The merge ends all the same.

Each odd value has a conversation, a contact and a call of its own, known to the timeline and to
webhooks, amid good ones. What bears it ends in one of three ways: typed, typed with NULL in the
place of a value, or set aside with a reason. Some deliveries are stored without validation, as an
earlier version may have done. Raise ``VALUES`` for a longer search.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from hatif.webhooks.signatures import Secrets
from hatif.webhooks.validate import Content, Delivery, validate_body
from tests.template import make_home
from tests.warehouse.batches import batch_of_lists
from tests.warehouse.records import test_fuzz_streams as streams
from tests.warehouse.webhooks import test_fuzz_webhooks as webhooks
from warehouse.lake.connection import Lake
from warehouse.merge.messages import Merged, merge, merge_all
from warehouse.records.loader import Loader
from warehouse.records.rebuild import rebuild
from warehouse.settings.environment import Settings
from warehouse.webhooks.batch import WebhookBatch, store

VALUES = 100
SEED = 31
_PARTS = 2
_AT = datetime(2026, 11, 2, tzinfo=UTC)
_TEXTS = sorted(text for text in {*streams.TEXTS, *webhooks.TEXTS} if len(text) < 100_000)
_EVENT = streams.BASES["timelines"] | {"conversationId": "v*", "contactId": "k*"}
#: What each conversation has of events and deliveries; ``*`` stands for its number.
_BASES: dict[str, dict[str, Any]] = {
    "event": _EVENT | {"eventId": "e*", "sourceType": 2},
    "call event": _EVENT | {"eventId": "ce*", "sourceType": 1, "sourceId": "call*"},
    "message": webhooks.BASES["message"]
    | {"conversationId": "v*", "conversationEventId": "e*", "messageId": "w*", "contactId": "k*"}
    | {"status": "Failed", "senderUserId": "u", "errorCode": 5, "errorReason": "r"}
    | {"mediaUrl": "m", "mimeType": "m", "latitude": 1.5, "longitude": 1.5, "body": "b"},
    "call": webhooks.BASES["call"]
    | {"callId": "call*", "contactId": "k*", "pickupTime": "2026-11-01T10:00:05Z", "userId": "u"}
    | {
        "hangupTime": "2026-11-01T10:00:05Z",
        "transcription": {"words": [{"start": 1, "text": "x"}]},
    }
    | {"summary": "s", "sentiment": 1, "csatRating": 1, "csatMethod": "m", "isAiCall": False},
    "ivr": webhooks.BASES["ivr"]
    | {"id": "i*", "result": 1, "pressedDigit": "5", "callDurationSeconds": 5, "callId": "call*"},
}
#: Where each is typed, and by which key it is found there.
_TYPED = {
    "event": ("core.timeline_events", "event_id"),
    "call event": ("core.timeline_events", "event_id"),
    "message": ("core.message_statuses", "delivery_id"),
    "call": ("core.call_statuses", "delivery_id"),
    "ivr": ("core.ivr_statuses", "delivery_id"),
}
_MERGED = ("messages", "calls", "ivr_calls", "message_statuses", "call_statuses", "ivr_statuses")
Rows = dict[str, list[tuple[Any, ...]]]


class Item(NamedTuple):
    """An event or a delivery as JSON text, of the conversation with a number."""

    kind: str
    number: str
    text: str

    @property
    def is_event(self) -> bool:
        return self.kind.endswith("event")

    @property
    def key(self) -> str:
        """By which its typed row is found."""
        if self.is_event:
            return f"{'c' if self.kind == 'call event' else ''}e{self.number}"
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()


def _item(kind: str, number: str, path: tuple[Any, ...] = (), text: str = "") -> Item:
    """What a conversation has of a kind, with `text` at one place in it."""
    record = json.loads(json.dumps(_BASES[kind]).replace("*", number))
    if path:
        inside = record
        for step in path[:-1]:
            inside = inside[step]
        inside[path[-1]] = "@"
    return Item(kind, number, json.dumps(record).replace('"@"', text))


def _conversations(dice: random.Random, values: int) -> tuple[list[Item], list[Item], list[str]]:
    """Return all events and deliveries, the odd ones among them, and the numbers of good ones."""
    items, odd = [], []
    for number in range(values):
        kind = dice.choice(list(_BASES))
        places = [path for path in streams.places(_BASES[kind]) if path != ("eventId",)]
        found = [_item(other, str(number)) for other in _BASES if other != kind]
        odd.append(_item(kind, str(number), dice.choice(places), dice.choice(_TEXTS)))
        items += [*found, odd[-1]]
    good = [f"good{number}" for number in range(values // 10 + 2)]
    items += [_item(kind, number) for number in good for kind in _BASES]
    return items, odd, good


def _load(lake: Lake, items: Iterable[Item], dice: random.Random) -> None:
    """Store events and deliveries as the readers of the API and of files do."""
    lists: dict[str | None, list[bytes]] = {}
    received = WebhookBatch()
    for item in items:
        body = item.text.encode("utf-8", "surrogatepass")
        if item.is_event:
            lists.setdefault(f"v{item.number}", []).append(body)
            continue
        is_good = not item.number.isdigit()
        at = _AT + timedelta(seconds=0 if is_good else dice.randrange(900))
        if not is_good and dice.random() < 0.3 and _is_text(body):
            old = Delivery(item.key, item.kind, "ch", None, at, "unsigned", item.text, None, True)
            received.deliveries.append(old)
            continue
        verdict = validate_body(Content(body, at, None), Secrets(""), at)
        if isinstance(verdict, Delivery):
            received.deliveries.append(verdict)
        else:
            received.rejections.append(verdict._replace(location=item.key))
    Loader(lake, "run").load(batch_of_lists("timelines", lists))
    store(lake, received)


def _is_text(body: bytes) -> bool:
    """Whether a body is text that some version can have stored: UTF-8 without half a pair."""
    try:
        return "\0" not in body.decode()
    except UnicodeDecodeError:
        return False


def _rows(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with lake.reading() as connection:
        return connection.execute(sql).fetchall()


def _everything(lake: Lake) -> dict[str, list[str]]:
    """All rows of the merged tables, as text: NaN is not equal to itself."""
    return {
        table: [repr(row) for row in _rows(lake, f"FROM core.{table} ORDER BY ALL")]
        for table in _MERGED
    }


def _outcomes(lake: Lake, odd: Iterable[Item], good: str) -> Counter[str]:
    """Return how many of the odd ones were typed, typed with NULL in a place, and set aside."""
    nulls = {
        (kind, row[0]): sum(value is None for value in row)
        for kind, (table, key) in _TYPED.items()
        for row in _rows(lake, f"SELECT {key}, * FROM {table}")
    }
    found: Counter[str] = Counter()
    for item in odd:
        there = nulls.get((item.kind, item.key))
        if there is None:
            found["set aside"] += 1
        else:
            usual = _item(item.kind, good)
            found["typed" if there <= nulls[usual.kind, usual.key] else "NULL"] += 1
    return found


def _check_good(lake: Lake, good: Iterable[str]) -> None:
    """See that good conversations have a message, a call and an IVR call each, all alike."""
    for table, key, prefix in (
        ("messages", "message_key", "e"),
        ("calls", "call_key", "call"),
        ("ivr_calls", "ivr_id", "i"),
    ):
        rows = _rows(lake, f"SELECT {key}, * FROM core.{table} WHERE {key} LIKE '%good%'")
        assert {row[0] for row in rows} == {f"{prefix}{number}" for number in good}
        alike = {repr(row[1:]).replace(row[0].removeprefix(prefix), "") for row in rows}
        assert len(alike) == 1, alike


@pytest.fixture
def lake(settings: Settings) -> Iterator[Lake]:
    """One of its own: what other tests of the merge put into core stands in no raw."""
    make_home(settings)
    with Lake(settings) as lake:
        yield lake


def test_any_value_of_an_event_or_delivery_stops_no_merge(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = random.Random(SEED)
    items, odd, good = _conversations(dice, VALUES)
    dice.shuffle(items)
    for part in range(_PARTS):
        _load(lake, items[part::_PARTS], dice)
        merge(lake)
    assert merge(lake) == Merged()
    _check_good(lake, good)
    counts = _outcomes(lake, odd, good[0])
    reasons = Counter(dict(_rows(lake, "SELECT reason, count(*) FROM ops.rejects GROUP BY ALL")))
    with capsys.disabled():
        sys.stdout.write(f"\n{VALUES} values: {dict(counts)}, rejects: {dict(reasons)}\n")
    assert counts["set aside"] <= reasons.total()
    assert not any(reason.startswith("refused:") for reason in reasons), reasons

    kept = _everything(lake)
    rebuild(lake, lambda *_: None)
    merge_all(lake)
    for table, rows in _everything(lake).items():
        assert kept[table] == rows, table
