"""Files of the user's own that settings name: they are read, and no output may replace them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import ModelWrapValidatorHandler, PrivateAttr, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode

from warehouse.settings.values import PREFIX, user_path


class WithInputs(BaseSettings):
    """Settings that remember which files they were read from."""

    _inputs: dict[str, Path] = PrivateAttr(default_factory=dict)

    @model_validator(mode="wrap")
    @classmethod
    def _with_inputs(cls, given: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        found = read(given)
        found._inputs = dict(_named(given, cls.model_fields))  # noqa: SLF001 - of this class
        return found

    @property
    def inputs(self) -> Mapping[str, Path]:
        """The user's own files and folders that settings name to be read, by variable; absolute."""
        return self._inputs


def _named(given: Mapping[str, Any], fields: Mapping[str, FieldInfo]) -> Iterator[tuple[str, Path]]:
    """Yield variables with the files they name, of values by field that are not read yet."""
    for field, value in given.items():
        if isinstance(value, (str, Path)) and value != "" and _is_read(fields.get(field)):
            path = _existing(str(value))
            if path is not None:
                yield f"{PREFIX}{field.upper()}", path


def _is_read(field: FieldInfo | None) -> bool:
    """Whether a setting is read from text or from a file: pydantic does not decode it."""
    return field is not None and NoDecode in field.metadata


def _existing(text: str) -> Path | None:
    """Return the path that a setting names; None where it is a value, such as hours of work."""
    try:
        path = user_path(text).absolute()
        return path if path.exists() else None
    except (OSError, ValueError):
        return None  # too long for a path, for example
