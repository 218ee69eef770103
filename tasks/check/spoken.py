"""How findings speak of lines: the same in every run, and to nobody's terminal but in words."""

from __future__ import annotations

import re

_OF_THE_ROUTER = re.compile(r"<secret running:[^>]*>")


def without_place(text: str) -> str:
    """A secret of the router's own is named by its line, which moves."""
    return _OF_THE_ROUTER.sub("<secret>", text)


def visible(text: str) -> str:
    """What a router has in a banner must not steer the terminal of who reads about it."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)
