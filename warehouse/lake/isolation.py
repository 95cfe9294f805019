"""Isolation: what DuckDB refuses in a batch is narrowed down to its items; the rest is stored.

A batch is written in one transaction. Where DuckDB refuses a value in it, nothing of the
transaction is kept, so halves are written in transactions of their own, and halves of these, down
to the single item. That item is returned with the reason, to be set aside in ``ops.rejects``; its
neighbours are stored. A batch without a bad item costs nothing extra; one bad item among n costs
about 2 log n transactions.

Only errors about a value are narrowed down: a full disk, a lost file, a conflict or a mistake in
our SQL is raised as it came.

    done, refused = isolate(conversations, lambda part: lake.write("merge", partial(merge, part)))
    rejects.store(connection, "webhook", [... for one in refused])
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import duckdb
import pyarrow as pa

from warehouse.errors import Conflict, MemoryShort, ValueRefused, WarehouseError, WriteFailed
from warehouse.lake.explain import explanation, is_refused_for_good

T = TypeVar("T")
R = TypeVar("R")

#: What DuckDB raises where it cannot read, compute, hold or write a value.
_ABOUT_VALUES = (
    duckdb.DataError,  # ConversionException, OutOfRangeException, TypeMismatchException
    duckdb.IntegrityError,
    duckdb.InvalidInputException,
    duckdb.InvalidTypeException,
    duckdb.NotImplementedException,
    duckdb.SerializationException,
)
#: What Python raises on the way to or from DuckDB for the same reasons.
VALUE_ERRORS = (OverflowError, UnicodeError, pa.ArrowInvalid)
#: With so many single items refused and none stored the fault is not one of values.
_HOPELESS = 64
_LONGEST = 80
#: What the reasons begin with.
REFUSED = "refused:"
_NUMBER = re.compile(r"[+-]?\b\d[\d.]*(?:e[+-]?\d+)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Refused(Generic[T]):
    """An item that DuckDB refuses by itself.

    Attributes:
        item: as given to `isolate`.
        reason: ``refused:`` and DuckDB's own words without values, for ``ops.rejects.reason``.
    """

    item: T
    reason: str


def isolate(
    items: Sequence[T], attempt: Callable[[Sequence[T]], R]
) -> tuple[list[R], list[Refused[T]]]:
    """Run `attempt` on all items or, where a value is refused, on ever smaller parts.

    Args:
        items: in the order in which they are to be handled; may be empty (then nothing runs).
        attempt: handles a part of them in a transaction of its own (`Lake.write`) and keeps
            nothing of it when it raises. Parts come in order and are never handled twice once
            they succeeded.

    Returns:
        What `attempt` returned for each part that succeeded, and the items refused.

    Raises:
        WarehouseError: something else than a value was refused, or every single item was.
    """
    done: list[R] = []
    refused: list[Refused[T]] = []
    waiting = [items] if items else []
    while waiting:
        part = waiting.pop()
        try:
            done.append(attempt(part))
        except (ValueRefused, *VALUE_ERRORS) as error:
            if len(part) == 1:
                refused.append(Refused(part[0], reason_of(error)))
                if not done and len(refused) >= _HOPELESS:
                    raise
                continue
            half = len(part) // 2
            waiting += [part[half:], part[:half]]
    return done, refused


def error_for(purpose: str, error: duckdb.Error) -> WarehouseError:
    """Return the error that a refused transaction ends with.

    DuckDB quotes the data it chokes on, so its message goes no further than `explain`.
    """
    found = explanation(error)
    message = f"the lake refused to {purpose}, and nothing of it was kept: {found.text}"
    if lacks_memory(error):
        return MemoryShort(message, reason=_cleaned(str(error)))
    is_conflict = _is_conflict(error)
    if found.passes and not is_conflict:
        return WriteFailed(message)
    if _is_about_a_value(error):
        return ValueRefused(message, reason=_cleaned(str(error)))
    if is_conflict:
        return Conflict(message)
    return WarehouseError(message)


def may_pass(error: duckdb.Error) -> bool:
    """Whether the same transaction may succeed at once: another writer was in its way."""
    # This one does not pass before rows are flushed; see `warehouse.lake.compaction`.
    return _is_conflict(error) and "inlined-data aggregates" not in str(error)


def _is_conflict(error: duckdb.Error) -> bool:
    """Whether another writer was in the way, or what refused a commit may have passed by now."""
    ended = isinstance(error, duckdb.TransactionException) or "locked" in str(error)
    return ended and not is_refused_for_good(error)


def lacks_memory(error: duckdb.Error) -> bool:
    """Whether DuckDB's memory limit was reached, and not the end of the disk."""
    return isinstance(error, duckdb.OutOfMemoryException) and "temp_directory" not in str(error)


def _is_about_a_value(error: duckdb.Error) -> bool:
    # DuckLake puts values into statements for its catalog; one with a NUL ends them early.
    return isinstance(error, _ABOUT_VALUES) or (
        isinstance(error, duckdb.ParserException) and "DuckLake" in str(error)
    )


def reason_of(error: Exception) -> str:
    """Return why an item was refused, without any value: the same for the same cause."""
    if isinstance(error, ValueRefused):
        return f"{REFUSED}{error.reason}"
    return f"{REFUSED}{type(error).__name__}"


def _cleaned(words: str) -> str:
    """DuckDB's words up to the first value: quoted text and numbers are data."""
    line = words.strip().splitlines()[0] if words.strip() else ""
    line = line.partition("Error: ")[2] or line
    line = re.split(r"""["'`]|Input:|UDF:|\bvalue\b""", line)[0]
    return " ".join(_NUMBER.sub("n", line).split()).rstrip(" :.(")[:_LONGEST] or "no reason given"
