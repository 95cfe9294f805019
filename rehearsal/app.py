"""The service's own endpoints: the token, and everything a read-only client may GET."""

from pathlib import Path
from urllib.parse import parse_qsl

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from rehearsal.abp import AbpError, abp_response, json_response, oauth_error
from rehearsal.control import control_routes
from rehearsal.gate import CONTROL, Gate
from rehearsal.sabotage import Connection
from rehearsal.stage import Stage
from rehearsal.tokens import SCOPE

_NOT_KEPT = {"Cache-Control": "no-store"}
_ANY_METHOD = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def build_app(stage: Stage, connection: Connection, webhook_dir: Path | None = None) -> Gate:
    """The whole application, behind its gate; control requests write files there, if anywhere."""

    async def token(request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        return _issue(stage, form)

    async def api(request: Request) -> Response:
        return _read(stage, request)

    app: ASGIApp = Starlette(
        routes=[
            Route("/connect/token", token, methods=["POST"]),
            Mount(CONTROL, routes=control_routes(stage, webhook_dir)),
            Route("/{path:path}", api, methods=_ANY_METHOD),
        ]
    )
    return Gate(app, stage, connection)


def _read(stage: Stage, request: Request) -> Response:
    if request.method != "GET":
        return abp_response(AbpError(404, "The requested resource was not found!"))
    try:
        with stage.lock:
            body = stage.reader.answer(request.scope["address"], request.scope["query"])
    except AbpError as error:
        return abp_response(error)
    return json_response(body)


def _issue(stage: Stage, form: dict[str, str]) -> Response:
    if form.get("grant_type") != "client_credentials":
        return oauth_error(400, "unsupported_grant_type", "The grant type is not supported.")
    known = (stage.client_id, stage.client_secret)
    if (form.get("client_id"), form.get("client_secret")) != known:
        return oauth_error(401, "invalid_client", "The specified client credentials are invalid.")
    scopes = form.get("scope", "").split()
    if set(scopes) - {SCOPE}:
        return oauth_error(400, "invalid_scope", "The specified scope is invalid.")
    with stage.lock:
        seconds = stage.quirks.token_seconds
        text = stage.tokens.issue(seconds, has_scope=bool(scopes))
    body = {"access_token": text, "token_type": "Bearer", "expires_in": seconds}
    return json_response(msgspec.json.encode(body), headers=_NOT_KEPT)
