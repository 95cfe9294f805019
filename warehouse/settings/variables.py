"""Names of variables: those of the environment and of ``.env``, and the mistakes among them.

The environment wins over ``.env``. An empty variable counts as not set, also where ``.env`` sets
it.
"""

from __future__ import annotations

import difflib
import re
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from dotenv.parser import Binding, parse_stream
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from hatif.errors import SettingsError

PREFIX = "HATIF_"
#: Settings of the contract that are read by no part of this version.
PLANNED = frozenset(
    PREFIX + name
    for name in (
        *("MESSAGE_CATEGORIES", "TEMPLATES", "INVOICES", "CAMPAIGN_GAP_HOURS"),
        *("WORKSPACES", "PAGE_PASSWORD", "PAGE_MESSAGES", "MASK", "RETENTION"),
    )
)


class Variables(PydanticBaseSettingsSource):
    """The environment over ``.env``, without what is empty.

    Args:
        kind: the settings class.
        environment: the source that reads the environment.
        dotenv: the source that reads ``.env``.
    """

    def __init__(
        self,
        kind: type[BaseSettings],
        environment: PydanticBaseSettingsSource,
        dotenv: PydanticBaseSettingsSource,
    ) -> None:
        super().__init__(kind)
        self._sources = (dotenv, environment)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return one field's value; the last source that has it wins."""
        found = self._sources[0].get_field_value(field, field_name)
        given = self._sources[1].get_field_value(field, field_name)
        return found if given[0] is None else given

    def __call__(self) -> dict[str, Any]:
        """Return the values by field."""
        found: dict[str, Any] = {}
        for source in self._sources:
            found |= source()
        return {name: value for name, value in found.items() if value != ""}


def mistaken_names(names: Collection[str], known: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each name with our prefix that is no setting.

    Args:
        names: of variables, in any casing.
        known: the settings, in upper case with their prefix.
    """
    for name in sorted({name.upper() for name in names}):
        if not name.startswith(PREFIX) or name in known:
            continue
        shown = re.sub(r"[^\w]", "?", name)[:60]
        if name in PLANNED:
            yield f"{shown}: is not used by this version yet; remove it"
        else:
            (nearest,) = difflib.get_close_matches(name, sorted(known), 1, cutoff=0)
            yield f"{shown}: there is no such setting; the nearest is {nearest}"


def read_names(file: Path) -> tuple[list[str], list[str]]:
    """Return the names that a ``.env`` file sets, and a sentence for each line that fails to.

    A directory of that name, such as a virtual environment, is no such file.

    Raises:
        SettingsError: it is there and cannot be read.
    """
    try:
        kind = file.stat().st_mode
        if stat.S_ISDIR(kind):
            return [], []
        if not stat.S_ISREG(kind):
            raise SettingsError(f"{file}: is no regular file; it must hold lines NAME=value")
        with file.open(encoding="utf-8-sig") as stream:
            bindings = list(parse_stream(stream))
    except FileNotFoundError:
        return [], []
    except UnicodeDecodeError:
        raise SettingsError(f"{file}: is not UTF-8; save it as UTF-8 text") from None
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read ({error.strerror})") from None
    names = [binding.key for binding in bindings if binding.key]
    return names, [
        f"{file}: line {_line(one)}: must be NAME=value; a value that holds quotes goes in '…'"
        for one in bindings
        if _fails(one)
    ]


def _fails(binding: Binding) -> bool:
    """Whether a line about one of our settings sets nothing."""
    if binding.error:
        return PREFIX.rstrip("_") in binding.original.string.upper()
    name = (binding.key or "").upper()
    return binding.value is None and name.startswith(PREFIX)


def _line(binding: Binding) -> int:
    """The line of a statement: what the parser counts from holds empty lines before it, too."""
    text = binding.original.string
    blank = text[: len(text) - len(text.lstrip())]
    return binding.original.line + blank.count("\n")
