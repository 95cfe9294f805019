"""Variables of the environment and of ``.env``: what they say of the settings, and of anything."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from warehouse.settings import dotenv_file
from warehouse.settings.values import PREFIX, mistaken_names


def variable(field: str) -> str:
    """Return the variable that sets a field."""
    return f"{PREFIX}{field.upper()}"


@dataclass(frozen=True, slots=True)
class Given:
    """What the environment and ``.env`` say.

    Attributes:
        values: texts by field; an empty one counts as not set.
        variables: every variable by its name, settings or not; the environment wins.
        line_mistakes: sentences on lines of ``.env`` that set nothing.
        known: names of the settings' variables.
    """

    values: dict[str, object] = field(repr=False)
    variables: dict[str, str] = field(repr=False)
    line_mistakes: list[str]
    known: frozenset[str]

    @classmethod
    def read(cls, fields: Collection[str], env_file: Path | None = Path(".env")) -> Self:
        """Read them.

        Args:
            fields: of the settings.
            env_file: None reads no file.

        Raises:
            SettingsError: ``.env`` is there and cannot be read.
        """
        file = dotenv_file.Variables() if env_file is None else dotenv_file.read(env_file)
        known = {variable(one): one for one in fields}
        given: dict[str, object] = {}
        for name, value in (*file.values.items(), *os.environ.items()):
            if name.upper() in known:
                given[known[name.upper()]] = value
        given = {name: value for name, value in given.items() if value not in ("", None)}
        variables = {name: value or "" for name, value in file.values.items()} | dict(os.environ)
        return cls(given, variables, file.mistakes, frozenset(known))

    def mistakes(self, also: Collection[str] = ()) -> list[str]:
        """Return a sentence for each mistaken line or name.

        Args:
            also: names of variables that are used in another way.
        """
        return [
            *self.line_mistakes,
            *mistaken_names([name for name in self.variables if name not in also], self.known),
        ]
