"""The file of several workspaces as TOML: tables of texts, every mistake with its table and key.

A value may stand in another place: ``{ env = "NAME" }`` is a variable, ``{ file = "PATH" }`` a
file. Messages show neither values nor where they stand, since a secret may have been pasted there;
a variable's name is shown where it looks like one.
"""

from __future__ import annotations

import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hatif.errors import SettingsError
from warehouse.settings.values import user_path

DEFAULTS = "defaults"
#: Stands for the workspace's name in a default.
PLACEHOLDER = "{workspace}"
_MOST_BYTES = 8 << 20
_MOST_SECRET_BYTES = 64 << 10
_FORM = "it must be a TOML file with a table for each workspace"
_PLACE = re.compile(r"\(at (?:line (\d+), column (\d+)|end of document)\)")
_TWICE = re.compile(r"twice|overwrite|redefine|Duplicate|mutate")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
#: Settings that hold a secret, and what a connection string looks like that does.
_SECRET = frozenset({"client_secret", "webhook_secrets", "page_password"})
_PASSWORD = re.compile(r"password\s*=|://[^/@\s]*:[^/@\s]+@", re.IGNORECASE)


class Mistake(Exception):
    """A value of the file that cannot be used; the message is a sentence without its subject."""


@dataclass(frozen=True, slots=True)
class Source:
    """What values are read with.

    Attributes:
        file: of the workspaces; paths are relative to its folder.
        variables: of the environment.
        is_private: no other user may read the file, so secrets may stand in it.
    """

    file: Path
    variables: Mapping[str, str] = field(repr=False)
    is_private: bool

    @property
    def folder(self) -> Path:
        """The folder that relative paths begin at."""
        return self.file.parent

    def text(self, field: str, value: Any, workspace: str) -> str:
        """Return a value of the file as the text that a variable would have.

        Args:
            field: the setting.
            value: as TOML has it.
            workspace: in whose settings it is used.

        Raises:
            Mistake: it is none, or is elsewhere and not to be had there.
        """
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, int | float):
            return str(value)
        if isinstance(value, str):
            found = value.replace(PLACEHOLDER, workspace)
            if not self.is_private and found and _is_secret(field, found):
                raise Mistake(
                    "a secret stands in the file, and other users may read that; name where it is, "
                    'as { env = "NAME" } or { file = "PATH" }, or chmod 600 the file'
                )
            return found
        if isinstance(value, dict):
            if field == "webhook_secrets" and not _is_reference(value):
                return ",".join(self._pairs(value, workspace))
            return self._referenced(value, workspace)
        raise Mistake(_kinds(field))

    def _pairs(self, secrets: dict[str, Any], workspace: str) -> Iterator[str]:
        """Yield the secrets of channels: a secret by its channel, or several in a list."""
        for channel, given in secrets.items():
            for one in given if isinstance(given, list) else [given]:
                if not isinstance(one, str | dict):
                    raise Mistake('must be channel = { env = "NAME" }, or a list of these')
                secret = self.text("webhook_secrets", one, workspace)
                if "," in secret or re.search(r"[=,]", channel):
                    raise Mistake("a channel or its secret holds a comma or an equals sign")
                yield f"{channel}={secret}"

    def _referenced(self, reference: dict[str, Any], workspace: str) -> str:
        if not _is_reference(reference):
            raise Mistake('must be a value, { env = "NAME" } or { file = "PATH" }')
        ((kind, name),) = reference.items()
        if kind == "env":
            name = name.replace(PLACEHOLDER, workspace.replace("-", "_").upper())
            return self._variable(name)
        return self._content(name.replace(PLACEHOLDER, workspace))

    def _variable(self, name: str) -> str:
        found = self.variables.get(name, "")
        if not found:
            shown = name if _VARIABLE.fullmatch(name) else "that it names"
            raise Mistake(f"the environment variable {shown} is not set")
        return found

    def _content(self, name: str) -> str:
        try:
            path = self.folder / user_path(name)
            state = path.stat()
            if not stat.S_ISREG(state.st_mode) or state.st_size > _MOST_SECRET_BYTES:
                raise Mistake("the file that it names is no small regular file")
            found = path.read_text(encoding="utf-8-sig").rstrip("\r\n")
        except OSError as error:
            raise Mistake(f"the file that it names cannot be read ({error.strerror})") from None
        except ValueError:  # no UTF-8, or a NUL or an unknown user in the path
            raise Mistake("the file that it names cannot be read as UTF-8 text") from None
        if not found:
            raise Mistake("the file that it names is empty")
        return found


def read(file: Path) -> tuple[dict[str, Any], bool]:
    """Return the tables of a file by name, and whether no other user may read it.

    Raises:
        SettingsError: it cannot be read, is no TOML, or a key stands outside of all tables.
    """
    try:
        state = file.stat()
        if not stat.S_ISREG(state.st_mode):
            raise SettingsError(f"HATIF_WORKSPACES: {file} is no regular file; {_FORM}")
        if state.st_size > _MOST_BYTES:
            raise SettingsError(
                f"HATIF_WORKSPACES: {file} is larger than {_MOST_BYTES >> 20} MiB; {_FORM}"
            )
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise SettingsError(f"{file}: is not UTF-8; save it as UTF-8 text") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no such path"
        raise SettingsError(f"HATIF_WORKSPACES: cannot read {file} ({why})") from None
    if "\0" in text:
        raise SettingsError(f"{file}: is not UTF-8 text; save it as UTF-8 text")
    tables = _parsed(file, text)
    for name, value in tables.items():
        if not isinstance(value, dict):
            raise SettingsError(
                f"{file}: {shown(name)} stands outside of a table; write it below [{DEFAULTS}] or "
                "the name of a workspace in brackets"
            )
    return tables, not state.st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def _parsed(file: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # Its own words can quote what stands there.
        message = str(error)
        at = _PLACE.search(message)
        line = f"line {at[1]}, column {at[2]}: " if at and at[1] else "at its end: "
        what = "sets what is set already; keep one" if _TWICE.search(message) else "is not TOML"
        raise SettingsError(f"{file}: {line}{what}; {_FORM}") from None
    except (ValueError, RecursionError):  # digits without end, or brackets
        raise SettingsError(f"{file}: is not TOML that can be read; {_FORM}") from None


def shown(name: str) -> str:
    """Return a name of the file for a message: short, and of harmless letters."""
    return re.sub(r"[^\w-]", "?", name)[:60] or '""'


def variables_named(table: Mapping[str, Any], workspace: str) -> Iterator[str]:
    """Yield the names of the variables that a table of settings refers to."""
    waiting: list[Any] = list(table.values())
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if _is_reference(value) and "env" in value:
                yield value["env"].replace(PLACEHOLDER, workspace.replace("-", "_").upper())
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _is_reference(value: dict[str, Any]) -> bool:
    return len(value) == 1 and all(
        kind in ("env", "file") and isinstance(name, str) for kind, name in value.items()
    )


def _is_secret(field: str, text: str) -> bool:
    return field in _SECRET or (field == "catalog" and bool(_PASSWORD.search(text)))


def _kinds(field: str) -> str:
    extra = ", or a table of channels" if field == "webhook_secrets" else ""
    return f'must be text, a number, {{ env = "NAME" }} or {{ file = "PATH" }}{extra}'
