"""In front of every operation: what is too long, comes from elsewhere, or from nobody known.

In that order, so that a stranger costs least. Everything that is refused is counted by its reason,
and logged with its sender as far as the log's allowance goes.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from ..control import Refused
from ..logs import Logs
from .access import Access, Caller, comes_from_elsewhere
from .allowance import Allowance
from .config import Scope
from .contract import OPERATIONS, Operation, Refusal
from .feed import encoded
from .metrics import Meters
from .operations import Operations

TARGET: Final = 2048  # octets of a path and a query
HEAD: Final = 8192  # octets of headers
BODY: Final = 0  # octets: no operation takes any
STRANGERS: Final = (1.0, 20)  # a second, and at once: attempts of an address without success
CALLS: Final = (50.0, 200)  # of a caller

PAGE: Final = "/"
HEADERS: Final[Mapping[str, str]] = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""On every answer. The page brings a policy of its own, which names its script and its style."""

CHALLENGE: Final = {"www-authenticate": 'Bearer realm="hacc"'}
FAULT: Final = "a fault in this program, which has logged it"
NOBODY: Final = frozenset({PAGE, *(each.path for each in OPERATIONS if each.needs is None)})
"""Paths that hold nothing of the cluster's."""


class Gate:
    """The application."""

    def __init__(
        self,
        operations: Operations,
        page: Response,
        access: Access,
        meters: Meters,
        logs: Logs,
        steady: Callable[[], float],
    ) -> None:
        self._access, self._meters, self._logs, self._steady = access, meters, logs, steady
        self._strangers, self._calls = Allowance(*STRANGERS), Allowance(*CALLS)
        self._app = _routes(operations, page)

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        sender = str((scope.get("client") or ("",))[0])
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                self._meters.answers[str(message["status"])] += 1
                given = Headers(raw=message["headers"])
                message["headers"] = [
                    *message["headers"],
                    *(
                        (name.encode(), value.encode())
                        for name, value in HEADERS.items()
                        if name not in given
                    ),
                ]
            await send(message)

        try:
            self._admit(scope, sender)
            await self._app(scope, receive, answer)
        except Refusal as refusal:
            await _problem(refusal)(scope, receive, answer)
        except Exception:
            self._logs.limited(
                "a fault in this program", sender, what=traceback.format_exc(limit=-3)
            )
            if not begun:
                fault = Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, FAULT)
                await _problem(fault)(scope, receive, answer)

    def _admit(self, scope: Connection, sender: str) -> None:
        """Raises `Refusal`."""
        headers = Headers(scope=scope)
        path: str = scope["path"]
        if len(scope["raw_path"]) + len(scope["query_string"]) > TARGET:
            raise self._refusal("long", sender, HTTPStatus.REQUEST_URI_TOO_LONG, f"above {TARGET}")
        if sum(len(name) + len(value) for name, value in scope["headers"]) > HEAD:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise self._refusal("head", sender, status, f"above {HEAD}")
        if headers.get("transfer-encoding") or int(headers.get("content-length", "0")) > BODY:
            detail = "no operation takes a body"
            raise self._refusal("body", sender, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
        if path in NOBODY and scope["method"] in ("GET", "HEAD"):
            if not self._calls.take(f"address {sender}", self._steady()):
                raise self._too_many("rate", sender)
            return
        if comes_from_elsewhere(headers):
            detail = "the page of another site may not call"
            raise self._refusal("elsewhere", sender, HTTPStatus.FORBIDDEN, detail)
        caller = self._caller(scope, headers, sender)
        if not self._calls.take(f"caller {caller.name}", self._steady()):
            raise self._too_many("rate", sender)
        if scope["method"] not in ("GET", "HEAD") and not caller.may(Scope.OPERATE):
            detail = f"{caller.name} may read, and no more"
            raise self._refusal("scope", sender, HTTPStatus.FORBIDDEN, detail)
        scope["state"]["caller"] = caller

    def _caller(self, scope: Connection, headers: Headers, sender: str) -> Caller:
        """Raises `Refusal`.

        Who guesses wears out an allowance for wrong ones alone: nobody can lock others out.
        """
        known = self._access.by_certificate(scope["state"].get("certified", ()))
        if known is not None:
            return known
        given = headers.get("authorization", "")
        known = self._access.by_token(given)
        if known is None:
            if not self._strangers.take(sender, self._steady()):
                raise self._too_many("guesses", sender)
            detail = "a token or a certificate is needed" if not given else "nobody has that token"
            raise self._refusal("stranger", sender, HTTPStatus.UNAUTHORIZED, detail, CHALLENGE)
        return known

    def _too_many(self, reason: str, sender: str) -> Refusal:
        status = HTTPStatus.TOO_MANY_REQUESTS
        return self._refusal(reason, sender, status, "too often", {"retry-after": "5"})

    def _refusal(
        self,
        reason: str,
        sender: str,
        status: HTTPStatus,
        detail: str,
        headers: Mapping[str, str] | None = None,
    ) -> Refusal:
        self._meters.refusals[reason] += 1
        self._logs.limited("refused", sender, why=detail)
        return Refusal(status, detail, headers)


def _routes(operations: Operations, page: Response) -> ASGIApp:
    async def show(_request: Request) -> Response:
        return page

    def done(operation: Operation) -> Callable[[Request], Any]:
        async def do(request: Request) -> Response:
            return await operations.do(operation, request)

        return do

    async def refused(_request: Request, why: Exception) -> Response:
        match why:
            case Refusal():
                return _problem(why)
            case HTTPException():
                known = Refusal(HTTPStatus(why.status_code), why.detail, why.headers)
                return _problem(known)
            case Refused():  # by the daemon
                return _problem(Refusal(HTTPStatus.CONFLICT, str(why)))
            case _:  # it goes on to where it is logged
                return _problem(Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, FAULT))

    return Starlette(
        routes=[
            Route(PAGE, show),
            *(Route(each.path, done(each), methods=[each.method]) for each in OPERATIONS),
        ],
        exception_handlers=dict.fromkeys((Refusal, Refused, HTTPException, Exception), refused),
    )


def _problem(refusal: Refusal) -> Response:
    status = refusal.status
    document = {"title": status.phrase, "status": int(status), "detail": refusal.detail}
    return Response(encoded(document), int(status), refusal.headers, "application/problem+json")
