"""Fuzz: any value under any key of any kind of event. Nothing stops, neighbours are right.

Each odd event stands between good ones and ends in one of three ways: taken with its value, taken
with the value null and noted, or set aside with a reason. `make fuzz` searches longer.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from hashlib import sha256
from typing import Any

import pytest

from hatif.webhooks.schemas import SHAPES, keys_of
from tests.comparison import stored
from tests.fuzz import number_of_values, shown, typed_and_null
from tests.warehouse.webhooks.conftest import CHANNEL, Home, message
from warehouse.lake.schema import open_lake
from warehouse.merge.messages import merge

VALUES = number_of_values(300)
SEED = 19
NO_ID = "00000000-0000-0000-0000-000000000000"
#: JSON text of values, as they could come.
TEXTS = [
    *("null", "true", "false", "0", "1", "-1", "8", "0.5", "131047.0", "-0.0", "1e3"),
    *("2147483648", "9223372036854775807", "9223372036854775808", "18446744073709551616"),
    *("9" * 400, "1e308", "1e400", "-1e999999999999", "1e-400", "[]", "{}", "[null]", "[[]]"),
    *('["a"]', '{"a": 1}', '{"number": "0"}', '{"text": 5, "words": "x"}', "[" * 50 + "]" * 50),
    *('{"words": [{"start": "x", "text": null}, 5, null]}', '{"words": {"text": "x"}}'),
    *(r'"\u0000"', r'"a\u0000b"', r'"\ud83d"', r'"\ude00\ud83d"', r'"\ud83d\ude00"', r'"\u202e"'),
    *(r'"\u001b[2J"', r'"\n\r\t"', r'"\\"', r'"\""', '"\x7f"', '"\u2028"', '"ا\u0300\u0301"'),
    *map(
        json.dumps,
        [
            *("", " ", "x", "null", "true", "False", "1", "-5", "1.5", "NaN", "Infinity", "0x10"),
            *("{music} hello", "{", "[", "}", '{"a":', "[1, 2", '{"text": 1}', "'; DROP TABLE x"),
            *("Text", "Sent", "inbound", "Reaction", "unknown:", "unknown:x", "٣", "x" * 70_000),
            *("9999-12-31T23:59:59.9999999", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00"),
            *("1969-12-31T23:59:59Z", "1600-01-01T00:00:00Z", "8000-01-01T00:00:00Z"),
            *("294247-01-10T04:00:54Z", "2026-02-30T00:00:00Z", "2026-11-01", "10:00:00"),
            *("2026-11-01T10:00:00z", "2026-11-01T10:00Z", "2026-11-01T23:59:60Z"),
            *("2026-11-01T10:00:00+23:59", "2026-11-01T10:00:00+99:99", "infinity", "epoch"),
            *("00:00:05", "-00:00:05", "10675199.02:48:05.4775807", "99:99:99", "PT2M30S"),
            *(NO_ID, NO_ID.replace("-", ""), CHANNEL, CHANNEL.upper(), f"{{{CHANNEL}}}"),
            *("+966500000000", "9200", "+", "00", "a@b", "%s%n", "../..", "\\u0000", "🇸🇦" * 50),
        ],
    ),
]
BASES: dict[str, dict[str, Any]] = {
    "message": message(0),
    "call": {
        "callId": "",
        "channelId": CHANNEL,
        "status": 1,
        "type": 1,
        "creationTime": "2026-11-01T10:00:00Z",
        "callLength": "00:01:00",
    },
    "ivr": {
        "id": "",
        "channelId": CHANNEL,
        "destinationNumber": "0",
        "status": 4,
        "creationTime": "2026-11-01T10:00:00Z",
    },
    "workspace": {"eventType": "LastEventUpdated", "conversationId": ""},
}
_IDS = {
    "message": ("conversationId", "conversationEventId", "messageId"),
    "call": ("callId",),
    "ivr": ("id",),
    "workspace": ("conversationId",),
}


def _id(number: int) -> str:
    return f"3a2f0000-0000-0000-0001-{number:012x}"


def _odd(dice: random.Random, number: int) -> tuple[str, str, bytes]:
    """Return an event of some kind with some value under one of its keys: kind, key, body."""
    kind = dice.choice(list(SHAPES))
    key = dice.choice(keys_of(SHAPES[kind]))
    event = BASES[kind] | dict.fromkeys(_IDS[kind], _id(number))
    members = {name: json.dumps(value) for name, value in event.items()}
    members[key] = dice.choice(TEXTS)
    spelling = dice.choice([str, str, _pascal, _snake, str.upper])
    text = "{" + ",".join(f'"{spelling(name)}":{value}' for name, value in members.items()) + "}"
    wrapper = dice.choice(["%s", "%s", "%s", '{"data":%s,"eventType":"x"}', '{"a":{"b":%s}}'])
    return kind, key, wrapper.replace("%s", text).encode("utf-8", "surrogatepass")


def _pascal(key: str) -> str:
    return key[0].upper() + key[1:]


def _snake(key: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)


def test_any_value_under_any_key_stops_nothing(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = random.Random(SEED)
    odd = [_odd(dice, number) for number in range(VALUES)]
    lines, good = [], {}
    for number, (_, _, body) in enumerate(odd):
        talk = _id(VALUES + number)
        neighbour = message(VALUES + number, conversationId=talk, isBillable=number % 2 == 0)
        good[neighbour["conversationEventId"]] = (talk, f"text {VALUES + number}", number % 2 == 0)
        lines += [body, json.dumps(neighbour).encode()]
    home.write("fuzz.ndjson", b"\n".join(lines) + b"\n")

    done = home.ingest()
    with open_lake(home.settings) as lake:
        merge(lake)
        again = merge(lake)

    assert (again.deliveries, again.messages, again.calls, again.ivr_calls) == (0, 0, 0, 0)
    messages = stored(
        home.settings,
        "SELECT event_id, conversation_id, body, is_billable, status, direction, sent_at "
        "FROM core.messages WHERE conversation_id >= '3a2f'",
    )
    found = {row["event_id"]: row for row in messages}
    for event_id, expected in good.items():
        row = found[event_id]
        assert (row["conversation_id"], row["body"], row["is_billable"]) == expected
        assert (row["status"], row["direction"], str(row["sent_at"])[:10]) == (
            *("sent", "outbound", "2026-11-01"),
        )
    rejects = stored(home.settings, "SELECT reason FROM ops.rejects WHERE replayed_at IS NULL")
    drift = stored(home.settings, "SELECT what FROM ops.drift WHERE stream = 'webhook_events'")
    accepted = done.deliveries - len(good)
    assert accepted + done.rejected <= len(odd)
    assert accepted + done.rejected >= len({body for _, _, body in odd})
    reasons = Counter(row["reason"] for row in rejects)
    assert not any(reason.startswith("refused:") for reason in reasons)
    assert set(reasons) <= {
        *("bad_encoding", "bad_json", "missing_ids", "unknown_kind", "duplicate_keys", "too_deep"),
        *(reason for reason in reasons if reason.startswith("bad_value:")),
    }
    with capsys.disabled():
        sys.stdout.write(
            f"{shown('kind', _outcomes(home, odd))}"
            f"{dict(reasons.most_common())}, {len(drift)} keys noted as unreadable\n"
        )


#: Where each kind's deliveries are typed.
_TYPED = {"message": "message_statuses", "call": "call_statuses", "ivr": "ivr_statuses"}


def _outcomes(home: Home, odd: list[tuple[str, str, bytes]]) -> dict[str, Counter[str]]:
    """Return what became of the odd events, by the kind they were made as.

    A value can make it another kind's event, which counts as typed: it is stored.
    """
    found: dict[str, Counter[str]] = {}
    accepted = {
        row["delivery_id"] for row in stored(home.settings, "FROM raw.webhook_events SELECT *")
    }
    for kind in SHAPES:
        ids = {sha256(body).hexdigest() for made_as, _, body in odd if made_as == kind}
        rows: list[tuple[Any, ...]] = []
        if kind in _TYPED:
            table = stored(home.settings, f"FROM core.{_TYPED[kind]}")
            rows = [tuple(row.values()) for row in table if row["delivery_id"] in ids]
        found[kind] = typed_and_null(rows)
        found[kind]["typed"] += len(ids & accepted) - len(rows)
        found[kind]["set aside"] = len(ids - accepted)
    return found
