"""The page of a period as one file that needs nothing else: no server, no network.

Scripts and styles stand in the file, and its content policy lets only these run, by their hashes.
The data is JSON in which no character can end its element. What needs the lake (conversations
behind a bar, files, other filters) is not in it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from page import documents, rows, words
from page.answers import ENCODER
from page.filters import parse
from page.lake_reader import LakeReader
from page.rows import Moment
from page.view import View, find
from warehouse.reports.destinations import replacing, require_foreign
from warehouse.settings.environment import Settings

_STATIC = Path(__file__).parent / "static"
#: The page's own scripts, each after those it imports from.
SCRIPTS = ("dom", "api", "state", "words", "values", "charts", "tables", "parts", "dialogs")
_LAST = ("controls", "main")
_IMPORT = re.compile(r"^import\s[^;]*?;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|let|class))", re.MULTILINE)
_LONGEST = 120.0  # seconds


def write(
    settings: Settings,
    file: Path,
    given: Mapping[str, str],
    moment: Moment,
    language: str = "en",
) -> int:
    """Write the report; the file is there when it is whole. Return its bytes.

    Args:
        settings: where the warehouse is.
        file: to write.
        given: filters, as in an address.
        moment: when the report is made.
        language: that it opens in; it holds all.

    Raises:
        OutputRefused: the file is one of ours.
        HomeError: there is no warehouse.
    """
    require_foreign(settings, file)
    views = find()
    filters = parse(given, moment.today)

    def work(connection: duckdb.DuckDBPyConnection, snapshot: int) -> dict[str, Any]:
        found: dict[str, Any] = {"/data/choices": rows.choices_json(connection, moment)}
        for view in views.values():
            found[f"/data/view/{view.name}"] = rows.answer(
                connection, view, filters, moment, snapshot
            )
            found[f"/data/about/{view.name}"] = documents.about(view, filters, moment)
        return found

    with closing(LakeReader(settings, _LONGEST)) as reader:
        answers = msgspec.json.decode(ENCODER.encode(reader.read(work)))
    answers |= {f"/words/{name}.json": words.catalogue(name) for name in words.LANGUAGES}
    content = document(language, views, answers).encode()
    with replacing(file) as unfinished:
        unfinished.write_bytes(content)
    return len(content)


def document(language: str, views: Mapping[str, View], answers: dict[str, Any]) -> str:
    """Return the HTML of a report."""
    style = (_STATIC / "page.css").read_text(encoding="utf-8")
    scripts = [(_STATIC / "echarts.min.js").read_text(encoding="utf-8"), _bundle()]
    policy = (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; "
        f"script-src {' '.join(map(_hash, scripts))}; base-uri 'none'; form-action 'none'"
    )
    head = (
        f'<meta http-equiv="content-security-policy" content="{policy}">\n'
        f'<link rel="icon" href="data:,">\n<style>{style}</style>'
    )
    data = {"language": language, "views": list(views), "answers": answers}
    carried = f'<script type="application/json" id="report">{embedded(data)}</script>'
    body = documents.body(
        list(views),
        has_password=False,
        scripts="\n".join([carried, *(f"<script>{script}</script>" for script in scripts)]),
    )
    return documents.page(language, "Hatif", head, body)


def embedded(value: Any) -> str:
    """Return JSON to stand inside an element of HTML."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _bundle() -> str:
    """Return the page's scripts as one: each in a block of its own, its exports in an object."""
    parts = ['"use strict";', "const modules = {};"]
    parts += [_wrapped(name) for name in (*SCRIPTS, *_LAST)]
    return "\n".join(parts)


def _wrapped(name: str) -> str:
    text = (_STATIC / f"{name}.js").read_text(encoding="utf-8")
    exported = re.findall(
        r"^export (?:async )?(?:function|const|let|class) (\w+)", text, re.MULTILINE
    )
    text = _IMPORT.sub(lambda found: _taken(found[0]), text)
    text = _EXPORT.sub("", text)
    return f"{{\n{text}\nmodules.{name} = {{ {', '.join(exported)} }};\n}}"


def _taken(statement: str) -> str:
    """Return an import as what takes the names from the module's object."""
    found = re.fullmatch(r'import (.*?) from "\./(\w+)\.js";\n', statement, re.DOTALL)
    if found is None:
        raise ValueError(f"an import of another form: {statement}")
    names, module = found[1], found[2]
    if names.startswith("* as "):
        return f"const {names.removeprefix('* as ')} = modules.{module};\n"
    return f"const {names} = modules.{module};\n"


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
