"""Deliveries as files, in every format that a collector may leave behind.

A bare body has no receive time of its own and takes the file's modification time; it has no
signature either, so only deliveries of channels without a secret are written bare.
"""

import gzip
import os
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta, timezone
from pathlib import Path
from random import Random

import msgspec
import pyarrow as pa

from rehearsal.ids import MINUTE, SECOND, aware
from rehearsal.webhooks.outbox import RETRY_WAITS, SIGNATURE, Delivery, Transport

FORMATS = (
    *("json_body", "json_envelope", "json_array"),
    *("ndjson", "jsonl", "ndjson.gz", "jsonl.gz", "ndjson.zst", "jsonl.zst"),
)
"""Every format that is read; the dotted ones are names' ends."""

_RIYADH = timezone(timedelta(hours=3))
_LONGEST_FILE = 400
_SPELLINGS = (str, str.lower, str.upper)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A body at the door: the delivery, or None for an empty body."""

    at: int
    delivery: Delivery | None

    @property
    def body(self) -> bytes:
        """What was posted."""
        return b"" if self.delivery is None else self.delivery.body


@dataclass(frozen=True, slots=True)
class File:
    """What to write, and when each of its deliveries counts as received, and whether it says so."""

    name: str
    content: bytes
    modified: int
    received: list[tuple[Delivery, int, bool]]


def arrivals(deliveries: Sequence[Delivery], way: Transport) -> list[Arrival]:
    """When what arrives: losses, delays, repetitions and empty bodies included."""
    found: list[Arrival] = []
    for delivery in deliveries:
        rng = way.dice(delivery)
        at = delivery.notice.at + 50_000 + rng.randrange(SECOND)
        is_lost, is_late = rng.random() < way.lost, rng.random() < way.late
        if is_late:
            at += sum(RETRY_WAITS[: 1 + rng.randrange(len(RETRY_WAITS))])
        if not is_lost:
            found.append(Arrival(at, delivery))
            if rng.random() < way.repeated:
                found.append(Arrival(at + 2 * MINUTE + rng.randrange(MINUTE), delivery))
        if rng.random() < way.empty:
            found.append(Arrival(at, None))
    found.sort(key=lambda arrival: arrival.at)
    return found


def files(
    arrived: Sequence[Arrival], way: Transport, formats: Sequence[str], prefix: str
) -> Iterator[File]:
    """The files that hold these arrivals; ``prefix`` keeps their names apart from others'."""
    rng = Random(f"{way.seed} {prefix}")
    waiting = _out_of_order(arrived, way.reordered, rng)
    number = 0
    while waiting:
        form = rng.choice(formats)
        size = _size(form, rng)
        taken, waiting = waiting[:size], waiting[size:]
        for part, kind in _parts(taken, form):
            number += 1
            stem = f"{aware(part[0].at):%Y/%m/%d}/{prefix}-{number:05}-{rng.getrandbits(32):08x}"
            yield _WRITERS.get(kind, _write_lines)(part, stem, kind, rng)


def save(file: File, directory: Path) -> Path:
    """Write a file in one piece, so that no reader sees half of it."""
    path = directory / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_bytes(file.content)
    os.utime(unfinished, ns=(file.modified * 1000, file.modified * 1000))
    unfinished.rename(path)
    return path


def _out_of_order(arrived: Sequence[Arrival], share: float, rng: Random) -> list[Arrival]:
    size = max(1, len(arrived))
    places = [
        (rng.random() * size if rng.random() < share else float(place), place)
        for place in range(len(arrived))
    ]
    return [arrived[place] for _, place in sorted(places)]


def _size(form: str, rng: Random) -> int:
    if form in ("json_body", "json_envelope"):
        return 1
    return 1 + int(_LONGEST_FILE * rng.random() ** 3)


def _parts(taken: list[Arrival], form: str) -> Iterator[tuple[list[Arrival], str]]:
    """Split what the format can not hold: signatures and empty bodies need an envelope."""
    if form not in ("json_body", "json_array"):
        yield taken, form
        return
    bare = [arrival for arrival in taken if _can_be_bare(arrival)]
    enveloped = [arrival for arrival in taken if not _can_be_bare(arrival)]
    if bare:
        yield bare, form
    if enveloped:
        yield enveloped, "json_envelope" if len(enveloped) == 1 else "ndjson"


def _can_be_bare(arrival: Arrival) -> bool:
    return arrival.delivery is not None and not arrival.delivery.is_signed


def _write_body(part: list[Arrival], stem: str, _: str, __: Random) -> File:
    return _file(f"{stem}.json", part[0].body, part, {0})


def _write_array(part: list[Arrival], stem: str, _: str, rng: Random) -> File:
    gap = rng.choice((b",", b",\n  ", b" , "))
    content = b"[" + gap.join(arrival.body for arrival in part) + b"]\n"
    return _file(f"{stem}.json", content, part, set(range(len(part))))


def _write_envelope(part: list[Arrival], stem: str, _: str, rng: Random) -> File:
    return _file(f"{stem}.json", envelope(part[0], rng), part, set())


def _write_lines(part: list[Arrival], stem: str, kind: str, rng: Random) -> File:
    bare = {n for n, arrival in enumerate(part) if _can_be_bare(arrival) and rng.random() < 0.3}
    lines = [
        arrival.body if n in bare else envelope(arrival, rng) for n, arrival in enumerate(part)
    ]
    content = b"\n".join(lines) + b"\n"
    if kind.endswith(".gz"):
        content = gzip.compress(content, mtime=0)
    elif kind.endswith(".zst"):
        content = pa.compress(content, codec="zstd", asbytes=True)
    return _file(f"{stem}.{kind}", content, part, bare)


_WRITERS: dict[str, Callable[[list[Arrival], str, str, Random], File]] = {
    "json_body": _write_body,
    "json_array": _write_array,
    "json_envelope": _write_envelope,
}


def envelope(arrival: Arrival, rng: Random) -> bytes:
    """One arrival with its receive time and headers, their names in any casing."""
    received = aware(arrival.at)
    if rng.random() < 0.2:
        received = received.astimezone(_RIYADH)
    spell: Callable[[str], str] = rng.choice(_SPELLINGS)
    headers = dict(arrival.delivery.headers) if arrival.delivery else {"Content-Length": "0"}
    spelt = {spell(name): value for name, value in headers.items()}
    parts: list[tuple[str, object]] = [("received_at", received.isoformat())]
    if SIGNATURE in headers or rng.random() < 0.9:
        parts.append(("headers", spelt))
    if rng.random() < 0.3:
        parts.append(("body_base64", b64encode(arrival.body).decode()))
    else:
        parts.append(("body", arrival.body.decode()))
    rng.shuffle(parts)
    return msgspec.json.encode(dict(parts))


def _file(name: str, content: bytes, part: list[Arrival], bare: set[int]) -> File:
    """``bare`` are the places whose receive time is the file's: a whole second after them all."""
    modified = (max(arrival.at for arrival in part) // SECOND + 1) * SECOND
    received = [
        (arrival.delivery, modified if place in bare else arrival.at, place not in bare)
        for place, arrival in enumerate(part)
        if arrival.delivery is not None
    ]
    return File(name, content, modified, received)
