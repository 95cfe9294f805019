"""Several workspaces: the settings of each from one file, kept apart (docs/workspaces.md).

A table of ``HATIF_WORKSPACES`` is a workspace, its keys are the settings in lower case without
their prefix. What it does not set is taken from ``[defaults]``, then from the environment. A
mistake in one workspace concerns that one; the others have their settings.
"""

from __future__ import annotations

import difflib
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from hatif.errors import SettingsError
from warehouse.settings import apart, database, workspace_file
from warehouse.settings.environment import Settings
from warehouse.settings.named_files import IsRead
from warehouse.settings.values import PREFIX, user_path
from warehouse.settings.variables import Given, variable
from warehouse.settings.workspace_file import DEFAULTS, PLACEHOLDER, Mistake, Source, shown

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}")
#: Folders of a home of one workspace, which may have been the folder of all before.
_RESERVED = frozenset({"lake", "webhooks", "tmp"})
_FIELDS = frozenset(Settings.model_fields) - {"workspaces"}
#: Settings of places, whose default for all gets a part of its own for each workspace.
_PLACES = ("home", "catalog", "lake", "webhook_dir")
_ON_SERVERS = ("postgres", "postgresql")
_PATHS = frozenset(
    {"home", "lake", "webhook_dir"}
    | {name for name, one in Settings.model_fields.items() if IsRead in one.metadata}
)
#: The service names a client after its workspace.
_CLIENT = re.compile(r"([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})_API_", re.IGNORECASE)
#: Folder in that of all workspaces for webhooks that belong to none; no workspace has this name.
UNASSIGNED = "_unassigned"


@dataclass(slots=True)
class Entry:
    """What the file and its surroundings say of one workspace, not checked yet.

    Attributes:
        given: texts by field.
        names: what a message calls a field, where that is not its variable.
        mistakes: sentences on what cannot be used.
        places: of its own, as far as they can be told.
    """

    given: dict[str, object] = field(default_factory=dict, repr=False)
    names: dict[str, str] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)
    places: tuple[apart.Place, ...] = ()

    def name_of(self, field: str) -> str:
        """Return what a message calls a field."""
        return self.names.get(field) or variable(field)

    @property
    def workspace_id(self) -> str | None:
        """The workspace's id, which its client is named after; None where it is not."""
        match = _CLIENT.match(str(self.given.get("client_id") or ""))
        return match[1].lower() if match else None


class Workspaces:
    """The workspaces of a file.

    Attributes:
        file: the file.
        home: the folder that the homes lie in, unless a workspace names another.
        names: of the workspaces, in the file's order.
    """

    def __init__(self, file: Path, home: Path, entries: Mapping[str, Entry]) -> None:
        self.file = file
        self.home = home
        self.names = tuple(entries)
        self._entries = entries

    @classmethod
    def of(cls, given: Given) -> Self | None:
        """Return the workspaces that the environment names; None where there is one workspace.

        Raises:
            SettingsError: the environment or the file as a whole cannot be used.
        """
        if "workspaces" not in given.values:
            return None
        try:
            file = user_path(str(given.values["workspaces"])).absolute()
        except ValueError as error:
            raise SettingsError(f"HATIF_WORKSPACES: {error}") from None
        tables, is_private = workspace_file.read(file)
        defaults = tables.pop(DEFAULTS, {})
        if not tables:
            raise SettingsError(f"{file}: names no workspace; write a table [name] for each")
        mistakes = given.mistakes(
            {
                referred
                for name, table in tables.items()
                for referred in workspace_file.variables_named(defaults | table, name)
            }
        )
        mistakes += [f"{file}: {DEFAULTS}.{text}" for text in _unknown(defaults)]
        if mistakes:
            raise SettingsError("; ".join(mistakes))
        source = Source(file, given.variables, is_private)
        base = {key: value for key, value in given.values.items() if key in _FIELDS}
        entries = {
            name: _entry(source, name, table, defaults, base) for name, table in tables.items()
        }
        home = _home_of_all(source, defaults, base)
        _keep_apart(entries)
        return cls(file, home, entries)

    @property
    def well_named(self) -> tuple[str, ...]:
        """The names that can be those of workspaces, in the file's order."""
        return tuple(name for name in self.names if not any(_mistaken_name(name)))

    def find(self, name: str) -> str:
        """Return a workspace's name as the file has it.

        Raises:
            SettingsError: there is none of that name.
        """
        if name.casefold() in self.names:
            return name.casefold()
        if name in self.names:  # one that is mistaken
            return name
        (nearest,) = difflib.get_close_matches(name, self.names, 1, cutoff=0)
        raise SettingsError(f"there is no workspace {shown(name)}; the nearest is {nearest}")

    def settings(self, name: str) -> Settings:
        """Return the settings of a workspace.

        Raises:
            SettingsError: with one sentence a mistake.
        """
        entry = self._entries[name]
        found = Settings.of(entry.given, entry.mistakes, entry.name_of)
        return found.as_workspace(
            name, f"[{name}] in {self.file}", lambda: dict(self._not_to_write(name))
        )

    def mistake(self, name: str) -> str | None:
        """Return the mistakes of a workspace, None where it has none."""
        try:
            self.settings(name)
        except SettingsError as error:
            return str(error)
        return None

    def mistakes(self) -> dict[str, str]:
        """Return the mistakes of each workspace that has some."""
        found = ((name, self.mistake(name)) for name in self.names)
        return {name: mistake for name, mistake in found if mistake is not None}

    def home_of(self, name: str) -> Path:
        """Return the home of a workspace, whose settings may be mistaken."""
        return Path(str(self._entries[name].given.get("home", self.home)))

    def sound(self) -> Iterator[Settings]:
        """Yield the settings of each workspace that has no mistake."""
        for name in self.names:
            with suppress(SettingsError):
                yield self.settings(name)

    def workspace_id(self, name: str) -> str | None:
        """Return the id that a workspace's client is named after; None where it is not."""
        return self._entries[name].workspace_id

    @property
    def unassigned(self) -> Path:
        """The folder of webhooks that belong to no workspace."""
        return self.home / UNASSIGNED

    def _not_to_write(self, name: str) -> Iterator[tuple[str, Path]]:
        """Yield what the outputs of a workspace must leave alone, with who names it."""
        yield "HATIF_WORKSPACES", self.file
        for other, entry in self._entries.items():
            for one in entry.places if other != name else ():
                if one.path is not None:
                    yield f"workspace {other} ({one.field})", one.path


def _entry(
    source: Source,
    name: str,
    table: dict[str, Any],
    defaults: dict[str, Any],
    base: Mapping[str, object],
) -> Entry:
    """Return a workspace's values: its own, before defaults of the file and the environment."""
    entry = Entry()
    where = f"{source.file}: {shown(name)}"
    entry.mistakes += [f"{where}: {text}" for text in _mistaken_name(name)]
    if entry.mistakes:
        return entry  # it can have no folder
    entry.mistakes += [f"{where}.{text}" for text in _unknown(table)]
    for key, value in base.items():
        try:
            entry.given[key] = _own(key, str(value), name) if key in _PLACES else value
        except (Mistake, SettingsError) as mistake:
            entry.mistakes.append(f"{variable(key)}: {mistake}")
    for prefix, values in ((f"{source.file}: {DEFAULTS}", defaults), (where, table)):
        for key, value in values.items():
            if key not in _FIELDS or (values is defaults and key in table):
                continue
            entry.names[key] = f"{prefix}.{key}"
            entry.given.pop(key, None)
            try:
                text = source.text(key, value, name)
                if text:
                    is_shared = values is defaults and not _names_workspace(value)
                    entry.given[key] = _placed(source, key, text, name if is_shared else None)
            except (Mistake, SettingsError) as mistake:
                entry.mistakes.append(f"{prefix}.{key}: {mistake}")
    home = entry.given.setdefault("home", str(Path("data") / name))
    entry.given["home"] = os.path.abspath(_user(str(home)))  # noqa: PTH100 - not its links
    entry.places = tuple(_places(name, entry))
    return entry


def _placed(source: Source, key: str, text: str, shared_by: str | None) -> str:
    """Return a value of the file with its path relative to the file, for one workspace alone."""
    if key == "catalog":
        kind, _, place = text.partition(":")
        if kind == "sqlite" and place:
            text = f"sqlite:{source.folder / _user(place)}"
    elif key in _PATHS and "://" not in text:
        path = source.folder / _user(text)
        # Hours of work are a text, or the name of a file.
        text = str(path) if key != "business_hours" or path.is_file() else text
    return text if shared_by is None or key not in _PLACES else _own(key, text, shared_by)


def _own(key: str, text: str, name: str) -> str:
    """Return a workspace's own part of a place that is stated for all."""
    if key != "catalog":
        return f"{text.rstrip('/')}/{name}"
    kind, _, place = text.partition(":")
    if kind == "sqlite":
        path = Path(place)
        return f"sqlite:{path.parent / name / path.name}"
    return database.own(text, name) if kind in _ON_SERVERS else text


def _names_workspace(value: Any) -> bool:
    return (isinstance(value, str) and PLACEHOLDER in value) or isinstance(value, dict)


def _home_of_all(source: Source, defaults: dict[str, Any], base: Mapping[str, object]) -> Path:
    stated = defaults.get("home")
    if isinstance(stated, str) and stated and PLACEHOLDER not in stated:
        return Path(os.path.abspath(source.folder / _user(stated)))  # noqa: PTH100
    return Path(os.path.abspath(_user(str(base.get("home") or "data"))))  # noqa: PTH100


def _user(text: str) -> str:
    """Return a path with ``~`` as the user's home; one that is none stays, and is a mistake."""
    try:
        return str(user_path(text))
    except ValueError:
        return text


def _mistaken_name(name: str) -> Iterator[str]:
    if not _NAME.fullmatch(name):
        yield (
            "a workspace's name is at most 48 of the letters a-z, digits, - and _, and begins with "
            "a letter or digit"
        )
    elif name in _RESERVED:
        yield "is the name of a folder that every home has; choose another"


def _unknown(table: Mapping[str, Any]) -> Iterator[str]:
    for key in table:
        if key not in _FIELDS:
            plain = key.lower().removeprefix(PREFIX.lower())
            (nearest,) = difflib.get_close_matches(plain, sorted(_FIELDS), 1, cutoff=0)
            yield f"{shown(key)}: there is no such setting; the nearest is {nearest}"


def _places(name: str, entry: Entry) -> Iterator[apart.Place]:
    """Yield the places of a workspace, as far as they can be told."""
    given = entry.given
    home = str(given["home"])
    try:
        yield apart.place(name, "home", home)
        for field in ("lake", "webhook_dir"):  # which are in the home unless they are stated
            if place := given.get(field):
                yield apart.place(name, field, _user(str(place)))
        dsn = str(given.get("catalog") or "")
        kind, _, place = dsn.partition(":")
        if kind in _ON_SERVERS:
            yield apart.Place(name, "catalog", database.key(dsn))
        elif kind == "sqlite":
            yield apart.place(name, "catalog", _user(place))
    except (ValueError, OSError, SettingsError):
        return  # it is no place, which has a message of its own


def _keep_apart(entries: Mapping[str, Entry]) -> None:
    """Note as mistakes where two workspaces share a place, or are the same."""
    found = apart.conflicts(one for entry in entries.values() for one in entry.places)
    for name, sentences in found.items():
        entry = entries[name]
        for sentence in sentences:
            key, _, text = sentence.partition(":")
            entry.mistakes.append(f"{entry.name_of(key)}:{text}")
    same: dict[str, list[str]] = defaultdict(list)
    for name, entry in entries.items():
        client = entry.workspace_id or str(entry.given.get("client_id") or "").casefold()
        if client:
            same[client].append(name)
    for names in same.values():
        for name in names if len(names) > 1 else ():
            other = next(one for one in names if one != name)
            entries[name].mistakes.append(
                f"{entries[name].name_of('client_id')}: is of the same workspace as that of "
                f"{other}; write each workspace once"
            )
