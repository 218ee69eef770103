"""Routing: what adds up instead of overwriting, and `passive-interface default`, which turns the
meaning of its neighbours around."""

from __future__ import annotations

from collections.abc import Mapping

from ..edit import Edit

_DEFAULT = "passive-interface default"


def set_passive_default(edit: Edit) -> None:
    """Every interface is passive: what was said of single ones is forgotten."""
    if edit.old is None:
        unset_passive_default(edit)
    edit.put()


def unset_passive_default(edit: Edit) -> None:
    for line in edit.section.starting("passive-interface"):
        edit.section.drop(line.key)


def set_passive(edit: Edit) -> None:
    if _DEFAULT in edit.section.lines:
        edit.drop()
    else:
        edit.put()


def unset_passive(edit: Edit) -> None:
    if _DEFAULT in edit.section.lines:
        edit.put(f"no {edit.text}")
    else:
        edit.drop()


_HOPS = ("first", "second", "third")


def _put_next_hops(edit: Edit, hops: list[str]) -> None:
    text = " ".join((edit.key, *hops))
    edit.section.put(edit.command, edit.key, text, dict(zip(_HOPS, hops, strict=False)))


def _next_hops(args: Mapping[str, str]) -> list[str]:
    return [args[name] for name in _HOPS if name in args]


def add_next_hops(edit: Edit) -> None:
    """`set ip next-hop A` is a list; what is typed later adds to it."""
    known = _next_hops(edit.old.args) if edit.old is not None else []
    _put_next_hops(edit, list(dict.fromkeys((*known, *_next_hops(edit.args)))))


def remove_next_hops(edit: Edit) -> None:
    """`no set ip next-hop A` takes A from the list; without an address all of it goes."""
    gone, old = _next_hops(edit.args), edit.drop()
    left = [hop for hop in _next_hops(old.args) if hop not in gone] if old and gone else []
    if left:
        _put_next_hops(edit, left)


_VALUED = frozenset({"metric", "metric-type", "tag", "route-map"})
_SHOWN = ("metric", "metric-type", "subnets", "tag", "route-map")  # in this order


def _options(text: str) -> dict[str, str]:
    """The options of a `redistribute` line: each as it is written, with its value."""
    words = iter(text.split())
    return {word: f"{word} {next(words)}" if word in _VALUED else word for word in words}


def _put_options(edit: Edit, options: dict[str, str]) -> None:
    edit.put(" ".join((edit.key, *(options[name] for name in _SHOWN if name in options))))


def _known_options(edit: Edit) -> dict[str, str]:
    return _options(edit.old.text.removeprefix(edit.key)) if edit.old is not None else {}


def add_options(edit: Edit) -> None:
    """`redistribute X metric 20` adds an option, or changes its value; the others stay."""
    _put_options(edit, _known_options(edit) | _options(edit.text.removeprefix(edit.key)))


def remove_options(edit: Edit) -> None:
    """`no redistribute X metric 20` takes the option away and leaves the redistribution."""
    gone, known = _options(edit.text.removeprefix(edit.key)), _known_options(edit)
    if not gone:
        edit.drop()
    elif edit.old is not None:
        _put_options(edit, {name: text for name, text in known.items() if name not in gone})
