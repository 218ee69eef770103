"""The shapes of what the API gives: JSON Schema 2020-12, as OpenAPI 3.1 has it.

A field that may be missing does not exist: what is not known is null. `additionalProperties` is
false, so that a test finds what the daemon tells and nobody has described.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
NUMBER: Final[Schema] = {"type": "number"}
FLAG: Final[Schema] = {"type": "boolean"}


def _known(schema: Schema) -> Schema:
    """Or null."""
    return {**schema, "type": [schema["type"], "null"]}


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


def _object(what: str, fields: Mapping[str, Schema]) -> Schema:
    return {
        "type": "object",
        "description": what,
        "properties": dict(fields),
        "required": list(fields),
        "additionalProperties": False,
    }


def _told(schema: Schema, what: str) -> Schema:
    return {**schema, "description": what}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


UNIX_TIME: Final = _told(NUMBER, "s of Unix time")
COUNTERS: Final[Schema] = {"type": "object", "additionalProperties": COUNT}

SCHEMAS: Final[Mapping[str, Schema]] = {
    "Status": _object(
        "a controller",
        {
            "at": _told(UNIX_TIME, "when it was told, s of Unix time"),
            "router": TEXT,
            "role": TEXT,
            "cluster": TEXT,
            "version": TEXT,
            "configuration": _told(TEXT, "SHA-256 of the agent.toml in force"),
            "since": _told(UNIX_TIME, "when the daemon started, s of Unix time"),
            "decides": _told(FLAG, "whether this controller leads"),
            "follows": _told(_known(TEXT), "the controller that does, if it is known"),
            "bindings": COUNT,
            "pending": COUNT,
            "capacity": COUNT,
            "registrations_per_s": _told(
                _known(NUMBER), "requests answered since the look before; null at the first"
            ),
            "states": _told(COUNTERS, "members by state"),
            "standbys": _list(
                _object("a controller that follows", {"name": TEXT, "groups_behind": COUNT})
            ),
            "journal_trouble": _told(TEXT, "why nothing is safe on disk; empty: it is"),
            "counters": COUNTERS,
            "memory_mib": COUNT,
            "drill": {"anyOf": [_ref("Drill"), {"type": "null"}]},
        },
    ),
    "Drill": _object(
        "a failure that is rehearsed now",
        {"name": TEXT, "phase": TEXT, "what": TEXT, "at": UNIX_TIME},
    ),
    "Members": _object("all of them", {"at": UNIX_TIME, "members": _list(_ref("Member"))}),
    "Member": _object(
        "a Home Agent, or a pair of them, that bindings are placed on",
        {
            "name": TEXT,
            "kind": _told(TEXT, "linux or ios"),
            "backup": FLAG,
            "weight": COUNT,
            "capacity": COUNT,
            "state": _told(TEXT, "unknown, up, failing, down, held, draining or maintenance"),
            "why": _told(TEXT, "what has led to the state"),
            "state_since": UNIX_TIME,
            "linked": _told(FLAG, "whether the controller has a connection to its agent"),
            "transferring": _told(FLAG, "whether bindings are on their way to it"),
            "bindings": COUNT,
            "pending": COUNT,
            "slots": COUNT,
            "load": _told(NUMBER, "what new mobile nodes are placed by: the least gets them"),
            "closed": _told(TEXT, "why it gets no new mobile nodes; empty: it does"),
            "cpu_percent": _known(NUMBER),
            "memory_free_percent": _known(NUMBER),
            "registrations_per_s": _known(NUMBER),
            "heard_at": _told(_known(NUMBER), "when the figures were true, s of Unix time"),
            "source": _told(_known(TEXT), "how the figures came: member link or SNMP"),
        },
    ),
    "Slots": _object(
        "bindings belong to slots, and slots are served by members",
        {
            "epoch": _told(COUNT, "of the last decision"),
            "slots": COUNT,
            "runs": _list(
                _object(
                    "neighbouring slots",
                    {
                        "first": COUNT,
                        "last": COUNT,
                        "home": _told(TEXT, "whose own they are"),
                        "member": _told(TEXT, "who serves them"),
                        "bindings": COUNT,
                    },
                )
            ),
        },
    ),
    "Bindings": _object(
        "a page",
        {
            "bindings": _list(_ref("Binding")),
            "next": _told(_known(TEXT), "what to ask `after` for the next page; null: no more"),
        },
    ),
    "Binding": _object(
        "where a mobile node is",
        {
            "home_address": TEXT,
            "nai": TEXT,
            "care_of_address": TEXT,
            "source": TEXT,
            "member": _known(TEXT),
            "state": TEXT,
            "lifetime_s": COUNT,
            "left_s": _known(COUNT),
            "flags": _list(TEXT),
            "traits": _list(TEXT),
            "tunnel": TEXT,
            "spi": COUNT,
        },
    ),
    "Events": _object(
        "events",
        {
            "events": _list(_ref("Event")),
            "next": _told(_known(TEXT), "what to ask `since` for later ones; null: none yet"),
        },
    ),
    "Event": {
        "type": "object",
        "description": "what has happened; which other fields there are depends on it",
        "properties": {"id": TEXT, "at": UNIX_TIME, "event": TEXT},
        "required": ["id", "at", "event"],
        "additionalProperties": {"type": ["string", "number"]},
    },
    "Ordered": _object(
        "an order that was given",
        {
            "member": TEXT,
            "order": TEXT,
            "decides": _told(FLAG, "whether this controller carries it out itself"),
        },
    ),
    "Problem": _object(
        "RFC 9457",
        {"title": TEXT, "status": COUNT, "detail": TEXT},
    ),
    "Anything": {"type": "object"},
}
