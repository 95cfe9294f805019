"""HTML: the page, the login. What stands in them is ours alone: words, and names of views."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from page import rows, words
from page.filters import Filters
from page.rows import Moment
from page.view import View

_PAGE = """\
<!doctype html>
<html lang="{language}" dir="{direction}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
{head}
</head>
{body}
</html>
"""
_HEAD = """\
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/page.css">"""
_BODY = """\
<body data-views="{views}" data-password="{password}">
<header></header>
<p id="status" class="hidden" role="status" aria-live="polite"></p>
<main aria-busy="true"></main>
{scripts}
</body>"""
_SCRIPTS = """\
<script src="/static/echarts.min.js" defer></script>
<script src="/static/main.js" type="module"></script>"""
_LOGIN = """\
<body>
<main class="login">
<h1>{title}</h1>
{problem}
<form method="post" action="/login">
<input type="hidden" name="lang" value="{language}">
<label>{password}
<input type="password" name="password" autocomplete="current-password" required autofocus></label>
<button type="submit">{enter}</button>
</form>
<p><a href="/login?lang={other}" lang="{other}">{other_name}</a></p>
</main>
</body>"""


def page(language: str, title: str, head: str, filled: str) -> str:
    """Return a whole document."""
    return _PAGE.format(
        language=language,
        direction=words.LANGUAGES[language],
        title=escape(title),
        head=head,
        body=filled,
    )


def body(views: Sequence[str], *, has_password: bool, scripts: str) -> str:
    """Return the body of the page, which its scripts fill."""
    return _BODY.format(
        views=escape(" ".join(views)), password="yes" if has_password else "no", scripts=scripts
    )


def index(language: str, *, views: Sequence[str], has_password: bool) -> str:
    """Return the page; everything on it is asked for by its scripts."""
    filled = body(views, has_password=has_password, scripts=_SCRIPTS)
    return page(language, "Hatif", _HEAD, filled)


def login(language: str, problem: str, folders: tuple[Path, ...]) -> str:
    """Return the form to sign in, with a word on what was wrong before."""
    known = words.catalogue(language, folders)
    other = "en" if language == "ar" else "ar"
    shown = f'<p class="failed" role="alert">{escape(known[problem])}</p>' if problem else ""
    filled = _LOGIN.format(
        title=escape(known["login.title"]),
        problem=shown,
        language=language,
        password=escape(known["login.password"]),
        enter=escape(known["login.enter"]),
        other=other,
        other_name="English" if other == "en" else "العربية",
    )
    return page(language, known["login.title"], _HEAD, filled)


def about(view: View, filters: Filters, moment: Moment) -> dict[str, Any]:
    """Return the definitions a view rests on, and the SQL of each part, ready to run."""
    return {
        "metrics": view.metrics,
        "parts": [
            {
                "name": part.name,
                "sql": tidy(rows.statement(part, filters, moment).written_out()),
            }
            for part in view.parts
        ],
    }


def tidy(sql: str) -> str:
    """Return a statement without the indentation of the file that it stands in."""
    lines = [line.rstrip() for line in sql.strip().splitlines()]
    indents = [len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()]
    least = min(indents, default=0)
    return re.sub(r"\n{2,}", "\n", "\n".join([lines[0], *(line[least:] for line in lines[1:])]))
