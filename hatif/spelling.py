"""How keys are spelt here: camelCase, whatever casing or underscores they arrive with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hatif.envelope import fold

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
