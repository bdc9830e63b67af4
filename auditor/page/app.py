"""What happens to a request, and to errors.

A request passes in this order: host, method and origin (`pages.guard`); the session; whether this page is for
whoever is there; the form and its token; the page. What is refused is shown with its reason; what nobody
foresaw is shown as such, and neither is logged.
"""

from __future__ import annotations

from typing import Final

from markupsafe import Markup
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from auditor.errors import AuditorError, LinkError, RefusalError
from auditor.page.keeper import AtWorkError
from auditor.page.places import NAVIGATION, PLACES, Place
from auditor.page.speech import STATIC, make_templates
from auditor.page.visit import Download, Office, Page, Redirect, Reply, Visit
from crypto.errors import CryptoError
from pages import speech as shared
from pages.forms import FormError, read_form, stale
from pages.guard import Address, Guard, is_right_token
from pages.sessions import IDLE_S, Session
from pages.speech import LANGUAGES, refusal, translator
from paper.errors import PaperError
from plan.errors import PlanError, phrase
from privacy.errors import PrivacyError
from protos.errors import ProtocolError
from results.errors import ResultsError

COOKIE: Final = "fedscreen-auditor"
LANGUAGE_COOKIE: Final = "fedscreen-language"
LANGUAGE_S: Final = 400 * 24 * 3600
REFUSALS: Final = (
    *(AuditorError, ProtocolError, CryptoError, PlanError, PrivacyError, ResultsError, PaperError),
    OSError,
)
"""Errors whose words are shown."""


class Answerer:
    """Answers requests with the pages of one auditor.

    Args:
        office: what all pages share.
        address: where browsers reach the pages.
        language: where a browser has not chosen one.
    """

    def __init__(self, office: Office, address: Address, language: str) -> None:
        self._office, self._language = office, language
        self._cookie = address.cookie_of(COOKIE)
        for known in LANGUAGES:
            make_templates(known)

    def route(self, place: Place) -> Route:
        """Make the route of a page."""

        async def answer(request: Request) -> Response:
            return await self._answer(place, request)

        return Route(place.path, answer, methods=[place.method])

    async def lost(self, request: Request, _err: Exception) -> Response:
        """Answer where there is no page."""
        visit = self._visit(request)
        page = _error(
            phrase("there is no such page").text(translator(visit.language).gettext), "no-page", 404
        )
        return self._respond(request, visit, await run_in_threadpool(self._render, visit, page))

    async def _answer(self, place: Place, request: Request) -> Response:
        visit = self._visit(request)
        reply: Reply | None = _stopped(place, visit)
        if reply is None and place.method == "POST":
            try:
                visit.texts = await read_form(request)
                if not is_right_token(visit.text("form_token"), visit.session.form_token):
                    raise stale()
            except FormError as err:
                reply = _error(refusal(err, translator(visit.language)), err.code, 400)
        return self._respond(request, visit, await run_in_threadpool(self._run, place, visit, reply))

    def _run(self, place: Place, visit: Visit, reply: Reply | None) -> Reply | tuple[str, int]:
        """Run a page in a thread of its own; give what it answers, pages made already."""
        catalogue = translator(visit.language)
        try:
            reply = reply or place.handler(visit)
            return self._render(visit, reply) if isinstance(reply, Page) else reply
        except AtWorkError:
            return self._render(visit, Page("busy.html"))
        except REFUSALS as err:
            code = err.code if isinstance(err, RefusalError | LinkError) else type(err).__name__
            return self._render(visit, _error(refusal(err, catalogue), code, 409))
        except Exception as err:  # its text may hold anything: only the kind is shown, and nothing logged
            text = phrase(
                "something went wrong that nobody foresaw (%(kind)s); try again, nothing is half done",
                kind=type(err).__name__,
            )
            words = shared.sentence(text.text(catalogue.gettext))
            return self._render(visit, _error(words, "unforeseen", 500))

    def _render(self, visit: Visit, page: Page) -> tuple[str, int]:
        notices, visit.session.notices = visit.session.notices, []
        token = Markup('<input type="hidden" name="form_token" value="{}">').format(visit.session.form_token)
        text = (
            make_templates(visit.language)
            .get_template(page.template)
            .render(
                visit=visit,
                notices=notices,
                owner=self._office.owner or "fedscreen",
                token=token,
                navigation=[(href, name) for href, name, who in NAVIGATION if visit.role in who],
                running=self._office.watcher.running,
                idle_min=int(IDLE_S // 60),
                leave_s=int(IDLE_S) + 2,
                leave_to="/gone?auto=1",
                **page.values,
            )
        )
        return text, page.status

    def _visit(self, request: Request) -> Visit:
        token, session = self._session(request)
        chosen = request.cookies.get(LANGUAGE_COOKIE, "")
        language = chosen if chosen in LANGUAGES else self._language
        return Visit(self._office, session, token, language, request.path_params, request.query_params)

    def _session(self, request: Request) -> tuple[str, Session]:
        token = request.cookies.get(self._cookie, "")
        is_use = request.query_params.get("auto") != "1"
        found = self._office.sessions.find(token, is_use=is_use) if token else None
        return (token, found) if found is not None else self._office.sessions.begin()

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
            _set_cookie(response, self._cookie, visit.token)
        if request.url.path == "/language":
            _set_cookie(response, LANGUAGE_COOKIE, visit.language, LANGUAGE_S)
        return response


def make_app(office: Office, address: Address, language: str) -> ASGIApp:
    """Make the application.

    Args:
        office: what all pages share.
        address: where browsers reach them.
        language: where a browser has not chosen one.
    """
    answerer = Answerer(office, address, language)
    routes = [
        *map(answerer.route, PLACES),
        Mount("/static", StaticFiles(directory=STATIC), name="static"),
        Mount("/shared", StaticFiles(directory=shared.STATIC), name="shared"),
    ]
    app = Starlette(routes=routes, exception_handlers={404: answerer.lost, 405: answerer.lost})
    return Guard(app, address)


def _set_cookie(response: Response, name: str, value: str, max_age: int | None = None) -> None:
    response.set_cookie(name, value, max_age, path="/", httponly=True, samesite="strict")


def _stopped(place: Place, visit: Visit) -> Reply | None:
    """Stop whoever may not see a page."""
    if visit.role in place.who:
        return None
    return Redirect("/gone") if not visit.role else Page("no_keys.html", status=403)


def _error(message: str, code: str, status: int) -> Page:
    return Page("error.html", {"message": message, "code": code}, status)
