"""Each operation of the contract, done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from ..control import Refused
from .access import Caller
from .contract import BINDINGS, EVENTS, ORDERS, Kind, Operation, Refusal, openapi
from .feed import Feed, encoded
from .metrics import Meters, exposition

Answer = Callable[[Request, Mapping[str, Any]], Awaitable[Response]]

STREAM: Final = {"x-accel-buffering": "no"}  # a proxy in front passes on what it gets


class Operations:
    """Those of one daemon."""

    def __init__(self, feed: Feed, meters: Meters, ordered: Callable[..., None]) -> None:
        """`ordered` is told of each order that was given, and by whom."""
        self._feed, self._meters, self._ordered = feed, meters, ordered
        self._document = encoded(openapi())
        self._all: Mapping[str, Answer] = {
            "status": partial(self._look, "status"),
            "members": partial(self._look, "members"),
            "slots": self._slots,
            "bindings": self._bindings,
            "events": self._events,
            "stream": self._stream,
            "metrics": self._metrics,
            "document": self._openapi,
            **{order: partial(self._order, order) for order in ORDERS},
        }

    async def do(self, operation: Operation, request: Request) -> Response:
        """Raises `Refusal`."""
        asked = operation.read(request.query_params.multi_items())
        for parameter in operation.takes:
            if parameter.place == "path":
                asked[parameter.name] = parameter.read(request.path_params[parameter.name])
        return await self._all[operation.name](request, asked)

    async def _look(self, name: str, request: Request, _asked: Mapping[str, Any]) -> Response:
        packed = "gzip" in request.headers.get("accept-encoding", "")
        body = (await self._feed.look()).body(name, packed=packed)
        headers = {"vary": "accept-encoding"} | ({"content-encoding": "gzip"} if packed else {})
        return Response(body, media_type=Kind.JSON, headers=headers)

    async def _slots(self, _request: Request, _asked: Mapping[str, Any]) -> Response:
        head, *runs = await self._feed.search("slots")
        return _json(head | {"runs": runs})

    async def _bindings(self, _request: Request, asked: Mapping[str, Any]) -> Response:
        address, nai = asked.get("home_address"), asked.get("nai")
        if "member" in asked:
            await self._known(asked["member"])
        lines = await self._feed.search(
            "bindings",
            mobile=nai or address,
            member=asked.get("member"),
            limit=asked.get("limit", BINDINGS),
            after=asked.get("after"),
        )
        more = lines.pop() if lines and "more" in lines[-1] else {"after": None}
        if nai and address:  # of one NAI there are few
            lines = [each for each in lines if each["home_address"] == address]
        return _json({"bindings": lines, "next": more["after"]})

    async def _events(self, _request: Request, asked: Mapping[str, Any]) -> Response:
        found = await self._feed.events(asked.get("since", ""), asked.get("limit", EVENTS))
        return _json(found)

    async def _stream(self, request: Request, asked: Mapping[str, Any]) -> Response:
        since = request.headers.get("last-event-id") or asked.get("since", "")
        await self._feed.look()
        if request.method == "HEAD":
            return Response(media_type=Kind.STREAM, headers=STREAM)
        return _Stream(self._feed, since)

    async def _order(self, order: str, request: Request, asked: Mapping[str, Any]) -> Response:
        caller: Caller = request.state.caller
        await self._known(asked["name"])
        try:
            (done,) = await self._feed.search(order, member=asked["name"], by=caller.name)
        except Refused as why:  # another controller decides
            raise Refusal(HTTPStatus.CONFLICT, str(why)) from None
        self._ordered(order=order, member=asked["name"], by=caller.name)
        return _json(done)

    async def _known(self, member: str) -> None:
        members = (await self._feed.look()).members
        if member not in members:
            raise Refusal(HTTPStatus.NOT_FOUND, f"there is no member {member!r}")

    async def _metrics(self, _request: Request, _asked: Mapping[str, Any]) -> Response:
        try:
            look = await self._feed.look()
        except Refusal:
            look = None  # which is what an alert has to be told of
        body = exposition(look, self._meters, self._feed.listeners)
        return Response(body, headers={"content-type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _openapi(self, _request: Request, _asked: Mapping[str, Any]) -> Response:
        return Response(self._document, media_type=Kind.JSON)


class _Stream(StreamingResponse):
    """Counted for as long as it lasts, whoever ends it."""

    def __init__(self, feed: Feed, since: str) -> None:
        super().__init__(feed.frames(since), media_type=Kind.STREAM, headers=STREAM)
        self._feed = feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._feed.listening():
            await super().__call__(scope, receive, send)


def _json(document: Mapping[str, Any]) -> Response:
    return Response(encoded(document), media_type=Kind.JSON)
