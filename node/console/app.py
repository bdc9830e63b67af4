"""The table of pages, who may see which, and what happens to errors.

A request passes in this order: host, method and origin (`guard`); the session; whether this page is for
whoever is there; the form and its token; the page. Whatever the vault refuses is shown with what to do about
it; what nobody foresaw is shown as such, and neither is logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from node.console import (
    pages_day,
    pages_enter,
    pages_follow_up,
    pages_hand_over,
    pages_import,
    pages_people,
    pages_reports,
    pages_round,
)
from node.console.forms import read_form
from node.console.guard import Guard, cookie_name, is_right_token
from node.console.sessions import IDLE_S, IT, PRINCIPAL, PSYCHOLOGIST
from node.console.speech import STATIC, make_templates, speaking
from node.console.visit import Console, Download, Handler, Page, Redirect, Reply, Visit
from node.errors import NodeError
from node.errors import _ as N_  # translated where it is shown
from pages import speech as shared
from pages.speech import LANGUAGES

LANGUAGE_COOKIE: Final = "fedscreen-language"
LANGUAGE_S: Final = 400 * 24 * 3600

ANYBODY: Final = frozenset({"", IT, PSYCHOLOGIST, PRINCIPAL})
STAFF: Final = ANYBODY - {""}
IMPORTERS: Final = frozenset({IT, PSYCHOLOGIST})
READERS: Final = frozenset({PSYCHOLOGIST, PRINCIPAL})
KEEPERS: Final = frozenset({PSYCHOLOGIST})


@dataclass(frozen=True, slots=True)
class Place:
    """One page: where it is, who may see it, what answers there."""

    method: str
    path: str
    handler: Handler
    who: frozenset[str]


NAVIGATION: Final = (
    ("/", N_("Today"), STAFF),
    ("/import", N_("Import"), IMPORTERS),
    ("/follow-up", N_("Follow-up"), KEEPERS),
    ("/hand-over", N_("Hand-over"), KEEPERS),
    ("/reports", N_("School report"), READERS),
    ("/budget", N_("Privacy account"), STAFF),
    ("/people", N_("People"), STAFF),
    ("/status", N_("This node"), STAFF),
)
"""What stands at the top of each page: where, its name, for whom."""

ROUND: Final = "/round/{round:str}"
PLACES: Final = (
    Place("GET", "/enter/{token:str}", pages_enter.enter, ANYBODY),
    Place("GET", "/login", pages_enter.login_form, ANYBODY),
    Place("POST", "/login", pages_enter.login, ANYBODY),
    Place("POST", "/logout", pages_enter.logout, ANYBODY),
    Place("POST", "/language", pages_enter.language, ANYBODY),
    Place("GET", "/", pages_day.day, STAFF),
    Place("GET", "/budget", pages_day.budget, STAFF),
    Place("GET", "/status", pages_day.state, STAFF),
    Place("POST", "/status/check", pages_day.check_store, frozenset({IT})),
    Place("GET", "/import", pages_import.import_form, IMPORTERS),
    Place("POST", "/import", pages_import.check_files, IMPORTERS),
    Place("GET", "/import/result", pages_import.result, IMPORTERS),
    Place("GET", "/import/problems.{ending:str}", pages_import.problem_list, IMPORTERS),
    Place("POST", "/import/store", pages_import.store, IMPORTERS),
    Place("POST", "/import/discard", pages_import.discard, IMPORTERS),
    Place("POST", "/import/undo", pages_import.undo, IMPORTERS),
    Place("POST", "/import/guess", pages_import.guess, IMPORTERS),
    Place("GET", f"{ROUND}/check", pages_round.check, STAFF),
    Place("GET", f"{ROUND}/sheet", pages_round.sheet, STAFF),
    Place("GET", f"{ROUND}/sign", pages_round.sign_form, STAFF),
    Place("POST", f"{ROUND}/sign", pages_round.sign, frozenset({PRINCIPAL})),
    Place("GET", f"{ROUND}/send", pages_round.send, STAFF),
    Place("POST", f"{ROUND}/hold", pages_round.hold, frozenset({IT, PRINCIPAL})),
    Place("GET", f"{ROUND}/receipt", pages_round.receipt, STAFF),
    Place("GET", "/reports", pages_reports.reports, READERS),
    Place("POST", "/reports", pages_reports.make, READERS),
    Place("GET", "/follow-up", pages_follow_up.pupils, KEEPERS),
    Place("GET", "/follow-up/{rec_key:str}", pages_follow_up.pupil, KEEPERS),
    Place("POST", "/follow-up/{rec_key:str}", pages_follow_up.change, KEEPERS),
    Place("POST", "/follow-up/{rec_key:str}/withdraw", pages_follow_up.withdraw, KEEPERS),
    Place("GET", "/hand-over", pages_hand_over.overview, KEEPERS),
    Place("GET", "/hand-over/key", pages_hand_over.own_key, KEEPERS),
    Place("GET", "/hand-over/new", pages_hand_over.form, KEEPERS),
    Place("POST", "/hand-over/new", pages_hand_over.show_draft, KEEPERS),
    Place("POST", "/hand-over/make", pages_hand_over.make, KEEPERS),
    Place("POST", "/hand-over/receive", pages_hand_over.receive, KEEPERS),
    Place("POST", "/hand-over/receipt", pages_hand_over.take_receipt, KEEPERS),
    Place("GET", "/hand-over/file/{id:str}", pages_hand_over.show, KEEPERS),
    Place("GET", "/hand-over/receipt/{id:str}", pages_hand_over.receipt, KEEPERS),
    Place("GET", "/people", pages_people.people, STAFF),
    Place("POST", "/people", pages_people.add, STAFF),
)


class Answerer:
    """Answers requests with the pages of one console.

    Args:
        console: what all pages share.
        port: where it listens.
        operator: the school's name, for the top of each page.
        language: where a browser has not chosen one.
    """

    def __init__(self, console: Console, port: int, operator: str, language: str) -> None:
        self._console, self._operator, self._language = console, operator, language
        self._cookie = cookie_name(port)
        self._templates = make_templates()

    def route(self, place: Place) -> Route:
        """Make the route of a page."""

        async def answer(request: Request) -> Response:
            return await self._answer(place, request)

        return Route(place.path, answer, methods=[place.method])

    async def lost(self, request: Request, _err: Exception) -> Response:
        """Answer where there is no page."""
        visit = self._visit(request)
        page = _error(N_("there is no such page"), N_("Go back to the first page."), "no-page", 404)
        return self._respond(request, visit, await run_in_threadpool(self._render, visit, page))

    async def _answer(self, place: Place, request: Request) -> Response:
        visit = self._visit(request)
        reply: Reply | None = _stopped(place, visit)
        try:
            if reply is None and place.method == "POST":
                form = await read_form(request, with_files=visit.role != "")
                visit.texts, visit.files = form.texts, form.files
                if not is_right_token(visit.text("form_token"), visit.session.form_token):
                    reply = _error(*_STALE, "form-token", 403)
        except NodeError as err:
            reply = _refused(err, 413 if err.code == "too-large" else 400)
        return self._respond(request, visit, await run_in_threadpool(self._run, place, visit, reply))

    def _run(self, place: Place, visit: Visit, reply: Reply | None) -> Reply | tuple[str, int]:
        """Run a page in a thread of its own; give what it answers, pages made already."""
        try:
            reply = reply or place.handler(visit)
            return self._render(visit, reply) if isinstance(reply, Page) else reply
        except NodeError as err:
            return self._render(visit, _refused(err, 409))
        except Exception as err:  # its text may hold anything: only the kind is shown, and nothing logged
            page = _error(*_UNFORESEEN, "unforeseen", 500, kind=type(err).__name__)
            return self._render(visit, page)

    def _render(self, visit: Visit, page: Page) -> tuple[str, int]:
        notices, visit.session.notices = visit.session.notices, []
        with speaking(visit.language):
            text = self._templates.get_template(page.template).render(
                visit=visit,
                notices=notices,
                owner=self._operator,
                language=visit.language,
                token=_token_field(visit.session.form_token),
                navigation=[(href, name) for href, name, who in NAVIGATION if visit.role in who],
                idle_min=int(IDLE_S // 60),
                leave_s=int(IDLE_S) + 2,
                leave_to="/login?auto=1",
                **page.values,
            )
        return text, page.status

    def _visit(self, request: Request) -> Visit:
        sessions, token = self._console.sessions, request.cookies.get(self._cookie, "")
        is_use = request.query_params.get("auto") != "1"
        session = sessions.find(token, is_use=is_use) if token else None
        if session is None:
            token, session = sessions.begin()
        chosen = request.cookies.get(LANGUAGE_COOKIE, "")
        language = chosen if chosen in LANGUAGES else self._language
        return Visit(self._console, session, token, language, request.path_params, request.query_params)

    def _respond(self, request: Request, visit: Visit, reply: Reply | tuple[str, int]) -> Response:
        if isinstance(reply, Redirect):
            response: Response = RedirectResponse(reply.to, 303)
        elif isinstance(reply, Download):
            response = Response(reply.content, media_type=reply.media_type)
            response.headers["content-disposition"] = f'attachment; filename="{reply.name}"'
        elif isinstance(reply, tuple):
            response = HTMLResponse(reply[0], reply[1])
        else:
            raise TypeError(f"a page that was not made: {type(reply).__name__}")
        if request.cookies.get(self._cookie) != visit.token:
            response.set_cookie(self._cookie, visit.token, path="/", httponly=True, samesite="strict")
        if request.url.path == "/language":
            response.set_cookie(
                LANGUAGE_COOKIE, visit.language, LANGUAGE_S, path="/", httponly=True, samesite="strict"
            )
        return response


def make_app(console: Console, *, authority: str, operator: str, language: str) -> ASGIApp:
    """Make the console's application.

    Args:
        console: what all pages share.
        authority: host and port under which it is reached, such as "127.0.0.1:8765".
        operator: the school's name.
        language: where a browser has not chosen one.
    """
    answerer = Answerer(console, int(authority.rpartition(":")[2]), operator, language)
    routes = [
        *map(answerer.route, PLACES),
        Mount("/static", StaticFiles(directory=STATIC), name="static"),
        Mount("/shared", StaticFiles(directory=shared.STATIC), name="shared"),
    ]
    app = Starlette(routes=routes, exception_handlers={404: answerer.lost, 405: answerer.lost})
    return Guard(app, authority)


_STALE: Final = (N_("this form is too old"), N_("Load the page again and send the form once more."))
_UNFORESEEN: Final = (
    N_("something went wrong that nobody foresaw (%(kind)s)"),
    N_("Try again; nothing is half done. If it stays, run 'fedscreen node doctor' and tell the county."),
)


def _token_field(token: str) -> Markup:
    return Markup('<input type="hidden" name="form_token" value="{}">').format(token)


def _stopped(place: Place, visit: Visit) -> Reply | None:
    """Stop whoever may not see a page."""
    if visit.role in place.who:
        return None
    if not visit.role:
        return Redirect("/login")
    return Page("not_yours.html", {"who": sorted(place.who - {""})}, 403)


def _error(message: str, advice: str, code: str, status: int, **details: Any) -> Page:
    values: Mapping[str, Any] = {"message": message, "advice": advice, "details": details, "code": code}
    return Page("error.html", values, status)


def _refused(err: NodeError, status: int) -> Page:
    return _error(err.message, err.advice, err.code, status, **err.details)
