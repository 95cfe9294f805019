"""Every metric's worked example comes out as written; the page that tells of them is current."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pipelines.conftest import ROOT
from tests.warehouse.marts.world import Line, World, local, tells
from warehouse.metrics.definitions import Metric, metrics
from warehouse.models.model import models
from warehouse.reports.reference import page


def _line(text: str) -> Line:
    who, day, clock, *columns = text.split()
    return f"{who} {day} {clock}", {
        name: _value(name, value)
        for name, _, value in (column.partition("=") for column in columns)
    }


def _value(name: str, value: str) -> Any:
    if name.endswith("_at"):
        return local(value.removeprefix("2026-").replace("T", " "))
    if name.endswith("_seconds"):
        return float(value)
    return {"true": True, "false": False, "": None}.get(value, value)


def _name(metric: Metric) -> str:
    return f"example of {metric.name}"


for _metric in metrics().values():
    tells(_name(_metric), *map(_line, _metric.events))


@pytest.mark.parametrize("metric", metrics().values(), ids=lambda metric: metric.name)
def test_the_example_comes_out_as_written(reported: World, metric: Metric) -> None:
    sql = metric.sql.format(conversation=f"'{_name(metric)}'", channel=f"'of {_name(metric)}'")
    with reported.lake.reading() as connection:
        rows = connection.execute(sql).fetchall()
    values = [value for (value,) in rows]
    assert (values if len(values) > 1 else values[0]) == metric.answer


def test_every_metric_is_cited_or_concerns_all_marts() -> None:
    cited = {name for model in models("marts") for name in model.metrics}
    assert metrics().keys() - cited <= {"reporting_day"}


def test_no_citation_is_left_in_what_people_read() -> None:
    assert [model.name for model in models("marts") if "{metric" in model.description] == []


def test_the_reference_page_is_current() -> None:
    written = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m warehouse.reports.reference > docs/reference.md"
