"""``python -m benchmarks.answers``: the answers of docs/questions.md, from the demo workspace.

.venv/bin/hatif demo --contacts 100 --keep  # prints where its home is
python -m benchmarks.answers HOME           # runs every question there, writes its answer
"""

from __future__ import annotations

import io
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path

from pipelines import output
from warehouse.reports.query import Query
from warehouse.settings.environment import Settings

_PAGE = Path(__file__).parents[1] / "docs" / "questions.md"
_QUESTION = re.compile(r"```sql\n(.*?)```\n\n```text\n.*?```", re.DOTALL)
_ROWS = 6


def answered(settings: Settings, sql: str) -> str:
    """Return what ``hatif query`` shows, its first rows."""
    shown = io.StringIO()
    with redirect_stdout(shown), Query(settings, sql) as found:
        output.show(found)
    lines = [line.rstrip() for line in shown.getvalue().splitlines()]
    if len(lines) > _ROWS + 2:
        lines = [*lines[: _ROWS + 2], "…"]
    return "\n".join(lines)


def main() -> None:
    settings = Settings.load(home=Path(sys.argv[1]))
    page = _PAGE.read_text(encoding="utf-8")
    written = _QUESTION.sub(
        lambda m: f"```sql\n{m[1]}```\n\n```text\n{answered(settings, m[1])}\n```", page
    )
    _PAGE.write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
