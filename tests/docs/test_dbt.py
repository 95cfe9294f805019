"""docs/dbt: what dbt reads of the tables is what the headers say."""

from __future__ import annotations

import re

import yaml

from tests.pipelines.conftest import ROOT
from warehouse.models.model import models
from warehouse.reports import dbt

PROJECT = ROOT / "docs" / "dbt"
SOURCES = yaml.safe_load(dbt.page())["sources"]


def test_the_file_is_the_one_that_is_written() -> None:
    assert (PROJECT / "models" / "sources.yml").read_text(encoding="utf-8") == dbt.page()


def test_every_table_and_column_is_a_source_with_a_description() -> None:
    found = {
        f"{source['schema']}.{table['name']}": [column["name"] for column in table["columns"]]
        for source in SOURCES
        for table in source["tables"]
        if all(column["description"] for column in table["columns"])
    }
    assert found == {
        model.table: [column.name for column in model.columns]
        for schema in ("core", "marts")
        for model in models(schema)
    }


def test_every_table_has_a_test_of_its_key() -> None:
    for source in SOURCES:
        for table in source["tables"]:
            keys = [column for column in table["columns"] if "data_tests" in column]
            assert len(keys) + len(table.get("data_tests", [])) == 1, table["name"]


def test_the_example_names_sources_that_are_there() -> None:
    text = (PROJECT / "models" / "messages_by_country.sql").read_text(encoding="utf-8")
    named = re.findall(r"source\('(\w+)', '(\w+)'\)", text)
    there = {(source["name"], table["name"]) for source in SOURCES for table in source["tables"]}
    assert named
    assert set(named) <= there
