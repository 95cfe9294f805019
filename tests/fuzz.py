"""What fuzz tests share: how many values they try, and a table of what became of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any


def number_of_values(short: int) -> int:
    """Return how many values to try: FUZZ_VALUES of the environment (`make fuzz`), else `short`."""
    return int(os.environ.get("FUZZ_VALUES", short))


def typed_and_null(rows: Sequence[Sequence[Any]]) -> Counter[str]:
    """Count the rows of a table that hold every value, and those where one is NULL.

    A value is expected in the columns in which more than half of the rows have one.
    """
    expected = [
        place
        for place in range(len(rows[0]) if rows else 0)
        if 2 * sum(row[place] is not None for row in rows) > len(rows)
    ]
    nulls = sum(any(row[place] is None for place in expected) for row in rows)
    return Counter({"typed": len(rows) - nulls, "NULL": nulls})


def shown(what: str, outcomes: Mapping[str, Mapping[str, int]]) -> str:
    """Return a table: what became of the values, a line for each stream, kind or mart."""
    columns = ("typed", "NULL", "set aside")
    lines = [f"\n{what:<26}" + "".join(f"{column:>11}" for column in columns)]
    for name, counts in outcomes.items():
        lines.append(f"{name:<26}" + "".join(f"{counts.get(one, 0):>11,}" for one in columns))
    return "\n".join(lines) + "\n"
