"""What a view is, and finding them: every file of a folder is one, so a new view is a new file.

A file of `views` has a constant ``VIEW``. Its words (title, question, titles of parts, notes) are
in ``words/<language>/<name of the view>.toml``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Literal

#: How a column's values are shown: a number, a share from 0 to 1, a length of time, …; a key is
#: not shown, a row is picked by it.
Kind = Literal[
    "count",
    "number",
    "share",
    "seconds",
    "money",
    "bucket",
    "month",
    "date",
    "instant",
    "text",
    "word",
    "channel",
    "agent",
    "country",
    "weekday",
    "hour",
    "flag",
    "conversation",
    "key",
]
Picture = Literal["figures", "bars", "lines", "heatmap", "ranking", "table"]
VIEWS = Path(__file__).parent / "views"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a part's rows.

    Attributes:
        name: in the SQL; its label is the word ``columns.<name>``.
        kind: how its values are shown.
        unknown: the word ``unknown.<…>`` with the reason why a value can be missing.
    """

    name: str
    kind: Kind
    unknown: str = "nothing"


@dataclass(frozen=True, slots=True)
class Drill:
    """The way from a bar or cell to the conversations behind it.

    Attributes:
        keys: columns of the row picked; the SQL reads them as ``$pick_<name>``.
        sql: conversation ids, as ``conversation_id``.
    """

    keys: tuple[str, ...]
    sql: str

    @classmethod
    def into(cls, relation: str, where: str = "true", **keys: str) -> Drill:
        """Return the way to the conversations of a relation's rows that are like the row picked.

        Args:
            relation: one of `page.statements.RELATIONS`.
            where: a condition on its rows.
            keys: by column of the row picked, what it is in the relation.
        """
        alike = "".join(
            f" AND {what} IS NOT DISTINCT FROM $pick_{name}" for name, what in keys.items()
        )
        return cls(
            tuple(keys),
            f"SELECT DISTINCT conversation_id FROM {{{relation}}} WHERE {where}{alike}",
        )


@dataclass(frozen=True, slots=True)
class Part:
    """One answer of a view: rows, and the picture they are shown in.

    Attributes:
        name: its title is the word ``<view>.<name>``; ``<view>.<name>_note`` may explain it.
        picture: how its rows are shown.
        sql: with placeholders, see `page.statements`.
        columns: those of the SQL, in its order.
        x: the column along the axis, or of the names in a ranking.
        y: the second axis of a heat map.
        series: the columns that are drawn; all others are in the table only.
        stacked: whether bars stand on each other.
        compared: whether the period before is shown beside it.
        per: a column that rows of figures are told apart by, such as the currency.
        drill: the way to conversations.
    """

    name: str
    picture: Picture
    sql: str
    columns: tuple[Column, ...]
    x: str = ""
    y: str = ""
    series: tuple[str, ...] = ()
    stacked: bool = False
    compared: bool = False
    per: str = ""
    drill: Drill | None = None


@dataclass(frozen=True, slots=True)
class View:
    """A view: one question, answered in figures and pictures.

    Attributes:
        name: in the address.
        order: where it stands among the others.
        parts: from top to bottom.
        metrics: names of the definitions it rests on (`warehouse.metrics`).
        is_current: it shows the present state: its answers depend on the time, it has no period
            and is asked for again by itself.
        options: of ``target``, ``clock``, ``waiting``: which controls it has.
        shared: marts that take long and that several parts read: an answer reads each once.
    """

    name: str
    order: int
    parts: tuple[Part, ...]
    metrics: tuple[str, ...] = ()
    is_current: bool = False
    options: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    by_name: dict[str, Part] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {part.name: part for part in self.parts})

    @property
    def depends_on_time(self) -> bool:
        """Whether an answer holds for a minute only, even where the lake stays as it is."""
        return any("$now" in part.sql for part in self.parts)


def find(folders: Iterable[Path] = (VIEWS,)) -> dict[str, View]:
    """Return the views of folders by name, in their order."""
    found = [_load(file) for folder in folders for file in sorted(folder.glob("[!_]*.py"))]
    return {view.name: view for view in sorted(found, key=lambda view: view.order)}


def _load(file: Path) -> View:
    spec = spec_from_file_location(f"page.views.{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    view: View = module.VIEW
    return view
