"""No model is made with an expression that can raise: one value would stop all of a batch."""

from __future__ import annotations

import re

import pytest

from warehouse.metrics import definitions
from warehouse.models import model

#: What raises where a value is not of its kind; what stands in for it gives NULL.
_RAISES = re.compile(
    r"::\s*JSON\b|\b(?:strptime|error|make_date|make_timestamp)\(|(?<!TRY_)\bCAST\(|"
    r"::\s*(?:U?BIGINT|INTEGER|HUGEINT|DOUBLE|DECIMAL\S*|TIMESTAMPTZ|TIMESTAMP|BOOLEAN|DATE|UUID)\b",
    re.IGNORECASE,
)
#: Casts of what is no text of the service's: nothing, numbers that were counted, truth values,
#: and local days of instants that are bounded.
_SOUND = re.compile(
    r"NULL::\w+|now\(\)::\w+|\bcount\([^)]*\)::\w+|(?:sum|max|min|round|floor)\([^()]*\)::\w+|"
    r"AT TIME ZONE [^)]+\)::DATE|\b(?:opens_turn|opens_session)::INTEGER|"
    r"\(sum\(\) OVER in_order\)::BIGINT|\(bit_xor\(hash\(part\)\) >> 1\)::BIGINT|"
    r"\(r\.\w+ <> '\*'\)::INTEGER|\bt\.seconds::INTEGER"
)


def _raising(sql: str) -> list[str]:
    """Expressions in some SQL that can raise."""
    text = re.sub(r"--[^\n]*", "", sql)
    while (shorter := _SOUND.sub("", text)) != text:
        text = shorter
    return _RAISES.findall(text)


def _sql() -> dict[str, str]:
    found = {
        f"{kind}/{one.name}": one.select
        for kind in ("core", "steps", "marts")
        for one in model.models(kind)
    }
    metrics = {f"metrics/{name}": one.sql for name, one in definitions.metrics().items()}
    return found | metrics | {"merge": model.merge_sql(), "macros": model.macros()}


@pytest.mark.parametrize("sql", ["x::BIGINT", "CAST(x AS DATE)", "strptime(x, '%Y')", "x::json"])
def test_an_expression_that_can_raise_is_found(sql: str) -> None:
    assert _raising(f"SELECT {sql} FROM t")
    assert not _raising(f"SELECT TRY_CAST(x AS BIGINT), x::VARCHAR -- {sql}\n FROM t")


def test_no_table_is_made_with_an_expression_that_can_raise() -> None:
    assert len(_sql()) > 40
    raising = {name: _raising(sql) for name, sql in _sql().items()}
    assert {name: found for name, found in raising.items() if found} == {}


def test_views_need_no_macro_which_other_programs_do_not_have() -> None:
    ours = re.findall(r"MACRO memory\.main\.(\w+)", model.macros())
    assert len(ours) > 20
    views = [one for kind in ("core", "marts") for one in model.models(kind) if one.is_view]
    assert len(views) > 5
    for view in views:
        assert not re.search(rf"\b(?:{'|'.join(ours)})\(", view.select), view.name
