"""The table of pages, who may see which, and what happens to errors.

A request passes in this order: host, method and origin (`guard`); the session; whether this page is for
whoever is there; the form and its token; the journal; the page. What is refused is shown with its reason;
what nobody foresaw is shown as such, and neither is logged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from markupsafe import Markup
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from coordinator import actions, log_in
from coordinator.dashboard.county import County
from coordinator.dashboard.guard import Address, Guard, is_right_token
from coordinator.dashboard.places import NAVIGATION, PLACES, Place
from coordinator.dashboard.speech import (
    LANGUAGES,
    SAID,
    STATIC,
    make_templates,
    refusal,
    translator,
)
from coordinator.dashboard.visit import Download, NewSession, Page, Redirect, Reply, Visit
from coordinator.errors import CoordinatorError, UnknownRoundError
from crypto.errors import CryptoError
from pages import speech as shared
from pages.forms import FormError, read_form, stale
from plan.errors import PlanError, phrase
from privacy.errors import PrivacyError
from protos.errors import ProtocolError
from results.errors import ResultsError

LANGUAGE_COOKIE: Final = "fedscreen-language"
LANGUAGE_S: Final = 400 * 24 * 3600
TOKEN_BYTES: Final = 32
LEAVE_S: Final = log_in.IDLE_MS // 1000 + 2
_REFUSALS = (CoordinatorError, PlanError, ProtocolError, CryptoError, PrivacyError, ResultsError)


class Answerer:
    """Answers requests with the pages of one county.

    Args:
        county: the open coordinator.
        address: where browsers reach the dashboard.
        language: where a browser has not chosen one.
        entropy: gives that many random bytes.
    """

    def __init__(
        self, county: County, address: Address, language: str, entropy: Callable[[int], bytes]
    ) -> None:
        self._county, self._address, self._language = county, address, language
        self._entropy = entropy
        for known in LANGUAGES:
            make_templates(known)

    def route(self, place: Place) -> Route:
        """Make the route of a page."""

        async def answer(request: Request) -> Response:
            return await self._answer(place, request)

        return Route(place.path, answer, methods=[place.method])

    async def lost(self, request: Request, _err: Exception) -> Response:
        """Answer where there is no page."""
        visit = await run_in_threadpool(self._visit, request)
        page = _error(phrase("there is no such page").text(visit.translate), "no-page", 404)
        return self._respond(request, visit, await run_in_threadpool(self._render, visit, page))

    async def _answer(self, place: Place, request: Request) -> Response:
        visit = await run_in_threadpool(self._visit, request)
        reply: Reply | None = _stopped(place, visit)
        if reply is None and place.method == "POST":
            try:
                visit.texts = await read_form(request)
                if not is_right_token(visit.text("form_token"), visit.form_token):
                    raise stale()
            except FormError as err:
                reply = _error(refusal(err, visit.translate), err.code, 400)
        return self._respond(request, visit, await run_in_threadpool(self._run, place, visit, reply))

    def _run(self, place: Place, visit: Visit, reply: Reply | None) -> Reply | tuple[str, int]:
        """Run a page in a thread of its own; give what it answers, pages made already."""
        try:
            if reply is None:
                self._note(place, visit, actions.ASKED if place.method == "POST" else actions.DONE)
                reply = place.handler(visit)
            return self._render(visit, reply) if isinstance(reply, Page) else reply
        except _REFUSALS as err:
            self._note(place, visit, actions.REFUSED)
            status = 404 if isinstance(err, UnknownRoundError) else 409
            code = err.code if isinstance(err, CoordinatorError) else "refused"
            return self._render(visit, _error(refusal(err, visit.translate), code, status))
        except Exception as err:  # its text may hold anything: only the kind is shown, and nothing logged
            text = phrase(
                "something went wrong that nobody foresaw (%(kind)s); try again, nothing is half done",
                kind=type(err).__name__,
            )
            return self._render(visit, _error(text.text(visit.translate), "unforeseen", 500))

    def _note(self, place: Place, visit: Visit, outcome: str) -> None:
        """Write what is about to be done, or was refused, into the journal."""
        if not place.action or (place.is_own and outcome != actions.REFUSED):
            return
        subject = place.subject(visit)
        with self._county.writing(place.action) as connection:
            who = (visit.name, visit.role)
            actions.note(connection, self._county.now_ms, who, place.action, subject, outcome)

    def _render(self, visit: Visit, page: Page) -> tuple[str, int]:
        text = (
            make_templates(visit.language)
            .get_template(page.template)
            .render(
                visit=visit,
                said=SAID.get(visit.query.get("said", ""), ""),
                owner=self._county.config.unit or self._county.config.federation,
                token=Markup('<input type="hidden" name="form_token" value="{}">').format(visit.form_token),
                navigation=[(href, name) for href, name, who in NAVIGATION if visit.role in who],
                idle_min=log_in.IDLE_MS // 60_000,
                leave_s=LEAVE_S,
                leave_to="/login?auto=1",
                **page.values,
            )
        )
        return text, page.status

    def _visit(self, request: Request) -> Visit:
        token = request.cookies.get(self._address.cookie, "")
        is_use = request.query_params.get("auto") != "1"
        found = log_in.find(self._county.store, token, self._county.now_ms, is_use=is_use) if token else None
        if found is None and not _is_token(token):
            token = self._entropy(TOKEN_BYTES).hex()
        session, account = found or (None, None)
        chosen = request.cookies.get(LANGUAGE_COOKIE, "")
        language = chosen if chosen in LANGUAGES else self._language
        return Visit(
            self._county,
            token,
            session,
            account,
            language,
            translator(language).gettext,
            self._entropy,
            request.path_params,
            request.query_params,
        )

    def _respond(self, request: Request, visit: Visit, reply: Reply | tuple[str, int]) -> Response:
        token = visit.token
        if isinstance(reply, Redirect):
            to = f"{reply.to}?said={reply.said}" if reply.said else reply.to
            response: Response = RedirectResponse(to, 303)
        elif isinstance(reply, NewSession):
            token, response = reply.token, RedirectResponse(reply.to, 303)
        elif isinstance(reply, Download):
            response = Response(reply.content, media_type=reply.media_type)
            response.headers["content-disposition"] = f'attachment; filename="{reply.name}"'
        elif isinstance(reply, tuple):
            response = HTMLResponse(reply[0], reply[1])
        else:
            raise TypeError(f"a page that was not made: {type(reply).__name__}")
        if request.cookies.get(self._address.cookie) != token:
            self._set_cookie(response, self._address.cookie, token)
        if request.url.path == "/language":
            self._set_cookie(response, LANGUAGE_COOKIE, visit.language, LANGUAGE_S)
        return response

    def _set_cookie(self, response: Response, name: str, value: str, max_age: int | None = None) -> None:
        response.set_cookie(
            name,
            value,
            max_age,
            path="/",
            httponly=True,
            samesite="strict",
            secure=self._address.is_secure,
        )


def make_app(county: County, address: Address, language: str, entropy: Callable[[int], bytes]) -> ASGIApp:
    """Make the dashboard's application.

    Args:
        county: the open coordinator.
        address: where browsers reach it.
        language: where a browser has not chosen one.
        entropy: gives that many random bytes (``secrets.token_bytes``).
    """
    answerer = Answerer(county, address, language, entropy)
    routes = [
        *map(answerer.route, PLACES),
        Mount("/static", StaticFiles(directory=STATIC), name="static"),
        Mount("/shared", StaticFiles(directory=shared.STATIC), name="shared"),
    ]
    app = Starlette(routes=routes, exception_handlers={404: answerer.lost, 405: answerer.lost})
    return Guard(app, address)


def new_token(entropy: Callable[[int], bytes]) -> str:
    """Make a session's id."""
    return entropy(TOKEN_BYTES).hex()


def _is_token(token: str) -> bool:
    """Say whether a cookie may be one of ours, so that its form token cannot be foreseen."""
    return len(token) == 2 * TOKEN_BYTES and all(sign in "0123456789abcdef" for sign in token)


def _stopped(place: Place, visit: Visit) -> Reply | None:
    """Stop whoever may not see a page."""
    if visit.role in place.who:
        return None
    if not visit.role:
        return Redirect("/login")
    return Page("not_yours.html", {"who": sorted(place.who - {""})}, 403)


def _error(message: str, code: str, status: int) -> Page:
    return Page("error.html", {"message": message, "code": code}, status)
