"""The same control over HTTP, for another process: ``/_rehearsal/…``, no token, never logged.

===========  ==================  ========================================================
``GET``      ``/info``           url, client_id, client_secret, workspace_id, now, quirks,
                                 webhook_secrets by channel
``GET``      ``/truth``          live records per stream
``GET``      ``/truth/{table}``  rows of one core table, of campaigns or campaign_messages
``GET``      ``/templates``      the templates of campaigns, with category and text
``GET``      ``/deleted/{table}``  ids that once lived
``GET``      ``/requests``       the request log
``POST``     ``/quirks``         JSON object: fields of Quirks to change
``POST``     ``/faults``         JSON object: fields of Fault; ``then`` by name
``POST``     ``/faults/rate``    ``{"rate": 0.1, "kinds": […], "seed": 3}``
``DELETE``   ``/faults``         disarm everything
``POST``     ``/advance``        ``{"hours": 6, "messages": 100, …}``: hours and Passage fields
``POST``     ``/revoke``         refuse every token issued so far
``POST``     ``/prerender``      render every record now, for benchmarks
``POST``     ``/actions/{name}``  one of Actions, ``?n=20``
``POST``     ``/webhooks/files``  ``{"directory": "…", "hours": 24, …}``: what was sent in the
                                 last hours (by default ever) as files; ``formats``,
                                 ``signed`` and the fields of Transport besides; below
                                 the folder that the command line named
``POST``     ``/webhooks/url``   ``{"url": "…", …}``: post to it from now on, as time advances
``GET``      ``/webhooks``       every delivery that was to be posted, and how it ended
``GET``      ``/billing``        what each message costs in truth, and how much was received
===========  ==================  ========================================================

A request that cannot be read is answered with 400 and ``{"error": "…"}``. Pages in a browser
are refused: see control_guard.py.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from rehearsal import actions
from rehearsal.abp import json_response
from rehearsal.control_guard import Refused, check_sender, folder_within
from rehearsal.faults import TRANSIENT, Fault
from rehearsal.spec import Quirks
from rehearsal.stage import Stage

Handler = Callable[[Request, dict[str, Any]], Any]


class _Control:
    """The handlers: each takes the request and its JSON body, and returns a JSON value."""

    def __init__(self, stage: Stage, webhook_dir: Path | None) -> None:
        self.stage, self.webhook_dir = stage, webhook_dir

    def info(self, request: Request, _: dict[str, Any]) -> Any:
        stage = self.stage
        return {
            "url": str(request.base_url).rstrip("/").removesuffix("/_rehearsal"),
            "client_id": stage.client_id,
            "client_secret": stage.client_secret,
            "workspace_id": stage.workspace_id,
            "webhook_secrets": stage.webhook_secrets,
            "now": stage.now,
            "quirks": stage.quirks,
        }

    def counts(self, _: Request, __: dict[str, Any]) -> Any:
        return self.stage.truth_counts()

    def truth(self, request: Request, _: dict[str, Any]) -> Any:
        return self.stage.truth(request.path_params["table"])

    def templates(self, _: Request, __: dict[str, Any]) -> Any:
        return self.stage.templates

    def deleted(self, request: Request, _: dict[str, Any]) -> Any:
        return sorted(self.stage.deleted(request.path_params["table"]))

    def requests(self, _: Request, __: dict[str, Any]) -> Any:
        return self.stage.requests

    def quirks(self, _: Request, body: dict[str, Any]) -> Any:
        known = msgspec.to_builtins(self.stage.quirks)
        if unknown := body.keys() - known.keys():
            raise ValueError(f"no such quirk: {', '.join(sorted(unknown))}")
        msgspec.convert(known | body, Quirks)
        self.stage.set_quirks(**body)
        return self.stage.quirks

    def fault(self, _: Request, body: dict[str, Any]) -> Any:
        self.stage.fault(Fault(**body))
        return {}

    def rate(self, _: Request, body: dict[str, Any]) -> Any:
        kinds, seed = body.get("kinds", TRANSIENT), body.get("seed", 0)
        self.stage.fault_rate(float(body["rate"]), kinds=kinds, seed=seed)
        return {}

    def clear(self, _: Request, __: dict[str, Any]) -> Any:
        self.stage.clear_faults()
        return {}

    def advance(self, _: Request, body: dict[str, Any]) -> Any:
        return self.stage.advance(timedelta(hours=body.pop("hours", 1)), **body)

    def revoke(self, _: Request, __: dict[str, Any]) -> Any:
        self.stage.revoke_tokens()
        return {}

    def prerender(self, _: Request, __: dict[str, Any]) -> Any:
        self.stage.prerender()
        return {}

    def write_webhooks(self, _: Request, body: dict[str, Any]) -> Any:
        hours = body.pop("hours", None)
        directory = folder_within(self.webhook_dir, body.pop("directory", None))
        since = None if hours is None else self.stage.now - timedelta(hours=hours)
        return self.stage.write_webhooks(directory, since, **body)

    def post_webhooks(self, _: Request, body: dict[str, Any]) -> Any:
        self.stage.post_webhooks(body.pop("url"), **body)
        return {}

    def posted(self, _: Request, __: dict[str, Any]) -> Any:
        return self.stage.posted_webhooks()

    def billing(self, _: Request, __: dict[str, Any]) -> Any:
        return self.stage.billing()

    def act(self, request: Request, _: dict[str, Any]) -> Any:
        text = f"{request.path_params['name']} {request.query_params.get('n', '')}"
        action = actions.named(text)
        with self.stage.lock:
            return {"ids": action(self.stage)}


def control_routes(stage: Stage, webhook_dir: Path | None = None) -> list[BaseRoute]:
    """The routes under ``/_rehearsal``.

    Args:
        stage: what they control.
        webhook_dir: the only folder in which they write files; None = they write none.
    """
    control = _Control(stage, webhook_dir)
    table: tuple[tuple[str, str, Handler], ...] = (
        ("GET", "/info", control.info),
        ("GET", "/truth", control.counts),
        ("GET", "/truth/{table}", control.truth),
        ("GET", "/templates", control.templates),
        ("GET", "/deleted/{table}", control.deleted),
        ("GET", "/requests", control.requests),
        ("POST", "/quirks", control.quirks),
        ("POST", "/faults", control.fault),
        ("POST", "/faults/rate", control.rate),
        ("DELETE", "/faults", control.clear),
        ("POST", "/advance", control.advance),
        ("POST", "/revoke", control.revoke),
        ("POST", "/prerender", control.prerender),
        ("POST", "/actions/{name}", control.act),
        ("POST", "/webhooks/files", control.write_webhooks),
        ("POST", "/webhooks/url", control.post_webhooks),
        ("GET", "/webhooks", control.posted),
        ("GET", "/billing", control.billing),
    )
    return [Route(path, _endpoint(handler), methods=[method]) for method, path, handler in table]


def _endpoint(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            check_sender(request)
            body = msgspec.json.decode(await request.body() or b"{}", type=dict[str, Any])
            # Some take long, and the service has to go on answering.
            found = await run_in_threadpool(handler, request, body)
            return json_response(msgspec.json.encode(found, enc_hook=str))  # paths as text
        except Refused as refused:
            return json_response(msgspec.json.encode({"error": str(refused)}), refused.status)
        except (KeyError, TypeError, ValueError, msgspec.MsgspecError) as error:
            return json_response(msgspec.json.encode({"error": str(error)}), 400)

    return endpoint
