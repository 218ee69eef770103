"""How findings speak of lines, so that the same finding has the same words in every run."""

from __future__ import annotations

import re

_OF_THE_ROUTER = re.compile(r"<secret running:[^>]*>")


def without_place(text: str) -> str:
    """A secret of the router's own is named by its line, which moves."""
    return _OF_THE_ROUTER.sub("<secret>", text)
