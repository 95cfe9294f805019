"""Whatever lies in a webhook file ends in the lake or, named, among the rejects."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from hatif.webhooks.parse import LARGEST
from pipelines.cli import main
from tests.pipelines.conftest import environment
from tests.warehouse.webhooks.conftest import (
    AT,
    CHANNEL,
    TALK,
    Home,
    encoded,
    envelope,
    line,
    message,
)

_CALL: dict[str, Any] = {
    "callId": "3a1f0000-0000-0000-0000-0000000000d1",
    "channelId": CHANNEL,
    "status": 1,
    "type": 1,
    "creationTime": "2026-11-01T10:00:00Z",
}
_IVR: dict[str, Any] = {
    "id": "3a1f0000-0000-0000-0000-0000000000e1",
    "channelId": CHANNEL,
    "destinationNumber": "0",
    "status": 4,
    "creationTime": "2026-11-01T10:00:00Z",
}


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _wrong(base: dict[str, Any], *keys: str) -> dict[str, bytes]:
    """The body with an object where the key promises text or a number."""
    return {
        f"{next(iter(base))} with wrong {key}": _json(base | {key: {"un": "expected"}})
        for key in keys
    }


#: Lines that must be rejected, each by its name; the reason begins with what stands beside it.
LINES: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"not json at all", "bad_json"),
    "cut off": (line(900)[:-20], "bad_json"),
    "a comma too many": (b'{"messageType":"Text",}', "bad_json"),
    "single quotes": (b"{'messageType':'Text'}", "bad_json"),
    "NaN": (line(901).replace(b'"isBillable": true', b'"isBillable": NaN'), "bad_json"),
    "Infinity": (line(902).replace(b'"isBillable": true', b'"latitude": Infinity'), "bad_json"),
    "minus": (b'{"callId": -}', "bad_json"),
    "a control character": (b'{"messageType":"Te\x01xt"}', "bad_"),
    "an unknown escape": (b'{"messageType":"\\q"}', "bad_json"),
    "text": (b'"just text"', "not_an_object"),
    "a number": (b"17", "not_an_object"),
    "null": (b"null", "not_an_object"),
    "true": (b"true", "not_an_object"),
    "a list in a line": (b"[1, 2]", "not_an_object"),
    "an empty object": (b"{}", "unknown_kind"),
    "a stranger": (b'{"hello":"world"}', "unknown_kind"),
    "an empty wrapper": (b'{"data":{},"eventType":null}', "missing_ids"),
    "a list in a wrapper": (_json({"data": [{"id": "1"}], "eventType": "x"}), "not_an_object"),
    "a list of events": (_json({"data": [message(930), _CALL]}), "several_events"),
    "text in a wrapper": (_json({"data": "callId", "eventType": None}), "not_an_object"),
    "a phone number as an object for an id": (
        _json(message(931, conversationId={"number": "0", "countryCode": "966"})),
        "bad_value:conversationId",
    ),
    "a day that is not in the calendar": (
        _json(message(932, creationTime="2026-02-30T10:00:00Z")),
        "bad_value:creationTime",
    ),
    "a time that says nothing": (_json(message(933, creationTime="")), "bad_value:creationTime"),
    "a message four levels deep": (
        _json({"a": {"b": [{"c": {"d": message(934)}}]}}),
        "unknown_kind",
    ),
    "two messages in a wrapper": (
        _json({"eventType": "x", "before": message(935), "after": message(936)}),
        "several_events",
    ),
    "a byte-order mark": (b"\xef\xbb\xbf" + line(903), "bad_encoding"),
    "Latin-1": (line(904).replace(b"text", b"t\xe9xt"), "bad_encoding"),
    "half a surrogate pair": (line(905).replace(b"text 905", b"\\ud83d"), "bad_encoding"),
    "the other half": (line(906).replace(b"text 906", b"\\ude00 x"), "bad_encoding"),
    "an escaped NUL": (line(907).replace(b"text 907", b"\\u0000"), "bad_encoding"),
    "a NUL": (line(908).replace(b"text 908", b"\x00"), "bad_"),
    "deep nesting": (b'{"callId":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "too_deep"),
    "deep objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "too_deep"),
    "duplicate keys": (line(909)[:-1] + b',"status":"Read"}', "duplicate_keys"),
    "2 MiB": (line(910, body="x" * (2 << 20)), "oversized"),
    "a byte too many": (b'{"x":"' + b"y" * (LARGEST - 7) + b'"}', "oversized"),
    "a message without conversation and ids": (
        _json({"messageType": "Text", "status": "Sent", "channelId": CHANNEL}),
        "missing_ids",
    ),
    "a call with an empty id": (_json(_CALL | {"callId": ""}), "missing_ids"),
    "a call with a null id": (_json(_CALL | {"callId": None}), ""),
    "an IVR call without id": (
        _json({k: v for k, v in _IVR.items() if k != "id"}),
        "missing_ids",
    ),
    "two bodies in an envelope": (
        _json({"received_at": AT, "body": "{}", "body_base64": "e30="}),
        "bad_envelope",
    ),
    "an envelope without time zone": (
        _json({"received_at": "2026-11-01T10:00:00", "body": "{}"}),
        "bad_envelope",
    ),
    "an envelope of yesterday": (_json({"received_at": "yesterday", "body": "{}"}), "bad_envelope"),
    "an envelope with a number for body": (_json({"received_at": AT, "body": 5}), "bad_envelope"),
    "broken base64": (_json({"received_at": AT, "body_base64": "!!!"}), "bad_envelope"),
    "an envelope with nothing in it": (envelope(b""), "empty"),
    "an envelope with text in it": (envelope(b"hello"), "bad_json"),
    "bytes that are no text, encoded": (encoded(b"\xff\xfe\x00"), "bad_encoding"),
    "UTF-16, encoded": (encoded(line(911).decode().encode("utf-16")), "bad_encoding"),
    "a signature of another secret": (envelope(line(912, channelId="signed"), b"no"), "bad_sig"),
    "no signature": (envelope(line(913, channelId="signed")), "bad_signature"),
    "no envelope, so no signature": (line(914, channelId="signed"), "bad_signature"),
    "a signature in capitals": (
        envelope(line(915, channelId="signed")).replace(
            b'"headers": {', b'"headers": {"X-Voxa-Signature": "ABCDEF", '
        ),
        "bad_signature",
    ),
}
for _name, _body in {
    **_wrong(
        message(920),
        *("channelId", "conversationId", "conversationEventId", "messageId", "creationTime"),
    ),
    **_wrong(_CALL, "callId", "channelId", "creationTime"),
    **_wrong(_IVR, "id", "channelId", "creationTime"),
}.items():
    LINES[_name] = (_body, "bad_value:")


def _good(number: int) -> bytes:
    return line(number)


def test_there_are_at_least_sixty() -> None:
    assert len(LINES) + 8 >= 60


def test_each_bad_line_is_rejected_under_its_name_between_good_neighbours(home: Home) -> None:
    good: list[str] = []
    for number, (bad, _) in enumerate(LINES.values()):
        before, behind = line(2 * number), line(2 * number + 1)
        good += [before.decode(), behind.decode()]
        home.write(f"{number:03}.ndjson", b"\n".join((before, bad, behind)) + b"\n")

    done = home.ingest("signed=secret")

    assert home.bodies() == set(good)
    found = {row["location"]: row for row in home.rejects()}
    wrong = {}
    for number, (name, (_, reason)) in enumerate(LINES.items()):
        row = found.get(f"{number:03}.ndjson:2")
        if row is None or not row["reason"].startswith(reason):
            wrong[name] = (reason, row and row["reason"])
    assert wrong == {}
    assert done.rejected == len(LINES) == len(found)
    assert done.new == len(good)
    assert not any("secret" in str(row["raw"]) for row in found.values())


def test_each_bad_file_is_rejected_under_its_name_and_the_others_are_read(
    home: Home, tmp_path: Path
) -> None:
    home.write("good.ndjson", _good(1) + b"\n")
    (tmp_path / "outside.json").write_bytes(_good(2))
    (home.directory / "link.json").symlink_to(tmp_path / "outside.json")
    (home.directory / "dangling.json").symlink_to(home.directory / "nowhere")
    os.mkfifo(home.directory / "pipe.json")
    home.write("empty.json", b"")
    home.write("bomb.json.gz", gzip.compress(b"0" * (300 << 20), 9))
    packed = bytearray(gzip.compress(b"\n".join(_good(n) for n in range(100, 300)) + b"\n"))
    packed[200:220] = b"\xff" * 20
    home.write("broken.ndjson.gz", bytes(packed))
    home.write("no.json.gz", b"this is no gzip")
    home.write("no.json.zst", b"this is no zstd")
    home.write("utf16.json", _good(4).decode().encode("utf-16"))
    home.write("../odd/..;rm -rf.json", b"{")  # beside the directory: not ours to read
    home.write("odd $(name) 'ü.json", _good(5))

    home.ingest()

    reasons = {row["location"].split(":")[0]: row["reason"] for row in home.rejects()}
    assert reasons["link.json"] == "outside_directory"
    assert reasons["dangling.json"] == "unreadable"
    assert reasons["pipe.json"] == "unreadable"
    assert reasons["empty.json"] == "empty"
    assert reasons["bomb.json.gz"] in ("compression_bomb", "oversized")
    assert reasons["broken.ndjson.gz"] in ("corrupt_compression", "bad_json", "bad_encoding")
    assert reasons["no.json.gz"] == "corrupt_compression"
    assert reasons["no.json.zst"] == "corrupt_compression"
    assert reasons["utf16.json"] == "bad_encoding"
    assert home.bodies() >= {_good(1).decode(), _good(5).decode()}
    assert _good(2).decode() not in home.bodies()


def test_the_command_says_so_and_a_second_run_has_nothing_new_to_complain_of(home: Home) -> None:
    home.write("a.ndjson", _good(1) + b"\nnonsense\n")
    variables = environment(
        HATIF_HOME=str(home.settings.home), HATIF_WEBHOOK_DIR=str(home.directory)
    )

    first = CliRunner(env=variables).invoke(main, ["sync", "--only", "webhooks", "--json"])
    second = CliRunner(env=variables).invoke(main, ["sync", "--only", "webhooks", "--json"])

    assert first.exit_code == 1
    assert "1 record set aside; see: hatif rejects" in first.stderr
    reported = json.loads(first.stdout)
    assert (reported["webhook_events"], reported["rejects"]) == (1, 1)
    assert second.exit_code == 0
    listed = CliRunner(env=variables).invoke(main, ["rejects", "list", "--json", "--raw"])
    assert [row["reason"] for row in json.loads(listed.stdout)] == ["bad_json"]
    assert json.loads(listed.stdout)[0]["raw"] == "nonsense"
    assert TALK in home.events()[0]["conversation_id"]
