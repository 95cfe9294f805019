"""Templates by their text, a CSV of the user's own: ``template,category,language,text``.

The text is as it was approved, with placeholders such as ``{{1}}``. Spaces are folded: any number
of spaces and line breaks is one space, and marks of the writing direction are none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from warehouse.settings.csv_file import Form, on_line, read_rows
from warehouse.settings.rate_card import category_mistake, category_named

_COLUMNS = ("template", "category", "language", "text")
_FORM = Form(
    ",".join(_COLUMNS),
    (),
    needed=(("template",), ("category",), ("text",)),
    optional=("language",),
    is_multiline=True,
)
_PLACEHOLDER = re.compile(r"\{\{[^{}]*\}\}")
_MARKS = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
#: So many letters before the first placeholder decide which messages a text is compared with.
HEAD = 8


@dataclass(frozen=True, slots=True)
class Template:
    """A template's text in one language.

    Attributes:
        template: its name.
        category: marketing, utility or authentication, ….
        language: as written; information.
        text: folded, with placeholders.
    """

    template: str
    category: str
    language: str
    text: str

    @property
    def pattern(self) -> str:
        """What a message must be LIKE: a placeholder stands for at least one letter."""
        parts = _PLACEHOLDER.split(self.text)
        return "_%".join(re.sub(r"([\\%_])", r"\\\1", part) for part in parts)

    @property
    def weight(self) -> int:
        """Letters outside placeholders: of the templates that fit, the one with most counts."""
        return len(_PLACEHOLDER.sub("", self.text))

    @property
    def head(self) -> str:
        """The first letters of every message of it, at most `HEAD`."""
        return _PLACEHOLDER.split(self.text)[0][:HEAD]


def folded(text: str) -> str:
    """Return a text with spaces folded, as the macro ``folded_text`` does in SQL."""
    return " ".join(_MARKS.sub("", text).split())


def parse_templates(path: Path) -> tuple[Template, ...]:
    """Read the templates.

    Raises:
        ValueError: a sentence that names the mistake and its line.
    """
    found: dict[str, tuple[int, Template]] = {}
    for line, cells in read_rows(path, _FORM):
        with on_line(line):
            template = _template(cells)
            key = _PLACEHOLDER.sub("{{}}", template.text)
            if key in found:
                raise ValueError(
                    f"has the same text as line {found[key][0]}; keep one, or messages of it are "
                    "of both"
                )
            found[key] = line, template
    if not found:
        raise ValueError(f"the file holds no template; it needs lines of {_FORM.usage}")
    return tuple(template for _, template in found.values())


def _template(cells: Mapping[str, str]) -> Template:
    category = category_named(cells["category"])
    text = folded(cells["text"])
    if not cells["template"]:
        raise ValueError("template must be the name of a template")
    if mistake := category_mistake(category):
        raise ValueError(mistake.replace(", or *", ""))
    if not folded(_PLACEHOLDER.sub("", text)):
        raise ValueError("text must hold more than placeholders, or every message is of it")
    return Template(cells["template"], category, cells["language"], text)
