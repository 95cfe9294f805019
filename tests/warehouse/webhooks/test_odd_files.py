"""Odd files, lines and links: each ends in the lake or among the rejects, and stops nothing."""

from __future__ import annotations

import errno
import gzip
import json
import os
from pathlib import Path

import pytest

from hatif.webhooks import units
from tests.warehouse.webhooks.conftest import CHANNEL, TALK, Home, line, message


def _numbers(home: Home) -> list[int]:
    return sorted(int(json.loads(body)["body"].split()[1]) for body in home.bodies())


def _open(home: Home) -> dict[str, str]:
    return {row["location"]: row["reason"] for row in home.rejects() if row["replayed_at"] is None}


def test_a_last_line_too_long_to_be_held_is_set_aside_in_a_packed_file_too(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "LONGEST_LINE", 50_000)
    ends = [(size, end) for size in (700_000, 1_500_000) for end in (b"", b"\n")]
    for number, (size, end) in enumerate(ends):
        long = b'{"%d":"' % number + b"y" * size + b'"}'
        content = line(number) + b"\n" + long + end
        home.write(f"{number}.ndjson.gz", gzip.compress(content))
    home.ingest()
    assert _numbers(home) == [0, 1, 2, 3]
    assert _open(home) == {f"{number}.ndjson.gz:2": "oversized" for number in range(4)}


def test_a_link_that_cannot_be_followed_is_set_aside_and_stops_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.write("z.ndjson", line(1))
    (home.directory / "long.ndjson").symlink_to("b" * 300)
    (home.directory / "folder").symlink_to("c" * 300)
    (home.directory / "one.json").symlink_to("two.json")
    (home.directory / "two.json").symlink_to("one.json")
    (home.directory / "shut.json").symlink_to("closed/a.json")
    looked_at = os.stat

    def refusing(path: str | Path, **named: bool) -> os.stat_result:
        if "closed" in str(path):
            raise PermissionError(errno.EACCES, "Permission denied")
        return looked_at(path, **named)

    monkeypatch.setattr(os, "stat", refusing)
    assert (home.ingest().new, home.ingest().rejected) == (1, 0)
    names = ["long.ndjson", "folder", "one.json", "two.json", "shut.json"]
    assert _open(home) == dict.fromkeys(names, "unreadable")


def test_a_body_with_a_receive_time_of_its_own_is_a_body_in_any_spelling(home: Home) -> None:
    for spelling in ("ChannelId", "channel_id", "CHANNELID", "channelId"):
        for at in ("2026-11-01T10:00:00Z", "2026-11-01T10:00:00", None):
            known = {key: value for key, value in message(1).items() if key != "channelId"}
            body = {spelling: CHANNEL, "received_at": at} | known
            home.write(f"{spelling} {at}.json", json.dumps(body).encode())
    assert (home.ingest().new, home.rejects()) == (12, [])
    assert {event["channel_id"] for event in home.events()} == {CHANNEL}


def test_values_of_an_array_on_lines_of_their_own_are_read_in_a_file_of_lines(home: Home) -> None:
    home.write("a.ndjson", b"[\n" + line(1) + b",\n" + line(2) + b" ,\r\n" + line(3) + b"\n]\n")
    home.write("b.ndjson", b"2026-11-01T10:00:00Z INFO " + line(4) + b"\n" + line(5) + b"\n")
    home.ingest()
    assert _numbers(home) == [1, 2, 3, 5]
    assert _open(home) == dict.fromkeys(["a.ndjson:1", "a.ndjson:5", "b.ndjson:1"], "bad_json")


def test_an_event_as_text_in_a_wrapper_is_set_aside_and_never_passed_over(home: Home) -> None:
    """A text can be a customer's, so it is no event; but it can be what a relay made of one."""
    event = {"eventType": "x", "conversationId": TALK}
    texts = [message(1), [message(1)], {"Records": [{"callId": "1"}]}]
    texts.append(json.dumps({"Data": message(1)}))
    harmless = event | {"note": '{"somebody wrote": "messageType"}'}
    for number, text in enumerate(texts):
        for name, separators in (("compact", (",", ":")), ("spaced", None)):
            wrapper = event | {"payload": json.dumps(text)}
            content = json.dumps(wrapper, separators=separators)
            home.write(f"{name}{number}.json", content.encode())
            home.write(f"{name}.json", json.dumps(harmless, separators=separators).encode())
    home.ingest()
    assert len(_open(home)) == 2 * len(texts)
    assert set(_open(home).values()) == {"unknown_kind"}
    assert [event["kind"] for event in home.events()] == ["workspace"] * 2
