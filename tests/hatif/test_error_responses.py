"""Error answers are recognised in any encoding, and cost nobody's privacy."""

import json

import httpx
import pytest

from hatif.error_responses import error_for
from hatif.errors import NotFound

GONE = {"error": {"code": "Volo.Abp.EntityNotFound", "message": "no such", "details": None}}


def not_found(**content) -> NotFound:
    error = error_for("GET /v1/contacts/x", httpx.Response(404, **content))
    assert isinstance(error, NotFound)
    return error


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_a_404_of_the_service_is_its_own_in_any_encoding(encoding):
    assert not_found(content=json.dumps(GONE).encode(encoding)).abp


@pytest.mark.parametrize(
    "content",
    [
        {"json": {"error": {"code": 404, "message": "no route", "status": "NOT_FOUND"}}},
        {"json": {"error": "not found"}},
        {"json": [GONE]},
        {"content": b"<html>"},
        {"content": b""},
        {"content": b"\xff\xfe{"},
        {"content": b"\x1f\x8bbroken"},
    ],
    ids=str,
)
def test_a_404_of_a_gateway_proves_nothing(content):
    assert not not_found(**content).abp


def test_names_of_parameters_are_shortened_and_cleaned_like_any_text():
    members = ["+966512345678", "x" * 5_000]
    body = {"error": {"validationErrors": [{"message": "m", "members": members}]}}
    text = str(error_for("GET /x", httpx.Response(400, json=body)))
    assert "966512345678" not in text
    assert len(text) < 300
