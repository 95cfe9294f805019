"""docs/settings.md and .env.example, from the descriptions in the settings class.

``python -m warehouse.settings.reference > docs/settings.md`` and
``python -m warehouse.settings.reference example > .env.example`` write them.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from warehouse.settings.environment import Settings
from warehouse.settings.values import PLANNED, PREFIX

_PAGE = """\
# Settings

Written by `python -m warehouse.settings.reference > docs/settings.md` from the descriptions in
`warehouse/settings/environment.py`; change those.

Settings are variables of the environment, or lines `NAME=value` of a file `.env` in the directory
where the command runs; the environment wins (`make ui` does not start where the two differ, since
Dagster would take the file's). `.env.example` has them all, to copy. An empty value
counts as not set. A value that holds spaces, quotes, `#` or `$` goes in single quotes. A mistake,
also in the name of a variable that begins with `HATIF_`, ends a command with exit status 2 and one
line that names the variable and never shows its value.
"""
_FILES = """\
## Files

CSV files are UTF-8 text, separated by commas; lines that begin with `#` and empty lines are left
out. With a first line of column names, columns may come in any order; business hours and holidays
need none. Dates are
`YYYY-MM-DD`, from 1900 to 2199.

- **`HATIF_BUSINESS_HOURS`**: `valid_from,hours`. Each line is in force until the next; before the
  first there is no business time, and a line `2026-02-19,` without hours is a time without.
- **`HATIF_HOLIDAYS`**: `date[,from,to][,name]`. Without times the whole day is free; a part of a
  day needs both. A line of two cells is a date and a name.
- **`HATIF_RATE_CARD`**: a heading names `effective_from`, `currency`, `rate`, and `market` or
  `country` or both; optionally `category`, `message_type`, `channel` (an id), `from_volume`,
  `free_per_month`, `note`. `*` or nothing is any, in all columns that select. `market` is a name of
  WhatsApp's price list (`warehouse/settings/markets.csv`, with calling codes and date) or a
  country's code, `country` ISO 3166-1 alpha-2, `category` one of marketing, utility,
  authentication, authentication_international, marketing_lite, service. `effective_from` is a date
  at midnight in `HATIF_BILLING_TIMEZONE`, or a time with its offset. Of the lines that fit, the
  most selective counts (market or country, then category, then message_type, then channel; a
  country is more selective than a market), then the latest `effective_from`, then the highest
  `from_volume` that is reached: so many messages of the line's market and category must be
  charged in the bill's month before it applies. `free_per_month` messages of the line's category
  are free for each channel and month. A made-up example:
  `warehouse/settings/sample_rate_card.csv`. A mark-up of a provider and a tax are part of the
  rate: for a price of 0.0455, a mark-up of 0.005 and 15 % tax write `0.058075`. Where the invoice
  has them on lines of their own, write the price without them; these lines stand in the
  reconciliation as `not_ours`. A country that has left its market before the shipped list knows
  it (`markets.csv` has its date) is named as `country`. Cards of earlier versions,
  `country,message_type,effective_from,currency,rate[,category]`, keep their meaning: the category
  is a label there.
- **`HATIF_MESSAGE_CATEGORIES`**: CSV or Parquet with the columns `message_id` (wamid or event id),
  `category` and, if known, `template`; others are left out, as are rows without an id, with an
  unknown category, or with an id that has two (`hatif doctor` counts them and names their lines).
  Each line of a CSV is a row of its own. What was read stays while the file cannot be read.
- **`HATIF_TEMPLATES`**: a heading names `template`, `category`, `text`, and `language` if you
  like. The text is as it was approved, with placeholders such as `{{1}}`; cells in quotes may hold
  line breaks. Any number of spaces and line breaks counts as one space. Of the templates that fit a
  message the one with most letters outside placeholders counts; where two of different categories
  fit alike, the category stays unknown. Two lines of one text are an error.
- **`HATIF_INVOICES`**: a folder of CSV files with `month` (`2026-01`, `01/2026`, `January 2026`,
  `يناير 2026`, or a day or instant of it), `amount` (a point before decimals; credits as `-1.50`
  or `(1.50)`), `currency` and, if known, `channel` (id, number or name), `market` (name or country
  code), `category`, `quantity`; other columns are kept. A `mapping.toml` beside them names other
  headers under `[columns]` (`month = "Billing period"`) and values that a file does not have under
  `[defaults]` (`currency = "USD"`). The export of Meta's pricing analytics is known by its headers
  and needs `currency` among the defaults. A file or a line that cannot be read, or that is not sure
  (`1.000` messages, `01/10/2026`), is named by `hatif doctor` and in `ops.invoice_files`; the
  others count. Lines alike add up; of two files with one content one counts.

All of these are read anew when their content changes, whatever their size and times say.
"""


def page() -> str:
    """Return docs/settings.md."""
    rows = [
        f"| `{name}` | {f'`{default}`' if default else '–'} | {_cell(field)} |"
        for name, default, field in _settings()
    ]
    planned = ", ".join(f"`{name}`" for name in sorted(PLANNED))
    return "\n".join(
        [
            _PAGE,
            "| name | default | meaning |",
            "|---|---|---|",
            *rows,
            "",
            _FILES,
            "## Later versions",
            "",
            *textwrap.wrap(f"Not used by this version, and an error: {planned}.", 100),
            "",
        ]
    )


def example() -> str:
    """Return .env.example: every setting as a comment, with its default or an example."""
    lines = ["# Copy to .env, and take the # from what you set. See docs/settings.md."]
    for name, default, field in _settings():
        value = default or str((field.examples or [""])[0])
        shown = f"'{value}'" if " " in value else value
        about = (field.description or "").replace("`", "")
        lines += ["", *(f"# {line}" for line in textwrap.wrap(about, 96))]
        lines.append(f"#{name}={shown}")
    return "\n".join([*lines, ""])


def _settings() -> Iterator[tuple[str, str, FieldInfo]]:
    """Yield each setting's variable, its default as text (``""`` for none) and its field."""
    for name, field in Settings.model_fields.items():
        yield f"{PREFIX}{name.upper()}", _default(field), field


def _default(field: FieldInfo) -> str:
    value = field.default
    if isinstance(value, SecretStr) or value is None:
        return ""
    if isinstance(value, tuple):  # parsed from the text that stands as its example
        return str((field.examples or [""])[0]) if value else ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"./{value}" if isinstance(value, Path) else str(value)


def _cell(field: FieldInfo) -> str:
    example = f" Example: `{field.examples[0]}`" if field.examples and not field.default else ""
    return f"{field.description}{example}".replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(example() if sys.argv[1:] == ["example"] else page())
