"""Webhook files into the lake: each read once, whatever happens to it, and nothing left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

from hatif.webhooks import json_text, units
from hatif.webhooks.reasons import Reason
from hatif.webhooks.signatures import Secrets
from hatif.webhooks.sources import Format, Found, Place, format_of
from hatif.webhooks.units import Piece
from hatif.webhooks.validate import (
    Delivery,
    Oversized,
    Rejection,
    truncated,
    validate_unit,
)
from warehouse.lake.connection import Lake
from warehouse.lake.locks import WEBHOOKS
from warehouse.lake.sql import home_values
from warehouse.records import workspace
from warehouse.webhooks import batch, foreign, manifest
from warehouse.webhooks.batch import WebhookBatch
from warehouse.webhooks.manifest import Entry, Pending, Reread


@dataclass(slots=True)
class Ingested:
    """What a run over the files did.

    Attributes:
        files: read, in whole or on from where they had been read to.
        deliveries: accepted bodies, repetitions included.
        new: distinct ones not known before.
        rejected: bodies and files set aside that were not known as such before.
        seconds: it took, on the clock.
        left: files not read to their end since that would have been too much, and how many bytes
            of them were read; 0 = not looked into.
    """

    files: int = 0
    deliveries: int = 0
    new: int = 0
    rejected: int = 0
    seconds: float = 0.0
    left: dict[str, int] = field(default_factory=dict)


def ingest(
    lake: Lake,
    place: Place,
    secrets: Secrets,
    *,
    waiting: Callable[[str], None] | None = None,
    found: Iterable[Found] | None = None,
    at_most: int | None = None,
    is_locked: bool = False,
) -> Ingested:
    """Read what is new in the webhook files into the lake.

    Args:
        lake: open for writing, tables made.
        place: where the files are; they are not touched.
        secrets: by channel.
        waiting: called with the holder of the lock, if another process reads the files.
        found: the files to look at, as `place` listed them; None = all there are.
        at_most: read no further once so many bytes of deliveries were read; None = all there are.
        is_locked: the caller holds the lock of those who read the files, `locks.WEBHOOKS`.

    Raises:
        WarehouseError: DuckDB rejected a batch; what was stored before stays.
    """
    began = time.monotonic()
    with nullcontext() if is_locked else reading_files(lake, waiting):
        with lake.reading() as connection:
            values = home_values(connection)
        known = workspace.known_ids(values)
        foreign.set_aside(lake, values)
        restored = foreign.restore(lake, secrets, known)
        with lake.reading() as connection:
            ingestion = _Ingestion(lake, place, secrets, known, at_most)
            for some in manifest.pending(connection, place.files() if found is None else found):
                # Renamed files first: another file may have their former name by now.
                for pending in sorted(some, key=lambda one: not one.is_renamed):
                    ingestion.read(pending)
        ingestion.flush()
        manifest.close_places(lake, place)
    ingestion.done.new += restored
    ingestion.done.seconds = time.monotonic() - began
    return ingestion.done


def reading_files(
    lake: Lake, waiting: Callable[[str], None] | None = None
) -> AbstractContextManager[None]:
    """Hold the lock of those who read webhook files; it is taken before the one for writing.

    Args:
        lake: open for writing.
        waiting: called with the holder of the lock, if another process reads the files.
    """
    return lake.store.locks.exclusive(WEBHOOKS, "read webhook files", waiting=waiting)


@dataclass(slots=True)
class _Ingestion:
    lake: Lake
    place: Place
    secrets: Secrets
    workspaces: frozenset[str]
    at_most: int | None = None
    text: int = 0
    now: int = field(default_factory=time.time_ns)
    done: Ingested = field(default_factory=Ingested)
    batch: WebhookBatch = field(init=False)

    def __post_init__(self) -> None:
        self.batch = WebhookBatch(workspaces=self.workspaces)

    def read(self, pending: Pending) -> None:
        """Read one file as far as it can be."""
        found = pending.found
        if self._is_enough:
            self.done.left[found.path] = 0
            return
        if found.problem is not None:
            self.batch.reread[found.path] = Reread()
            self._reject(Rejection(found.problem, "", location=found.path))
            return
        try:
            self._read(found, pending.known)
        except FileNotFoundError:
            return  # gone since, or no longer what was listed: the next run sees what became of it
        except OSError:
            self.batch.reread[found.path] = Reread()
            self._reject(Rejection(Reason.UNREADABLE, "", location=found.path))

    @property
    def _is_enough(self) -> bool:
        return self.at_most is not None and self.text >= self.at_most

    def _read(self, found: Found, known: Entry | None) -> None:
        path = found.path
        form = format_of(path)
        if known is not None and known.path != path:
            if self._is_still_there(known):
                known = None  # one file under two names is two files
            elif format_of(known.path) != form:
                # Under its new name it means something else.
                self.batch.reread[known.path] = Reread()
                known = None
        former = None
        if known is not None:
            with self.place.open(found) as stream:
                digest, value = units.prefix_hash(stream, known.bytes_read)
                if value == known.content_hash and known.path != path:
                    self.batch.moved[known.path] = path
                if known.is_of_an_older_version:
                    former = known if value == known.content_hash else None
                elif value == known.content_hash:  # else it is another file under this name
                    is_whole = known.size is not None and not known.is_unfinished
                    if known.bytes_read == found.size and is_whole:
                        self._note(known.seen_as(found), known)  # only looks different
                        return
                    if known.bytes_read and form is not None and form.can_resume:
                        more = units.pieces(stream, path, at=known.bytes_read, digest=digest)
                        self._take(found, more, known, known)
                        return
                    former = known
        # From its beginning: opened anew, since the stream of an object cannot be wound back.
        with self.place.open(found) as stream:
            self._take(found, units.pieces(stream, path), _blank(path), former)

    def _is_still_there(self, known: Entry) -> bool:
        return known.file_id is not None and self.place.holds(known.path, known.file_id)

    def _take(
        self, found: Found, pieces: Iterator[Piece], start: Entry, former: Entry | None
    ) -> None:
        """Validate the units of a file and put them into batches.

        Args:
            found: the file.
            pieces: of what is to be read.
            start: the entry of what was read before.
            former: the entry in the manifest that this one replaces.
        """
        self.done.files += 1
        entry, written = start, former
        stored = start.lines  # bodies of this file in batches before the present one
        for piece in pieces:
            if not self.batch.has_room_for(piece.units):
                self.flush()
                stored = entry.lines
            accepted, rejected = self._validate(found, piece, entry.lines)
            entry = replace(
                entry.seen_as(found),
                content_hash=piece.content_hash,
                bytes_read=piece.bytes_read,
                lines=entry.lines + accepted + rejected,
                accepted=entry.accepted + accepted,
                rejected=entry.rejected + rejected,
                size=found.size if piece.whole else None,
                is_unfinished=self._is_unfinished(found, piece, entry.lines + accepted + rejected),
            )
            to = None if piece.whole else entry.lines
            self.batch.reread[found.path] = Reread(stored, to)
            if piece.whole or piece.resumable:
                self._note(entry, written)
                written = entry
                if self._is_enough and not piece.whole:
                    self.done.left[found.path] = piece.bytes_read
                    return

    def _is_unfinished(self, found: Found, piece: Piece, lines: int) -> bool:
        """Return whether the rest of a file may come yet; set it aside where that is unlikely."""
        is_empty = piece.whole and found.size == 0 and piece.bytes_read == 0
        if piece.unfinished is None and not is_empty:
            return False
        is_lines = (format_of(found.path) or Format(is_lines=True, packing=None)).is_lines
        if not found.is_at_rest(self.now) and (is_lines or not is_empty):
            return True
        if is_empty:
            self._reject(Rejection(Reason.EMPTY, "", location=found.path))
        else:
            self._reject(truncated(piece.unfinished or b"", f"{found.path}:{lines + 1}"))
        return False

    def _note(self, entry: Entry, former: Entry | None) -> None:
        if former is not None and entry.path not in self.batch.entries:
            self.batch.former.append(former)
        self.batch.entries[entry.path] = entry

    def _validate(self, found: Found, piece: Piece, before: int) -> tuple[int, int]:
        """Put a piece's units into the batch; return how many were accepted and rejected."""
        deliveries, rejections = self.batch.deliveries, self.batch.rejections
        accepted, rejected = len(deliveries), len(rejections)
        known = self.secrets, found.modified_at, self.workspaces
        number = before
        for unit in piece.units:
            verdict = validate_unit(unit, *known)
            number += 1
            if isinstance(verdict, Delivery):
                deliveries.append(verdict)
            elif parts := _parts(unit, verdict):
                number -= 1
                for part in parts:
                    number += 1
                    self._add(validate_unit(part, *known), f"{found.path}:{number}")
            else:
                rejections.append(verdict._replace(location=f"{found.path}:{number}"))
        text = sum(map(len, piece.units))
        self.batch.text += text
        self.text += text
        accepted, rejected = len(deliveries) - accepted, len(rejections) - rejected
        if piece.problem is not None:
            self._reject(Rejection(piece.problem, "", location=found.path))
        self.done.deliveries += accepted
        return accepted, rejected

    def _add(self, verdict: Delivery | Rejection, location: str) -> None:
        if isinstance(verdict, Delivery):
            self.batch.deliveries.append(verdict)
        else:
            self.batch.rejections.append(verdict._replace(location=location))

    def _reject(self, rejection: Rejection) -> None:
        self.batch.rejections.append(rejection)

    def flush(self) -> None:
        """Store the batch."""
        if not self.batch.is_empty:
            new, rejected = batch.store(self.lake, self.batch)
            self.done.new += new
            self.done.rejected += rejected
            self.batch = WebhookBatch(workspaces=self.workspaces)


def _parts(unit: bytes, rejection: Rejection) -> list[bytes]:
    """Return the values in a rejected unit, where there are objects among others on its line."""
    if rejection.reason not in (Reason.BAD_JSON, Reason.OVERSIZED) or isinstance(unit, Oversized):
        return []
    values = json_text.split(unit)
    parts = values.units + ([values.unfinished] if values.unfinished else [])
    # Without an object among them the line is better shown in one piece.
    return parts if any(map(json_text.is_object, parts)) else []


def _blank(path: str) -> Entry:
    return Entry(path, "", 0, 0, 0, 0, None, None, None)
