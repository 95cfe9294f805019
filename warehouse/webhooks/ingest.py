"""Webhook files into the lake: each read once, whatever happens to it, and nothing left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from hatif.webhooks import units
from hatif.webhooks.reasons import Reason
from hatif.webhooks.signatures import Secrets
from hatif.webhooks.sources import Found, Place
from hatif.webhooks.units import Piece
from hatif.webhooks.validate import Delivery, Refusal, validate_unit
from warehouse.lake.connection import Lake
from warehouse.lake.locks import exclusive
from warehouse.records import workspace
from warehouse.webhooks import batch, manifest
from warehouse.webhooks.batch import WebhookBatch
from warehouse.webhooks.manifest import Entry, Pending


@dataclass(slots=True)
class Ingested:
    """What a run over the files did.

    Attributes:
        files: read, in whole or on from where they had been read to.
        deliveries: accepted bodies, repetitions included.
        new: distinct ones not known before.
        rejected: bodies and files set aside.
    """

    files: int = 0
    deliveries: int = 0
    new: int = 0
    rejected: int = 0
    seconds: float = 0.0


def ingest(
    lake: Lake,
    place: Place,
    secrets: Secrets,
    *,
    waiting: Callable[[str], None] | None = None,
) -> Ingested:
    """Read what is new in the webhook files into the lake.

    Args:
        lake: open for writing, tables made.
        place: where the files are; they are not touched.
        secrets: by channel.
        waiting: told whom we wait for, if another process is at it.

    Raises:
        WarehouseError: the lake refused a batch; what was stored before stays.
    """
    began = time.monotonic()
    with exclusive(lake.home / "webhooks.lock", "read webhook files", waiting=waiting):
        with lake.reading() as connection:
            ingestion = _Ingestion(lake, place, secrets, workspace.known_ids(connection))
            for some in manifest.pending(connection, place.files()):
                for pending in some:
                    ingestion.read(pending)
        ingestion.flush()
    ingestion.done.seconds = time.monotonic() - began
    return ingestion.done


@dataclass(slots=True)
class _Ingestion:
    lake: Lake
    place: Place
    secrets: Secrets
    workspaces: frozenset[str]
    done: Ingested = field(default_factory=Ingested)
    batch: WebhookBatch = field(default_factory=WebhookBatch)

    def read(self, pending: Pending) -> None:
        """Read one file as far as it can be."""
        found = pending.found
        if found.problem is not None:
            self._refuse(Refusal(found.problem, "", location=found.path))
            return
        try:
            self._read(found, pending.known)
        except FileNotFoundError:
            return  # gone since, or no longer what was listed: the next run sees what became of it
        except OSError:
            self._refuse(Refusal(Reason.UNREADABLE, "", location=found.path))

    def _read(self, found: Found, known: Entry | None) -> None:
        path = found.path
        if known is not None and known.path != path and self._is_still_there(known):
            known = None  # one file under two names is two files
        former = None
        if known is not None:
            with self.place.open(found) as stream:
                digest, value = units.prefix_hash(stream, known.bytes_read)
                if value == known.content_hash:  # else it is another file under this name
                    if known.bytes_read == found.size and known.size is not None:
                        self._note(known.seen_as(found), known)  # only looks different
                        return
                    if known.bytes_read and units.is_lines(path):
                        more = units.pieces(stream, path, at=known.bytes_read, digest=digest)
                        self._take(found, more, known, known)
                        return
                    former = known
        # From its beginning: opened anew, since the stream of an object cannot be wound back.
        with self.place.open(found) as stream:
            (self.batch.extended if former else self.batch.reread).append(path)
            self._take(found, units.pieces(stream, path), _blank(path), former)

    def _is_still_there(self, known: Entry) -> bool:
        return known.file_id is not None and self.place.holds(known.path, known.file_id)

    def _take(
        self, found: Found, pieces: Iterator[Piece], start: Entry, former: Entry | None
    ) -> None:
        """Judge the units of a file and put them into batches.

        Args:
            found: the file.
            pieces: of what is to be read.
            start: the entry of what was read before.
            former: the entry in the manifest that this one replaces.
        """
        self.done.files += 1
        entry, written = start, former
        for piece in pieces:
            if not self.batch.has_room_for(piece.units):
                self.flush()
            accepted, rejected = self._judge(found, piece, entry.lines)
            entry = replace(
                entry.seen_as(found),
                content_hash=piece.content_hash,
                bytes_read=piece.bytes_read,
                lines=entry.lines + len(piece.units),
                accepted=entry.accepted + accepted,
                rejected=entry.rejected + rejected,
                size=found.size if piece.whole else None,
            )
            if piece.whole or piece.resumable:
                self._note(entry, written)
                written = entry
        if found.size == 0 and entry.bytes_read == 0:
            self._refuse(Refusal(Reason.EMPTY, "", location=found.path))

    def _note(self, entry: Entry, former: Entry | None) -> None:
        if former is not None and entry.path not in self.batch.entries:
            self.batch.former.append(former)
        self.batch.entries[entry.path] = entry

    def _judge(self, found: Found, piece: Piece, before: int) -> tuple[int, int]:
        """Put a piece's units into the batch; return how many were accepted and rejected."""
        deliveries, refusals = self.batch.deliveries, self.batch.refusals
        accepted, rejected = len(deliveries), len(refusals)
        known = self.secrets, found.modified_at, self.workspaces
        for number, unit in enumerate(piece.units, before + 1):
            verdict = validate_unit(unit, *known)
            if isinstance(verdict, Delivery):
                deliveries.append(verdict)
            else:
                refusals.append(verdict._replace(location=f"{found.path}:{number}"))
        self.batch.text += sum(map(len, piece.units))
        if piece.problem is not None:
            refusals.append(Refusal(piece.problem, "", location=found.path))
        accepted, rejected = len(deliveries) - accepted, len(refusals) - rejected
        self.done.deliveries += accepted
        self.done.rejected += rejected
        return accepted, rejected

    def _refuse(self, refusal: Refusal) -> None:
        self.batch.refusals.append(refusal)
        self.done.rejected += 1

    def flush(self) -> None:
        """Store the batch."""
        if not self.batch.is_empty:
            self.done.new += batch.store(self.lake, self.batch)
            self.batch = WebhookBatch()


def _blank(path: str) -> Entry:
    return Entry(path, "", 0, 0, 0, 0, None, None, None)
