"""The reference page, ``docs/reference.md``: written from the headers of the SQL and the metrics.

    python -m warehouse.reports.reference > docs/reference.md

Edit those; the page is generated.
"""

from __future__ import annotations

import json
import sys

from warehouse.metrics.definitions import Metric, metrics
from warehouse.models.model import Model, models

_OPENING = """# Reference

Written by `python -m warehouse.reports.reference` from `warehouse/metrics/metrics.toml` and the
headers in `warehouse/models`; edit those. Instants are UTC, days are those of `HATIF_TIMEZONE`.
Facts keep rows that the service has deleted; tables of the present state leave them out.
"""
_EXAMPLES = """
Each metric is followed by a small example: what happened, an event a line, in Riyadh's time in 2026
(1 March is a Sunday, business hours are Sunday to Thursday, nine to six); a question in SQL, where
`{conversation}` and `{channel}` stand for those of the example; after `--` its answer; and how that
comes about. The examples run as tests. What other products' metrics get wrong, by name:
[mistakes made elsewhere](mistakes.md).
"""


def page() -> str:
    """Return the page."""
    parts = [_OPENING, "## Which table?\n", _glance(), "## Metrics\n", _EXAMPLES.lstrip()]
    parts += [_metric(metric) for metric in metrics().values()]
    for schema, title in (("marts", "Marts"), ("core", "Core tables")):
        parts.append(f"## {title}\n")
        parts += [_model(model) for model in sorted(models(schema), key=lambda one: one.name)]
    return "\n".join(parts)


def _glance() -> str:
    """Every mart in a line."""
    lines = ["| table | a row is | identified by |", "|---|---|---|"]
    for model in sorted(models("marts"), key=lambda one: one.name):
        about = " ".join(_without_metrics(model.description).split("\n\n")[0].split())
        grain = ", ".join(f"`{column}`" for column in model.grain)
        lines.append(f"| [`{model.table}`](#{_anchor(model.table)}) | {about} | {grain} |")
    return "\n".join([*lines, ""])


def _metric(metric: Metric) -> str:
    citing = [model for model in models("marts") if metric.name in model.metrics]
    lines = [f"### {_capital(metric.title)}", "", metric.formula, ""]
    if metric.variants:
        lines += ["Variants:", "", *(f"- {variant}" for variant in metric.variants), ""]
    lines += [f"A mistake made elsewhere: {metric.mistake}", ""]
    if citing:
        links = ", ".join(f"[`{model.table}`](#{_anchor(model.table)})" for model in citing)
        lines += [f"Found in {links}.", ""]
    answer = json.dumps(metric.answer, ensure_ascii=False)
    lines += [
        "```text",
        *metric.events,
        "```",
        "",
        "```sql",
        f"{metric.sql} -- {answer}",
        "```",
        "",
    ]
    return "\n".join([*lines, metric.why, ""])


def _model(model: Model) -> str:
    lines = [f"### {model.table}", "", model.description, ""]
    if model.metrics:
        titles = [metrics()[name].title for name in model.metrics]
        links = (f"[{title}](#{_anchor(title)})" for title in titles)
        lines[2:3] = [_without_metrics(model.description), "", f"Metrics: {', '.join(links)}."]
    lines += [f"One row for each {', '.join(f'`{column}`' for column in model.grain)}.", ""]
    lines += ["| column | type | meaning |", "|---|---|---|"]
    lines += [
        f"| `{column.name}` | {column.type} | {column.description.replace('|', chr(92) + '|')} |"
        for column in model.columns
    ]
    return "\n".join([*lines, ""])


def _without_metrics(description: str) -> str:
    """Drop the line of metrics, which the page has as links."""
    kept = [line for line in description.splitlines() if not line.startswith("Metrics: ")]
    return "\n".join(kept).strip()


def _anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return heading.lower().replace(".", "").replace(" ", "-")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


if __name__ == "__main__":
    sys.stdout.write(page())
