"""Error answers of the service, turned into named exceptions.

The API answers in ABP's form, ``{"error": {code, message, details, validationErrors}}``; the token
endpoint in OAuth's, ``{"error", "error_description"}``; gateways in between with HTML or nothing.
"""

from __future__ import annotations

from types import NoneType
from typing import Any

import httpx
import msgspec

from hatif import errors
from hatif.envelope import UNREADABLE, utf8_body
from hatif.errors import Undecodable, redact

_PAGE_SIZE = "maxresultcount"
_UNEXPECTED = "This answer is not expected there: check HATIF_BASE_URL"
#: What to do about answers that concern one record or list rather than the service.
_ADVICE = {
    405: "The address does not take this request; has the API moved?",
    409: "The service reports a conflict there; it is read again later",
    410: "The service reports that it is gone; it is read again later",
    422: "The service cannot process it there; please report this",
    423: "The service has locked it; it is read again later",
    451: "The service may not show it for legal reasons; ask the vendor",
}


def abp_error(response: httpx.Response) -> dict[str, Any] | None:
    """Return the ``error`` object of an ABP answer, None when the answer is not one."""
    body = _json_object(response)
    error = body.get("error") if body else None
    if not isinstance(error, dict) or not isinstance(error.get("code"), (str, NoneType)):
        return None  # gateways of other makes use such an object too, with a number as its code
    return error


def error_for(request: str, response: httpx.Response) -> errors.ServiceError:
    """Build the exception for a final (not retryable) error answer of the API."""
    status = response.status_code
    error = abp_error(response)
    answer = _describe(status, error)
    if status == 404:
        return errors.NotFound(
            request,
            answer,
            "The record is gone or was never there"
            if error
            else "The address is not known there; has the API moved?",
            status,
            abp=error is not None,
        )
    if status == 403:
        code = (error or {}).get("code")
        if code:
            return errors.BusinessRefusal(
                request, answer, "This is a rule of the service, not a login problem", status
            )
        return errors.Forbidden(
            request,
            answer,
            "Check HATIF_SCOPE and what the API client may read in the portal",
            status,
        )
    if status == 400:
        return errors.InvalidRequest(
            request,
            answer,
            "Please report this: the service may have changed",
            status,
            members=_members(error or _json_object(response) or _plain(response)),
        )
    if status == 429:
        return errors.RateLimited(
            request, answer, "Lower HATIF_REQUESTS_PER_MINUTE or try again later", status
        )
    if status >= 500:
        return errors.ServerFault(
            request, answer, "The service is in trouble; try again later", status
        )
    if 300 <= status < 400:
        return errors.ServiceError(
            request,
            f"{status}, a redirect such as to a login page, also with a new token",
            "Check HATIF_BASE_URL (http:// for https://?) and what the API client may read",
            status,
        )
    if status < 300:
        return errors.ServiceError(
            request, f"{status} without a body to read", "Has the API changed?", status
        )
    return errors.ServiceError(request, answer, _ADVICE.get(status, _UNEXPECTED), status)


def token_error_for(request: str, response: httpx.Response) -> errors.ServiceError:
    """Build the exception for an answer of the token endpoint that brought no token."""
    status = response.status_code
    body = _json_object(response) or {}
    code = body.get("error")
    answer = f"{status} {redact(code, 60)}" if isinstance(code, str) else str(status)
    if code == "invalid_scope":
        advice = "HATIF_SCOPE is not known there; the service documents VoxaAPI"
    elif status in (400, 401, 403):
        advice = "Check HATIF_CLIENT_ID and HATIF_CLIENT_SECRET (portal: Settings → API connect)"
    elif status == 429 or status >= 500:
        return error_for(request, response)
    else:
        advice = "Check HATIF_BASE_URL"
    return errors.AuthenticationFailed(request, answer, advice, status)


def _describe(status: int, error: dict[str, Any] | None) -> str:
    if error is None:
        return f"{status} without an explanation"
    parts = [str(status)]
    code, message = error.get("code"), error.get("message")
    if code:
        parts.append(redact(str(code), 80))
    if message:
        parts.append(f"“{redact(str(message))}”")
    members = _members(error)
    if members:
        parts.append(f"about {redact(', '.join(sorted(members)), 120)}")
    return " ".join(parts)


def _members(body: Any) -> frozenset[str]:
    """The parameters that an error is about, lower-case, in whatever form it names them.

    ABP lists them in ``validationErrors``, RFC 7807 as keys of ``errors``; MaxResultCount counts
    wherever it is named, since a page's size is the one thing that we can change.
    """
    if not isinstance(body, dict):
        return frozenset()
    entries = _list(body.get("validationErrors"))
    found = {
        str(member).lower()
        for entry in entries
        if isinstance(entry, dict)
        for member in _list(entry.get("members"))
    }
    if isinstance(by_name := body.get("errors"), dict):
        found |= {str(name).lower() for name in by_name}
    if not any("maxresultcount" in name for name in found) and _PAGE_SIZE in str(body).lower():
        found.add(_PAGE_SIZE)
    return frozenset(found)


def _plain(response: httpx.Response) -> dict[str, Any]:
    """The beginning of an answer that is no JSON, as a message."""
    return {"message": response.content[:2_000].decode(errors="replace")}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _json_object(response: httpx.Response) -> dict[str, Any] | None:
    try:
        text = utf8_body(response.content, response.headers.get("content-type", ""))
        body = msgspec.json.decode(text)
    except (Undecodable, *UNREADABLE):
        return None
    return body if isinstance(body, dict) else None
