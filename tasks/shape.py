"""What pydantic finds wrong with a file, told as we tell it: where, what, allowed, a suggestion."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from . import yamlmarks
from .errors import Problem
from .inventory import nearest

# What pydantic finds by itself, in our words: (what was found, what is allowed). None shows the
# value found.
_WORDS: dict[str, tuple[str | None, str]] = {
    "missing": ("missing", ""),
    "model_type": (None, "a mapping"),
    "model_attributes_type": (None, "a mapping"),
    "dict_type": (None, "a mapping"),
    "tuple_type": (None, "a list"),
    "bool_type": (None, "true or false"),
    "too_short": (None, "at least {min_length}"),
    "too_long": (None, "at most {max_length}"),
}


def shape_problems(
    root: type[BaseModel], data: yamlmarks.Mapping, error: ValidationError
) -> Iterator[Problem]:
    """All that is wrong with a file that should be a `root`."""
    for detail in error.errors():
        if not _follows(detail):
            yield _problem(root, data, detail)


def _follows(detail: ErrorDetails) -> bool:
    """A list is not short because of its items that are wrong: pydantic does not count them."""
    context = detail.get("ctx", {})
    return detail["type"] == "too_short" and context["actual_length"] < len(detail["input"])


def _problem(root: type[BaseModel], data: yamlmarks.Mapping, detail: ErrorDetails) -> Problem:
    """A pydantic error as a Problem."""
    path = tuple(step for step in detail["loc"] if step != "[key]")
    place, real, written = yamlmarks.find(data, path)
    context = detail.get("ctx", {})
    found = detail["input"]
    kind = detail["type"]
    if kind == "missing":
        real = (*real, path[-1])
    subject = yamlmarks.words(real) or "file"
    if kind == "extra_forbidden":
        return Problem(
            place, subject, "unknown key", hint=nearest(str(path[-1]), _keys(root, path))
        )
    if kind == "union_tag_not_found":
        choices = " or ".join(sorted(_tags(root, path)))
        return Problem(place, subject, f"found {_shown(found)}", allowed=choices)
    if kind == "hacc":
        message, allowed, hint = context["message"], context["allowed"], context["hint"]
    else:
        words, allowed = _WORDS.get(kind, (detail["msg"], ""))
        message, allowed, hint = words, allowed.format(**context), ""
    if written:
        hint = yamlmarks.explain(written, found) or hint
    return Problem(place, subject, message or f"found {_shown(found)}", allowed, hint)


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return f"a mapping with {', '.join(map(str, value)) or 'no keys'}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, bool):
        return str(value).lower()
    return "nothing" if value is None else repr(value)


def _models(root: type[BaseModel], path: yamlmarks.Path) -> list[type[BaseModel]]:
    """The classes that the mapping at a path may be, by walking the schema along it."""
    here: list[Any] = [root]
    for step in path:
        nested: list[Any] = []
        for kind in here:
            if isinstance(step, str) and step.startswith("<"):
                nested.append(kind)
            elif isinstance(kind, type) and issubclass(kind, BaseModel):
                field = kind.model_fields.get(str(step))
                nested += _classes(field.annotation) if field else []
            else:
                nested.append(kind)
        if isinstance(step, int):
            nested = here
        elif isinstance(step, str) and step.startswith("<"):
            nested = [k for k in here if _tag_of(k) in (None, step)]
        here = nested
    return [kind for kind in here if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _classes(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found: list[type[BaseModel]] = []
    for part in getattr(annotation, "__args__", ()):
        found += _classes(part)
    return found


def _tag_of(kind: type[BaseModel]) -> str | None:
    first = next(iter(kind.model_fields))
    return f"<{first}>" if first in ("pair", "host", "realm", "address") else None


def _keys(root: type[BaseModel], path: yamlmarks.Path) -> list[str]:
    """The keys that could stand where the last step of a path stands."""
    return [
        field.alias or key
        for kind in _models(root, path[:-1])
        for key, field in kind.model_fields.items()
    ]


def _tags(root: type[BaseModel], path: yamlmarks.Path) -> Iterator[str]:
    for kind in _models(root, path):
        keys = [key for key, field in kind.model_fields.items() if field.is_required()]
        yield f"{{{', '.join(f'{key}: ...' for key in keys)}}}"
