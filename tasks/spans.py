"""Lengths of time as people write them: `15m`, `24h`, `7d`, `2w`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from .errors import HaccError, Place, Problem

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_FORM: Final = re.compile(r"([1-9]\d{0,4})([smhdw])")
WORDS: Final = "a number with s, m, h, d or w: 15m, 24h, 7d"


def span(text: str, subject: str, place: Place | None = None) -> timedelta:
    """Raises HaccError in the name of `subject`, an option or a key."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise HaccError(Problem(place, subject, f"{text!r} is no length of time", allowed=WORDS))
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
