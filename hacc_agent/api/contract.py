"""The operations: one table, from which come the routes, the checks of queries, and OpenAPI 3.1.

What an operation takes is told by JSON Schema alone, so that what the document says and what is
refused cannot differ.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from .. import __version__
from .config import Scope
from .schemas import SCHEMAS

Document = dict[str, Any]


class Refusal(Exception):
    """An answer other than 200, and why; given as RFC 9457 says."""

    def __init__(
        self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    what: str
    schema: Mapping[str, Any]
    place: str = "query"  # or "path"

    def read(self, text: str) -> str | int:
        """What a caller has given. Raises `Refusal`."""
        value: str | int = text
        if self.schema["type"] == "integer":
            if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
                raise self._refusal("a whole number belongs here")
            value = int(text)
            if not self.schema["minimum"] <= value <= self.schema["maximum"]:
                raise self._refusal(f"{self.schema['minimum']} to {self.schema['maximum']}")
        elif not re.fullmatch(self.schema["pattern"], text):
            raise self._refusal(self.what)
        return value

    def _refusal(self, allowed: str) -> Refusal:
        return Refusal(HTTPStatus.BAD_REQUEST, f"{self.name}: {allowed}")


class Kind(enum.StrEnum):
    """The media type of what is given."""

    JSON = "application/json"
    STREAM = "text/event-stream"
    METRICS = "text/plain"


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    method: str
    path: str
    what: str
    gives: str = ""  # the name of a schema
    needs: Scope | None = Scope.READ  # None: nobody in particular
    takes: tuple[Parameter, ...] = ()
    kind: Kind = Kind.JSON
    refuses: tuple[HTTPStatus, ...] = ()  # beside what every operation does

    def read(self, given: Iterable[tuple[str, str]]) -> dict[str, str | int]:
        """The query of a request. Raises `Refusal` for what nobody takes, and for what is twice."""
        known = {each.name: each for each in self.takes if each.place == "query"}
        found: dict[str, str | int] = {}
        for name, text in given:
            if name not in known:
                takes = ", ".join(known) or "none"
                raise Refusal(HTTPStatus.BAD_REQUEST, f"parameters are: {takes}")
            if name in found:
                raise Refusal(HTTPStatus.BAD_REQUEST, f"{name}: stands there twice")
            found[name] = known[name].read(text)
        return found


MEMBER: Final = Parameter(
    "name",
    "a member's name, as /v1/members tells it",
    {"type": "string", "pattern": r"^[!-.0-~]{1,64}$"},
    "path",
)
SINCE: Final = Parameter(
    "since",
    "the id of the last event that is known; without it all that are kept",
    {"type": "string", "pattern": r"^[0-9]{1,16}-[0-9]{1,12}$"},
)


def _limit(most: int, usually: int) -> Parameter:
    return Parameter(
        "limit",
        f"at most so many; usually {usually}",
        {"type": "integer", "minimum": 1, "maximum": most, "default": usually},
    )


BINDINGS: Final = 100  # on a page
EVENTS: Final = 512  # as many as a daemon keeps
ORDERS: Final = {
    "drain": "move all that a member serves to others, slowly",
    "failover": "move all that a member serves to others, at once",
    "undrain": "take such an order back: its slots return, slowly",
}

OPERATIONS: Final = (
    Operation("status", "GET", "/v1/status", "what this controller does, and how much", "Status"),
    Operation("members", "GET", "/v1/members", "the members, their load and health", "Members"),
    Operation(
        "slots",
        "GET",
        "/v1/slots",
        "which member serves which slots",
        "Slots",
        refuses=(HTTPStatus.CONFLICT,),
    ),
    Operation(
        "bindings",
        "GET",
        "/v1/bindings",
        "who is bound, and where: one mobile node, those of a member, or all, page by page",
        "Bindings",
        takes=(
            Parameter(
                "home_address",
                "an IPv4 address",
                {
                    "type": "string",
                    "pattern": r"^((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}"
                    r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])$",
                },
            ),
            Parameter(
                "nai",
                "a network access identifier (RFC 4282): user@realm",
                {"type": "string", "pattern": r"^[!-?A-~]{0,120}@[!-~]{1,120}$"},
            ),
            Parameter(
                "member",
                "a member's name: those that it serves",
                {"type": "string", "pattern": r"^[!-~]{1,64}$"},
            ),
            Parameter(
                "after",
                "`next` of the page before",
                {"type": "string", "pattern": r"^[01]\.[0-9]{1,10}$"},
            ),
            _limit(1000, BINDINGS),
        ),
        refuses=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    ),
    Operation(
        "events",
        "GET",
        "/v1/events",
        "what has happened, the oldest first",
        "Events",
        takes=(SINCE, _limit(EVENTS, EVENTS)),
    ),
    Operation(
        "stream",
        "GET",
        "/v1/events/stream",
        "events as they happen, and once a second the figures that have changed (server-sent "
        "events: `figures`, `event`, `silent`); a listener goes on by the header Last-Event-ID",
        takes=(SINCE,),
        kind=Kind.STREAM,
    ),
    *(
        Operation(
            name,
            "POST",
            f"/v1/members/{{name}}/{name}",
            what,
            "Ordered",
            needs=Scope.OPERATE,
            takes=(MEMBER,),
            refuses=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
        )
        for name, what in ORDERS.items()
    ),
    Operation("metrics", "GET", "/metrics", "the same for Prometheus", kind=Kind.METRICS),
    Operation("document", "GET", "/openapi.json", "this document", "Anything", needs=None),
)

ALWAYS: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.CONTENT_TOO_LARGE
    if hasattr(HTTPStatus, "CONTENT_TOO_LARGE")
    else HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


def openapi() -> Document:
    """The OpenAPI 3.1 document of all operations."""
    paths: dict[str, Document] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "HACC controller",
            "version": __version__,
            "description": "What the controller of a cluster of Mobile IP Home Agents knows. "
            "Whoever may only read may call every GET; orders need the scope `operate`.",
        },
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "certificate": {"type": "mutualTLS"},
            },
        },
        "security": [{"token": []}, {"certificate": []}],
    }


def _described(operation: Operation) -> Document:
    statuses = [*ALWAYS, *operation.refuses]
    found: Document = {
        "operationId": operation.name,
        "summary": operation.what,
        "responses": {
            "200": _given(operation),
            **{str(int(status)): _refused(status) for status in sorted(statuses)},
        },
    }
    if operation.needs is None:
        found["security"] = [{}]
    if operation.takes:
        found["parameters"] = [
            {
                "name": each.name,
                "in": each.place,
                "required": each.place == "path",
                "description": each.what,
                "schema": dict(each.schema),
            }
            for each in operation.takes
        ]
    return found


def _given(operation: Operation) -> Document:
    schema: Document = {"type": "string"}
    if operation.gives:
        schema = {"$ref": f"#/components/schemas/{operation.gives}"}
    return {
        "description": operation.what,
        "content": {operation.kind.value: {"schema": schema}},
    }


def _refused(status: HTTPStatus) -> Document:
    return {
        "description": status.phrase,
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
        },
    }
