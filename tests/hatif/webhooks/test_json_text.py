"""Text with several JSON values taken apart, whole and broken ones."""

from __future__ import annotations

import tracemalloc

import pytest

from hatif.webhooks import json_text


@pytest.mark.parametrize("broken", [b"{x}", b'{"a":x}', b"[x]", b'{"a":{"b":[}]}'])
def test_very_many_broken_values_in_a_row_are_found_one_by_one(broken: bytes) -> None:
    # With time that grows with the square of the length, this would take many minutes.
    many = 300_000 // len(broken)
    found = json_text.split(b" " + broken * many + b'{"a":1}{"b"')
    assert found.units == [broken] * many + [b'{"a":1}']
    assert (found.unfinished, found.end) == (b'{"b"', 1 + len(broken) * many + 7)


def test_a_value_begins_where_it_is_and_not_where_its_text_was_first_seen() -> None:
    text = b'{"body":"see {x} there"} {x}, {"b":2}'
    found = json_text.split(text)
    assert found.units == [b'{"body":"see {x} there"}', b"{x}", b'{"b":2}']
    assert found.starts == [0, 25, 30]


def test_broken_values_end_before_the_line_that_begins_another() -> None:
    text = b'{"a": 1\n{"b": 2}\n["c\n[3]\n{"d": 4}'
    assert json_text.split(text).units == [b'{"a": 1', b'{"b": 2}', b'["c', b"[3]", b'{"d": 4}']


@pytest.mark.parametrize("unit", [b"y", b'\\"', b"\\\\ "])
def test_a_long_text_without_its_end_takes_no_more_memory_than_a_few_copies(unit: bytes) -> None:
    text = b'{"x":"' + unit * ((2 << 20) // len(unit))
    tracemalloc.start()
    assert json_text.split(text).unfinished == text
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8 * len(text)
