"""The application: pages, data, files, signing in.

Addresses: ``/`` is the page, ``/data/…`` what it asks for, ``/export/…`` files, ``/static/…`` what
the browser runs. Work on the lake happens in threads, so that a slow question delays no other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import anyio
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from hatif.errors import HatifError
from page import documents, exports, rows, words
from page.answers import Answers, Work
from page.errors import BadRequest, TooSlow
from page.filters import Filters, parse
from page.gate import Gate, Proxy
from page.lake_reader import LakeReader
from page.rows import Moment
from page.sessions import COOKIE, LASTS, Sessions
from page.view import Part, View, find
from warehouse.settings.environment import Settings

STATIC = Path(__file__).parent / "static"
#: Threads for requests; those that wait for the same answer take one each.
_THREADS = 40
_LARGEST_FORM = 4_096
_FORMAT = {"csv": "text/csv; charset=utf-8", "xlsx": exports.XLSX}
_log = logging.getLogger("hatif.page")


@dataclass(frozen=True)
class Options:
    """How the page is served.

    Attributes:
        is_ours: whether a name in ``Host`` is this server's.
        clock: what time it is; the demo lives in a time of its own.
        inbox: address of a conversation in Hatif's portal, with ``{id}`` in it; empty for none.
        views: by name.
        words: folders of words.
        longest: seconds that a statement may take.
    """

    is_ours: Callable[[str], bool]
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    inbox: str = ""
    views: Mapping[str, View] | None = None
    words: tuple[Path, ...] = (words.WORDS,)
    longest: float = 30.0


class Page:
    """The handlers; `application` is what a server runs."""

    def __init__(self, settings: Settings, options: Options) -> None:
        self._settings = settings
        self._options = options
        self.views = options.views or find()
        self.reader = LakeReader(settings, options.longest)
        self.answers = Answers(self.reader)
        password = settings.page_password
        self.sessions = Sessions(password.get_secret_value() if password else None)
        self.proxy = Proxy(settings.page_proxy) if settings.page_proxy else None
        self._threads: anyio.CapacityLimiter | None = None
        self.application = Starlette(
            routes=[
                Route("/", self._signed_in(self._index)),
                Route("/login", self._login, methods=["GET", "POST"]),
                Route("/logout", self._logout, methods=["POST"]),
                Route("/words/{language}.json", self._words),
                Route("/data/choices", self._signed_in(self._choices)),
                Route("/data/view/{view}", self._signed_in(self._view)),
                Route("/data/about/{view}", self._signed_in(self._about)),
                Route("/data/conversations/{view}/{part}", self._signed_in(self._conversations)),
                Route("/data/messages/{conversation}", self._signed_in(self._messages)),
                Route("/export/{view}/{part}.{form}", self._signed_in(self._export)),
                Mount("/static", StaticFiles(directory=STATIC)),
            ],
            middleware=[
                Middleware(Gate, is_ours=options.is_ours),
                Middleware(GZipMiddleware, minimum_size=2_000, compresslevel=5),
            ],
            exception_handlers={HatifError: self._failed},
        )

    # --- pages

    async def _index(self, request: Request) -> Response:
        language = _language(request)
        return HTMLResponse(
            documents.index(
                language,
                views=list(self.views),
                has_password=self.sessions.is_needed,
            )
        )

    async def _words(self, request: Request) -> Response:
        language = request.path_params["language"]
        if language not in words.LANGUAGES:
            raise BadRequest("language", "there is no such language")
        return JSONResponse(words.catalogue(language, self._options.words))

    async def _login(self, request: Request) -> Response:
        language = _language(request)
        if not self.sessions.is_needed:
            return RedirectResponse("/", 303)
        if request.method != "POST":
            return HTMLResponse(documents.login(language, "", self._options.words))
        form = await _form(request)
        if form.get("lang") in words.LANGUAGES:
            language = form["lang"]
        address = request.client.host if request.client else "?"
        wait = self.sessions.wait(address)
        if wait:
            page = documents.login(language, "login.too_many", self._options.words)
            return HTMLResponse(page, 429, {"retry-after": str(wait)})
        cookie = self.sessions.sign_in(address, form.get("password", ""))
        if cookie is None:
            page = documents.login(language, "login.wrong", self._options.words)
            return HTMLResponse(page, 401)
        response = RedirectResponse(f"/?lang={language}", 303)
        response.set_cookie(
            COOKIE,
            cookie,
            max_age=LASTS,
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
        )
        return response

    async def _logout(self, request: Request) -> Response:
        self.sessions.sign_out(request.cookies.get(COOKIE))
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE, httponly=True, samesite="lax")
        return response

    # --- data

    async def _choices(self, _: Request) -> Response:
        moment = self._moment()
        return await self._answered(
            ("choices", moment.today),
            lambda connection, _: rows.choices_json(connection, moment),
        )

    async def _view(self, request: Request) -> Response:
        view, filters, moment = self._asked(request)
        return await self._answered(
            (view.name, filters, self._time_of(view)),
            lambda connection, snapshot: rows.answer(connection, view, filters, moment, snapshot),
        )

    async def _about(self, request: Request) -> Response:
        view, filters, moment = self._asked(request)
        return JSONResponse(documents.about(view, filters, moment))

    async def _conversations(self, request: Request) -> Response:
        given = dict(request.query_params)
        picks = {
            name.removeprefix("pick."): given.pop(name)
            for name in list(given)
            if name[:5] == "pick."
        }
        view, filters, moment = self._asked(request, given)
        part = _part(view, request.path_params["part"])
        asked = rows.conversations(part, filters, moment, rows.picked(part, picks))
        question = (view.name, part.name, filters, tuple(sorted(picks.items())))
        return await self._answered(
            (*question, self._time_of(view)),
            lambda connection, _: (
                rows.conversations_json(connection, asked)
                | {"inbox": self._options.inbox, "has_messages": self._settings.page_messages}
            ),
        )

    async def _messages(self, request: Request) -> Response:
        if not self._settings.page_messages:
            return _problem(403, "messages_off", "HATIF_PAGE_MESSAGES is not set to yes")
        conversation = request.path_params["conversation"][:200]
        return await self._answered(
            ("messages", conversation),
            lambda connection, _: (
                rows.messages_json(connection, conversation) | {"inbox": self._options.inbox}
            ),
        )

    async def _export(self, request: Request) -> Response:
        form = request.path_params["form"]
        if form not in _FORMAT:
            raise BadRequest("form", "csv or xlsx")
        given = dict(request.query_params)
        language = given.pop("lang", "en")
        if language not in words.LANGUAGES:
            raise BadRequest("lang", "there is no such language")
        view, filters, moment = self._asked(request, given)
        part = _part(view, request.path_params["part"])
        known = words.catalogue(language, self._options.words)
        labels = [known.get(f"columns.{column.name}", column.name) for column in part.columns]
        work = partial(
            exports.write,
            self.reader,
            rows.statement(part, filters, moment),
            labels,
            form=form,
            timezone=moment.timezone,
            right_to_left=words.LANGUAGES[language] == "rtl",
        )
        content = await self._in_thread(work)
        name = f"hatif-{view.name}-{part.name}-{filters.start}-{filters.end}.{form}"
        return exports.Download(content, _FORMAT[form], name)

    # --- what they share

    def _signed_in(self, handler: Callable[[Request], Any]) -> Callable[[Request], Any]:
        """Return a handler for those who are signed in; others are sent to the login."""

        async def checked(request: Request) -> Response:
            if self._admits(request):
                found: Response = await handler(request)
                return found
            if not self.sessions.is_needed:
                return _problem(403, "not_by_proxy", "open the page through its proxy")
            if request.url.path == "/":
                return RedirectResponse(f"/login?lang={_language(request)}", 303)
            return _problem(401, "signed_out", "sign in first")

        return checked

    def _admits(self, request: Request) -> bool:
        if self.proxy is not None and self.proxy.admits(request):
            return True
        is_open = self.proxy is None or self.sessions.is_needed
        return is_open and self.sessions.is_open(request.cookies.get(COOKIE))

    def _moment(self) -> Moment:
        return Moment(self._options.clock(), self._settings.timezone)

    def _time_of(self, view: View) -> Hashable:
        """What besides the snapshot an answer depends on: the minute, where it reads the clock."""
        now = self._moment().now
        return now.replace(second=0, microsecond=0) if view.depends_on_time else None

    def _asked(
        self, request: Request, given: Mapping[str, str] | None = None
    ) -> tuple[View, Filters, Moment]:
        view = self.views.get(request.path_params["view"])
        if view is None:
            raise BadRequest("view", "there is no such view")
        moment = self._moment()
        if view.depends_on_time:
            moment = Moment(moment.now.replace(second=0, microsecond=0), moment.timezone)
        return view, parse(request.query_params if given is None else given, moment.today), moment

    async def _answered(self, question: Hashable, work: Work) -> Response:
        found = await self._in_thread(partial(self.answers.answer, question, work))
        return Response(found, media_type="application/json")

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        if self._threads is None:
            self._threads = anyio.CapacityLimiter(_THREADS)
        return await anyio.to_thread.run_sync(work, limiter=self._threads)

    def _failed(self, _: Request, error: Exception) -> Response:
        if isinstance(error, BadRequest):
            return _problem(400, "bad_request", f"{error.name}: {error}")
        if isinstance(error, TooSlow):
            return _problem(503, "too_slow", str(error))
        _log.warning("a question was not answered: %s", error)
        return _problem(503, "no_warehouse", str(error))


def _problem(status: int, kind: str, text: str) -> JSONResponse:
    return JSONResponse({"problem": kind, "text": text}, status)


def _part(view: View, name: str) -> Part:
    part = view.by_name.get(name)
    if part is None:
        raise BadRequest("part", "the view has no such part")
    return part


def _language(request: Request) -> str:
    """Return the language of an address, else the browser's, else English."""
    asked = request.query_params.get("lang")
    if asked in words.LANGUAGES:
        return asked
    accepted = request.headers.get("accept-language", "").lower()
    return "ar" if accepted.startswith("ar") else "en"


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of a small form; more than a form of ours has is not read."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_FORM:
            raise BadRequest("form", "the form is too large")
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=10)
    return {name: values[0] for name, values in fields.items()}
