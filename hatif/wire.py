"""Records of an answer, and their keys in our spelling: bytes in, columns of JSON texts out.

A record stays the JSON text the service sent; only its id, its creation time and the key of the
list's order are looked at here, in one pass of msgspec over the page (`decode_page`). Typing the
rest is the warehouse's work, in SQL. What that SQL expects are camelCase keys, so a page that
spells keys otherwise is rewritten (`Spelling`), the slow way, before it goes on.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from hatif.envelope import UNREADABLE, fold, is_closed, unmask, unwrap
from hatif.errors import Undecodable
from hatif.streams import Stream

#: Free-form objects: the keys inside are the customer's, not the service's.
_FREE_FORM = frozenset({"customFields"})
_FREE_FOLDED = frozenset(map(fold, _FREE_FORM))
#: Sets of keys remembered: a service that leaves keys out where they are null has many.
_MOST_SHAPES = 1_000


class Spelling:
    """Recognises keys in any spelling and rewrites them to ours.

    Args:
        keys: all keys that the warehouse's SQL reads.
        documented: others that are known to come.
    """

    def __init__(self, keys: Iterable[str], documented: Iterable[str] = ()) -> None:
        self._keys = frozenset(keys) | _FREE_FORM
        self._by_fold = {fold(key): key for key in self._keys}
        self._known = frozenset(map(fold, documented)) | self._by_fold.keys()
        self._plain: set[tuple[str, ...]] = set()

    def look(self, records: list[Any]) -> tuple[set[str], bool]:
        """Return the records' undocumented keys, and whether all keys are canonical.

        Most records are flat and have the keys of those before them: these are recognised at once.
        """
        strange = [record for record in records if _flat_keys(record) not in self._plain]
        undocumented_keys, ours = self.undocumented_keys(strange), self.uses_canonical_keys(strange)
        if ours and not undocumented_keys and len(self._plain) < _MOST_SHAPES:
            self._plain.update(keys for keys in map(_flat_keys, strange) if keys is not None)
        return undocumented_keys, ours

    def undocumented_keys(self, record: Any) -> set[str]:
        """Return the undocumented keys, at any depth."""
        if isinstance(record, list):
            return set().union(*map(self.undocumented_keys, record))
        if not isinstance(record, dict):
            return set()
        found = {key for key in record if fold(key) not in self._known}
        return found.union(
            *(
                self.undocumented_keys(value)
                for key, value in record.items()
                if fold(key) not in _FREE_FOLDED
            )
        )

    def uses_canonical_keys(self, record: Any) -> bool:
        """Return whether every known key, at any depth, is canonical."""
        if isinstance(record, dict):
            return all(
                (key in self._keys or fold(key) not in self._by_fold)
                and (key in _FREE_FORM or self.uses_canonical_keys(value))
                for key, value in record.items()
            )
        return all(map(self.uses_canonical_keys, record)) if isinstance(record, list) else True

    def respell(self, record: Any) -> Any:
        """Return the record with every known key spelt our way; unknown keys stay as they are."""
        if isinstance(record, list):
            return [self.respell(item) for item in record]
        if not isinstance(record, dict):
            return record
        result = {}
        for key, value in record.items():
            ours = self._by_fold.get(fold(key), key)
            result[ours] = value if ours in _FREE_FORM else self.respell(value)
        return result


def _flat_keys(record: Any) -> tuple[str, ...] | None:
    """The keys of a record that holds no other; None for any other value."""
    if not isinstance(record, dict):
        return None
    nested = any(isinstance(value, (dict, list)) for value in record.values())
    return None if nested else tuple(record)


_ESCAPED_LETTER = re.compile(rb"\\u00[4-7]")
#: What .NET writes where there is no id.
_EMPTY_GUID = "00000000-0000-0000-0000-000000000000"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that cannot be loaded: why, its text (secrets cut) and where it stood."""

    stream: str
    reason: str
    raw: str
    location: str

    @property
    def reject_id(self) -> str:
        """The same bad record has the same id at every sight."""
        text = "\x1f".join((self.stream, self.reason, self.raw))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(slots=True)
class Page:
    """The records of one answer, as columns of equal length, in the order they came.

    Attributes:
        ids: lower-case record ids.
        payloads: each record's JSON text, UTF-8.
        times: the records' creation times as sent, None where missing.
        time_ids: the ids that carry the instants of insertion, as sent.
        order_keys: the values of the list's order key.
        received: records in the answer, the bad ones included.
        total: the list's length as the service counts it, None where it does not say.
        sequence: one mark for each record received, bad ones included: what stood where.
        rejects: the bad ones.
        listed: the answer was a bare list, which the service does not page.
        undocumented_keys: of its first and last record.
    """

    ids: list[str] = field(default_factory=list)
    payloads: list[bytes] = field(default_factory=list)
    times: list[str | None] = field(default_factory=list)
    time_ids: list[str | None] = field(default_factory=list)
    order_keys: list[str | None] = field(default_factory=list)
    received: int = 0
    total: int | None = None
    sequence: list[str] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    listed: bool = False
    undocumented_keys: set[str] = field(default_factory=set)


def decode_page(body: bytes, stream: Stream, spelling: Spelling, parent: str | None) -> Page:
    """Split the body of a list answer into records.

    Bad records end in `Page.rejects`; the good ones beside them are unharmed.

    Raises:
        Undecodable: the body is no JSON, or no list in any wrapping we know.
    """
    if stream.whole:
        return _whole(body, stream, parent)
    raws, total, listed, hidden = unwrap(body)
    page = Page(received=len(raws), total=total, listed=listed)
    page.undocumented_keys, ours = _look(raws, spelling)
    plain = ours and not hidden and _is_sound(body) and not _holds_secret(body, stream)
    heads = _heads(raws, stream) if plain else None
    if heads is None:
        _decode_one_by_one(page, raws, stream, spelling, parent)
    else:
        page.ids = [record_id.strip().lower() for record_id in heads.record_id]
        page.payloads = list(map(bytes, raws))
        page.sequence = page.ids
        page.time_ids, page.times, page.order_keys = heads.time_id, heads.time, heads.order_key
    return page


def _whole(body: bytes, stream: Stream, parent: str | None) -> Page:
    """The answer as one record, compacted so that white space is no change.

    An object or list that is no JSON (``NaN``, half a surrogate pair) is a bad record. What is cut
    short, or of another kind such as HTML, is no answer.
    """
    try:
        payload = msgspec.json.format(body, indent=-1)
    except UNREADABLE:
        payload = b""
    if payload and parent is not None and _is_utf8(payload):
        return Page([parent], [payload], [None], [None], [None], 1, 1, [parent])
    if not is_closed(body):
        raise Undecodable("the body is no JSON, or cut short")
    page = Page(received=1, total=1)
    _set_aside(page, "bad_json", body, stream, parent)
    return page


_EXACT = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def _is_sound(body: bytes) -> bool:
    """Return whether the text is UTF-8 without surrogate escapes, which can be halves."""
    escapes = b"\\" in body and b"\\u" in body  # one byte is found many times as fast as two
    return _is_utf8(body) and not (escapes and _SURROGATE.search(body))


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _holds_secret(body: bytes, stream: Stream) -> bool:
    if not stream.secret_keys:
        return False
    if _ESCAPED_LETTER.search(body):
        return True  # a key could be spelt in escapes
    folded = body.lower().replace(b"_", b"")
    return any(fold(key).encode() in folded for key in stream.secret_keys)


def _look(raws: list[msgspec.Raw], spelling: Spelling) -> tuple[set[str], bool]:
    """Return the undocumented keys of the first and the last record, and whether all are canonical.

    The service spells one answer in one way, so these stand for all.
    """
    try:
        ends = [msgspec.json.decode(raw) for raw in (*raws[:1], *raws[1:][-1:])]
        return spelling.look(ends)
    except UNREADABLE:
        return set(), False


class _Heads(NamedTuple):
    """What is looked at in each record of a page, a column each."""

    record_id: list[str]
    time_id: list[str | None]
    time: list[str | None]
    order_key: list[str | None]


@cache
def _head_decoder(stream: Stream) -> tuple[msgspec.json.Decoder[Any], dict[str, str]]:
    """A decoder that skips all but the keys looked at, unread; and the field of each key."""
    keys = [stream.id_key, stream.time_id_key, stream.time_key, stream.order_key]
    fields = {key: f"f{i}" for i, key in enumerate(dict.fromkeys(key for key in keys if key))}
    head = msgspec.defstruct(
        f"Head_{stream.name}",
        [(field, str | None, None) for field in fields.values()],
        rename={field: key for key, field in fields.items()},
        gc=False,
    )
    return msgspec.json.Decoder(head), fields


def _heads(raws: list[msgspec.Raw], stream: Stream) -> _Heads | None:
    """Return the heads of all records, None where one of them is not as simple as that."""
    decoder, fields = _head_decoder(stream)
    try:
        heads = list(map(decoder.decode, raws))
    except UNREADABLE:
        return None

    def column(key: str | None) -> list[str | None]:
        return list(map(attrgetter(fields[key]), heads)) if key else [None] * len(heads)

    record_ids = [i for i in column(stream.id_key) if i and not i.isspace()]
    if len(record_ids) < len(raws) or _EMPTY_GUID in record_ids or "\0" in "".join(record_ids):
        return None
    return _Heads(
        record_ids,
        column(stream.time_id_key),
        column(stream.time_key),
        column(stream.order_key),
    )


def _decode_one_by_one(
    page: Page,
    raws: Iterable[msgspec.Raw],
    stream: Stream,
    spelling: Spelling,
    parent: str | None,
) -> None:
    """Take records one by one: respell keys, cut secrets, set the bad ones aside.

    A record that needs neither keeps its text to the letter, so that what is stored of it does
    not depend on the company it came in.
    """
    for raw in raws:
        reason, record, text = _decode_record(raw, stream, spelling)
        if reason is None:
            page.ids.append(str(record[stream.id_key]).strip().lower())
            page.sequence.append(page.ids[-1])
            page.payloads.append(text)
            page.time_ids.append(_text(record, stream.time_id_key))
            page.times.append(_text(record, stream.time_key))
            page.order_keys.append(_text(record, stream.order_key))
        else:
            _set_aside(page, reason, text, stream, parent)


def _set_aside(page: Page, reason: str, text: bytes, stream: Stream, parent: str | None) -> None:
    """Add a bad record to a page."""
    shown = text.decode("utf-8", "backslashreplace").replace("\0", "\\u0000")
    bad = Reject(stream.name, reason, shown, stream.list_path(parent))
    page.rejects.append(bad)
    page.sequence.append(f"reject:{bad.reject_id}")


def _decode_record(
    raw: msgspec.Raw, stream: Stream, spelling: Spelling
) -> tuple[str | None, Any, bytes]:
    """Return (reason to reject or None, the record, its text respelt and without secrets)."""
    try:
        sent = _EXACT.decode(raw)
        record = _cut(spelling.respell(sent), frozenset(map(fold, stream.secret_keys)))
        text = bytes(raw) if record == sent else _ENCODER.encode(record)
    except UNREADABLE:
        return "bad_json", None, _without_secrets(bytes(raw), stream)
    if not isinstance(record, dict):
        return "not_an_object", None, text
    record_id = record.get(stream.id_key)
    if isinstance(record_id, bool) or not isinstance(record_id, (str, int)):
        return "missing_id", None, text
    text_id = str(record_id).strip()
    is_none = not text_id or "\0" in text_id or text_id == _EMPTY_GUID
    return ("missing_id" if is_none else None), record, text


def _without_secrets(text: bytes, stream: Stream) -> bytes:
    """Blank a record that is no JSON and may hold a secret: what cannot be parsed cannot be cut."""
    shown = unmask(text)
    return b"<withheld: may hold a secret>" if _holds_secret(shown, stream) else shown


def _cut(record: Any, secret: frozenset[str]) -> Any:
    if isinstance(record, dict):
        return {k: _cut(v, secret) for k, v in record.items() if fold(k) not in secret}
    return [_cut(item, secret) for item in record] if isinstance(record, list) else record


def _text(record: Mapping[str, Any], key: str | None) -> str | None:
    value = record.get(key) if key else None
    return value if isinstance(value, str) else None
