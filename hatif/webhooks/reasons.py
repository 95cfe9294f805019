"""Why something is rejected: the codes in ``ops.rejects.reason`` of source ``webhook``."""

from __future__ import annotations

from enum import StrEnum

from hatif.errors import HatifError


class Reason(StrEnum):
    """A named reason; wrong values have one for each key, see `bad_value`."""

    BAD_ENCODING = "bad_encoding"  # no UTF-8, a byte-order mark, NUL, half a surrogate pair
    BAD_ENVELOPE = "bad_envelope"  # receive time, headers or body of an envelope are malformed
    BAD_JSON = "bad_json"
    BAD_SIGNATURE = "bad_signature"  # missing or wrong, and the channel has a secret
    BOMB = "compression_bomb"  # expands beyond all reason
    CORRUPT = "corrupt_compression"
    DUPLICATE_KEYS = "duplicate_keys"  # two readers would see two different events
    EMPTY = "empty"
    FOREIGN = "foreign_workspace"  # of another workspace than the home's
    MISSING_IDS = "missing_ids"
    NOT_AN_OBJECT = "not_an_object"
    OUTSIDE = "outside_directory"  # a link that leads out of the directory
    OVERSIZED = "oversized"
    SEVERAL_EVENTS = "several_events"  # in one wrapper: which one counts cannot be known
    TOO_DEEP = "too_deep"
    TRUNCATED = "truncated"  # half a line, or compressed data that ends early, for an hour
    UNKNOWN_KIND = "unknown_kind"
    # Permissions, a broken disk, a dangling link, no regular file, an object like a//b or a/../b.
    UNREADABLE = "unreadable"


class InvalidUnit(HatifError):
    """A unit that is set aside, and the `reason` why; raised and caught inside webhooks only."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def bad_value(key: str) -> str:
    """Return the reason for a known key whose value is of the wrong type."""
    return f"bad_value:{key}" if key else "bad_value"
