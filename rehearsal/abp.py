"""Errors in the words of the ABP framework, and OAuth's at the token endpoint."""

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

JSON = "application/json; charset=utf-8"
ABP_HEADER = {"_AbpErrorFormat": "true"}


class AbpError(Exception):
    """A request that the API refuses; ``str()`` is the message of the body."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        details: str | None = None,
        member: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = abp_body(message, code=code, details=details, member=member)


def abp_body(
    message: str,
    *,
    code: str | None = None,
    details: str | None = None,
    member: str | None = None,
) -> bytes:
    """The error object; ``member`` names the parameter that failed validation."""
    failed = [{"message": details, "members": [member]}] if member else None
    error: dict[str, Any] = {
        "code": code,
        "message": message,
        "details": details,
        "data": {},
        "validationErrors": failed,
    }
    return msgspec.json.encode({"error": error})


def invalid(member: str, details: str) -> AbpError:
    """A parameter out of range or of the wrong type."""
    return AbpError(400, "Your request is not valid!", details=details, member=member)


def not_found(entity: str, entity_id: str) -> AbpError:
    """No such record, or one that belongs to somebody else."""
    return AbpError(404, f"There is no entity {entity} with id = {entity_id}!")


def internal() -> AbpError:
    """The answer of ABP to any exception it does not know."""
    return AbpError(500, "An internal error occurred during your request!")


def json_response(
    body: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON answer as ASP.NET labels it."""
    return Response(body, status, headers=headers, media_type=JSON)


def abp_response(error: AbpError) -> Response:
    """The answer that carries an ABP error."""
    return json_response(error.body, error.status, ABP_HEADER)


def oauth_error(status: int, error: str, description: str) -> Response:
    """The token endpoint's way to say no."""
    body = {"error": error, "error_description": description}
    return json_response(msgspec.json.encode(body), status, {"Cache-Control": "no-store"})
