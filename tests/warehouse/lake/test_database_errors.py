"""What PostgreSQL says while it starts, stops or recovers passes; what it lacks does not."""

from __future__ import annotations

import pytest

from warehouse.lake.database_errors import explained

_AT = 'connection to server at "127.0.0.1", port 5432 failed: FATAL:  '


@pytest.mark.parametrize(
    "words",
    [
        "the database system is starting up",
        "the database system is shutting down",
        "the database system is in recovery mode",
        "the database system is not yet accepting connections",
        "the database system is not accepting connections",
        "57P01 terminating connection due to administrator command",
    ],
)
def test_a_server_that_starts_or_stops_is_named_and_tried_again(words: str) -> None:
    found = explained(_AT + words)
    assert found is not None
    assert found.passes
    assert "starting or stopping" in found.text


def test_a_database_that_takes_no_connections_is_named() -> None:
    found = explained(_AT + 'database "hatif" is not currently accepting connections')
    assert found is not None
    assert "database hatif takes no connections" in found.text


def test_a_database_that_is_not_there_does_not_pass() -> None:
    found = explained(_AT + 'database "hatif" does not exist')
    assert found is not None
    assert not found.passes


@pytest.mark.parametrize(
    "words",
    [
        'ERROR:  could not extend file "base/5/1": No space left on device',
        'ERROR:  could not extend file "base/5/1": wrote only 4096 of 8192 bytes at block 0',
        "wrote only 4096 of 8192 bytes at block 0 HINT: Check free disk space.",
        f"{_AT}could not write init file",  # as it refuses connections meanwhile
        "53100 x",
    ],
)
def test_a_full_disk_is_named_in_any_words_and_does_not_pass(words: str) -> None:
    found = explained(words)
    assert found is not None
    assert "the disk of the database's server is full" in found.text
    assert not found.passes


def test_a_session_or_transaction_that_the_server_ended_is_named_by_its_setting() -> None:
    for code in ("25P03", "25P04", "57P05"):
        found = explained(f"{code} terminating connection due to x")
        assert found is not None
        assert "idle_in_transaction_session_timeout" in found.text
