"""Fuzz: any value in any field of any stream. Nothing stops, neighbours are right.

Each odd record stands between good ones and ends in one of three ways: in core, in core with the
value NULL and noted in ``ops.drift``, or set aside with a reason. `make fuzz` searches
longer.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from hatif.errors import Undecodable
from hatif.streams import STREAMS
from tests.fuzz import number_of_values, shown, typed_and_null
from tests.warehouse.batches import batch
from warehouse.lake import schema
from warehouse.lake.connection import Lake
from warehouse.models.model import key_of, models, table_of
from warehouse.records.loader import Loader
from warehouse.records.rebuild import rebuild
from warehouse.settings.environment import Settings

VALUES = number_of_values(400)
SEED = 23
NO_ID = "00000000-0000-0000-0000-000000000000"
#: JSON text of values, as they could come.
TEXTS = [
    *("null", "true", "false", "0", "1", "-1", "7", "2.5", "131047.0", "-0.0", "1e3"),
    *("2147483648", "9223372036854775807", "9223372036854775808", "-9223372036854775809"),
    *("18446744073709551616", "9" * 400, "1e308", "1e400", "-1e999999999999", "1e-400"),
    *("[]", "{}", "[null]", "[[]]", '["a"]', '{"a": {"b": [1]}}', '{"number": {"x": 1}}'),
    *('{"value": "{"}', '{"id": null, "name": 5}', '{"id": {}}', '{"": ""}', '[{"id": "x"}, 5]'),
    *("[" * 60 + "]" * 60, "[" * 9_000 + "]" * 9_000, '{"a":' * 400 + "1" + "}" * 400),
    *(r'"\u0000"', r'"a\u0000b"', r'"\ud83d"', r'"\ude00\ud83d"', r'"\ud83d\ude00"', r'"\u202e"'),
    *(r'"\u001b[2J"', r'"\n\r\t"', r'"\\"', r'"\""', '"\x7f"', '"\u2028"', '"ا\u0300\u0301"'),
    *map(
        json.dumps,
        [
            *("", " ", "x", "null", "true", "False", "1", "-5", "1.5", "NaN", "Infinity", "0x10"),
            *("{music} hello", "{", "[", "}", '{"a":', "[1, 2", '{"value": 1}', "'; DROP TABLE x"),
            *("Open", "whatsapp", "unknown:", "unknown:x", "٣", "x" * 70_000, "🇸🇦" * 50),
            *("9999-12-31T23:59:59.9999999", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00"),
            *("1969-12-31T23:59:59Z", "1600-01-01T00:00:00Z", "8000-01-01T00:00:00Z"),
            *("294247-01-10T04:00:54Z", "2026-02-30T00:00:00Z", "2026-11-01", "10:00:00"),
            *("2026-11-01T10:00:00z", "2026-11-01T10:00", "2026-11-01T23:59:60", "1763632800000"),
            *("2026-11-01T10:00:00+23:59", "2026-11-01 10:00:00 UTC", "infinity", "epoch"),
            *("01/05/1990", "25/12/1990", "31.12.9999", "02:30", "PT2M30S", "100:00:00"),
            *("00:00:05", "-00:00:05", "10675199.02:48:05.4775807", "99:99:99", "٠٠:٠٢:٣٠"),
            *(NO_ID, "+966500000000", "9200", "+88216", "+" * 300, "00", "٠٥٠٠٠٠٠٠٠٠"),
        ],
    ),
]
_AUDIT = {"creationTime": "2026-11-01T10:00:00", "lastModificationTime": "2026-11-02T10:00:00"}
#: A record of each stream with every field that is typed; ``*`` stands for its id.
BASES: dict[str, dict[str, Any]] = {
    "channels": {
        "id": "*",
        "workspaceId": "w",
        "name": "n",
        "type": 3,
        "phoneNumber": {"id": "p", "number": "+966500000000"},
        **_AUDIT,
    },
    "users": {
        "id": "m",
        "userId": "*",
        "name": "n",
        "email": "e",
        "phoneNumber": "+966500000000",
        "role": 1,
        "isAiAgent": False,
        "creationTime": "2026-11-01T10:00:00",
    },
    "tags": {"id": "*", "name": "n", "icon": "i", "isPinned": True, "creationTime": "2026-11-01"},
    "property_definitions": {
        "id": "*",
        "name": "n",
        "key": "k",
        "type": 3,
        "isRequired": True,
        "selectOptions": [{"value": "v", "color": "c"}, "plain"],
        **_AUDIT,
    },
    "contacts": {
        "id": "*",
        "name": "n",
        "phoneNumber": "+966500000000",
        "phone": None,
        "contactType": 1,
        "email": "e",
        "company": "c",
        "position": "p",
        "customFields": {"a": 1},
        "customProperties": [
            {
                "propertyDefinitionId": "d",
                "propertyName": "n",
                "propertyType": 2,
                "textValue": "t",
                "numberValue": 5,
                "dateValue": "1990-05-01",
                "selectValue": {"value": "v"},
            }
        ],
        "notes": [
            {
                "id": "n*",
                "text": "t",
                "creatorName": "c",
                "creatorId": "c",
                "creationTime": "2026-11-01T10:00:00",
            }
        ],
        **_AUDIT,
    },
    "contact_history": {
        "id": "*",
        "propertyName": "Email",
        "oldValue": "a",
        "newValue": "b",
        "creatorId": "c",
        "creationTime": "2026-11-01T10:00:00",
    },
    "conversations": {
        "id": "*",
        "channelId": "c",
        "contactId": "c",
        "status": 1,
        "sentiment": 1,
        "lastActivityAt": "2026-11-01T10:00:00Z",
        "assigneeId": "u",
        "assignedAiAgentId": "u",
        "isAiAssignee": True,
        "assigneeName": "n",
        "lastEventSourceType": 1,
        "lastEventDirection": 1,
        "lastEventStatus": "Sent",
        "lastEventOccurredAt": "2026-11-01T10:00:00Z",
        "lastEventsCount": 3,
        "tags": [{"id": "t", "name": "n"}, "plain"],
    },
    "timelines": {
        "eventId": "*",
        "conversationId": "c",
        "contactId": "c",
        "channelId": "c",
        "sourceType": 1,
        "sourceId": "s",
        "direction": 1,
        "creationTime": "2026-11-01T10:00:00Z",
        "status": "Answered",
        "errorCode": "131047",
        "failureReason": "r",
        "isAi": False,
        "attachment": {"url": "u"},
        "ownerUserId": "u",
        "aiAgentId": "u",
        "handlerName": "n",
        "durationOrSize": "00:02:30",
        "ringingDuration": "00:00:05",
        "body": "b",
        "aiSummary": {"summary": ["s"], "transcription": "t"},
        "replyTo": {"repliedToEventId": "e"},
        "internalThread": {"id": "t", "isResolved": True, "messageCount": 2},
        "location": {"latitude": 24.7, "longitude": 46.7, "name": "n", "address": "a"},
        "assignation": {
            "assignedUserId": "u",
            "assignedAiAgentId": "u",
            "assignedByUserId": "u",
        },
    },
}
_TABLES = [model.table for model in models("core") if model.stream and not model.is_view]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a record, containers included, but for the record itself."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, (*path, number))


def _record(stream: str, record_id: str, path: tuple[Any, ...] = (), text: str = "") -> bytes:
    """A record as JSON text, with `text` at one place in it."""
    record = json.loads(json.dumps(BASES[stream]).replace("*", record_id))
    if path:
        inside = record
        for step in path[:-1]:
            inside = inside[step]
        inside[path[-1]] = "@"
    return json.dumps(record).replace('"@"', text).encode()


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    with Lake(Settings.load(home=tmp_path / "home")) as lake:
        lake.write("make the tables", schema.create)
        yield lake


def _rows(lake: Lake, sql: str) -> list[tuple[Any, ...]]:
    with lake.reading() as connection:
        return connection.execute(sql).fetchall()


def _stored_ids(lake: Lake, stream: str) -> set[str]:
    return {key for (key,) in _rows(lake, f"SELECT {key_of(stream)} FROM {table_of(stream)}")}


def _fuzz(lake: Lake, stream: str, values: int, dice: random.Random) -> Counter[str]:
    """Load odd records among good ones; return what became of the odd ones."""
    found = [path for path in places(BASES[stream]) if path != (STREAMS[stream].id_key,)]
    parent = "p" if STREAMS[stream].parent else None
    odd = [
        _record(stream, f"odd{number}x", dice.choice(found), dice.choice(TEXTS))
        for number in range(values)
    ]
    good = [_record(stream, f"good{number}x") for number in range(values // 10 + 2)]
    records = odd + good
    dice.shuffle(records)
    loaded = Loader(lake, "run").load(batch(stream, parent, *records))

    stored = _stored_ids(lake, stream)
    set_aside = {reject.raw.encode() for reject in loaded.rejects}
    assert {f"good{number}x" for number in range(len(good))} <= stored
    for number, text in enumerate(odd):
        is_rejected = any(f'"odd{number}x"'.encode() in raw for raw in set_aside)
        assert (f"odd{number}x" in stored) != is_rejected, text[:300]
    rows = f"FROM {table_of(stream)} WHERE starts_with({key_of(stream)}, 'odd')"
    return typed_and_null(_rows(lake, rows)) + Counter({"set aside": len(loaded.rejects)})


def test_any_value_in_any_field_of_any_stream_stops_nothing(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = random.Random(SEED)
    counts = {stream: _fuzz(lake, stream, VALUES // len(BASES), dice) for stream in BASES}
    ((noted,),) = _rows(lake, "SELECT count(*) FROM ops.drift WHERE kind = 'value'")
    with capsys.disabled():
        sys.stdout.write(f"{shown('stream', counts)}{noted} keys noted as unreadable\n")
    total = sum(counts.values(), Counter[str]())
    assert total.total() == len(BASES) * (VALUES // len(BASES))
    assert min(total["set aside"], total["typed"], total["NULL"], noted) > 0
    reasons = _rows(lake, "SELECT DISTINCT reason FROM ops.rejects ORDER BY 1")
    assert {reason for (reason,) in reasons} <= {"bad_json", "bad_value:creationTime"}
    before = {table: sorted(map(repr, _rows(lake, f"FROM {table}"))) for table in _TABLES}

    rebuild(lake, lambda *_: None)

    for table, rows in before.items():
        assert sorted(map(repr, _rows(lake, f"FROM {table}"))) == rows, table


def test_any_value_as_an_id_or_an_answer_stops_nothing(lake: Lake) -> None:
    for stream in BASES:
        odd = [_record(stream, "x", (STREAMS[stream].id_key,), text) for text in TEXTS]
        loaded = Loader(lake, "run").load(
            batch(stream, "p" if STREAMS[stream].parent else None, *odd, _record(stream, "good"))
        )
        assert "good" in _stored_ids(lake, stream)
        assert {reject.reason for reject in loaded.rejects} == {"bad_json", "missing_id"}
    for text in random.Random(SEED).sample(TEXTS, 12):
        try:
            made = batch("property_statistics", "p", text.encode())
        except Undecodable:
            continue
        Loader(lake, "run").load(made)
    kept = _rows(lake, "SELECT DISTINCT record_id FROM raw.records WHERE record_id = ''")
    assert kept == []


def test_a_rebuild_sets_a_version_aside_that_duckdb_refuses(lake: Lake) -> None:
    Loader(lake, "run").load(batch("tags", None, *(_record("tags", f"t{n}") for n in range(9))))

    def damage(connection: duckdb.DuckDBPyConnection) -> None:
        broken = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"id": ']))
        connection.register("broken", pa.table({"payload": broken}))
        connection.execute(
            "UPDATE raw.records SET payload = (SELECT payload FROM broken) WHERE record_id = 't4'"
        )
        connection.unregister("broken")

    lake.write("damage one", damage)
    assert rebuild(lake, lambda *_: None)["tags"] == 8
    assert _stored_ids(lake, "tags") == {f"t{n}" for n in range(9)} - {"t4"}
    rejects = _rows(lake, "SELECT stream, reason FROM ops.rejects")
    assert [stream for stream, _ in rejects] == ["tags"]
    assert rejects[0][1].startswith("refused:Malformed JSON")
