"""What belongs to a site and not to a router: where its history is kept, and who is told.

Both stand in `inventory/defaults.yaml`, beside what Nornir knows there:

    history: {url: "postgresql://hacc@db/hacc", password: "env:HACC_HISTORY_PASSWORD", keep: 400d}
    notify: ["env:HACC_NOTIFY_CHAT", "file:keys/notify-mail"]
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from . import yamlmarks
from .errors import HaccError, Place, Problem
from .inventory import nearest
from .secrets import SCHEMES, SecretRef
from .spans import span

FILE: Final = "defaults.yaml"
_HISTORY: Final = ("url", "password", "keep", "site")


@dataclass(frozen=True, slots=True)
class HistorySettings:
    """The words of `history:`. Empty: the file beside the inventory, for ever."""

    place: Place
    url: str = ""
    password: SecretRef | None = None
    keep: timedelta | None = None  # older runs are forgotten
    site: str = ""  # whose runs are meant, where several repositories share a database


@dataclass(frozen=True, slots=True)
class Channel:
    """One of `notify:`: an apprise URL by reference, since it holds a token most often."""

    url: SecretRef
    place: Place


@dataclass(frozen=True, slots=True)
class Settings:
    history: HistorySettings
    notify: tuple[Channel, ...] = ()


def load_settings(root: Path) -> Settings:
    """Reads `defaults.yaml`, if there is one. Raises HaccError with all that is wrong."""
    path = root / FILE
    place = Place(str(path), 0)
    if not path.exists():
        return Settings(HistorySettings(place))
    text = yamlmarks.read(path)
    if isinstance(text, Problem):
        raise HaccError(text)
    data, problems = yamlmarks.loads(text, str(path))
    if problems:
        raise HaccError(problems)
    history = _history(data, problems)
    notify = tuple(_channels(data, problems))
    if problems:
        raise HaccError(problems)
    return Settings(history, notify)


def _history(data: yamlmarks.Mapping, problems: list[Problem]) -> HistorySettings:
    value, place = data.get("history"), data.at("history")
    if value is None:
        return HistorySettings(place)
    if isinstance(value, str):
        return HistorySettings(place, url=value)
    if not isinstance(value, yamlmarks.Mapping):
        problems.append(
            Problem(place, "history", f"found {value!r}", "a URL, or {url, password, keep, site}")
        )
        return HistorySettings(place)
    words: dict[str, str] = {}
    for key, word in value.items():
        if key not in _HISTORY:
            problems.append(
                Problem(value.at(key), f"history.{key}", "unknown key", hint=nearest(key, _HISTORY))
            )
        elif not isinstance(word, str) or not word:
            problems.append(Problem(value.at(key), f"history.{key}", "is no text"))
        else:
            words[key] = word
    password = SecretRef.parse(words.get("password"))
    if "password" in words and password is None:  # it may be the password: it is not repeated
        problems.append(
            Problem(
                value.at("password"),
                "history.password",
                "not a reference to a secret",
                allowed=SCHEMES,
            )
        )
    keep = None
    if "keep" in words:
        try:
            keep = span(words["keep"], "history.keep", value.at("keep"))
        except HaccError as error:
            problems += error.problems
    return HistorySettings(
        value.at("url"), words.get("url", ""), password, keep, words.get("site", "")
    )


def _channels(data: yamlmarks.Mapping, problems: list[Problem]) -> list[Channel]:
    value, place = data.get("notify"), data.at("notify")
    if value is None:
        return []
    if not isinstance(value, yamlmarks.Sequence):
        problems.append(Problem(place, "notify", f"found {type(value).__name__}", allowed="a list"))
        return []
    found = []
    for index, word in enumerate(value):
        ref = SecretRef.parse(word)
        if ref is None:
            problems.append(
                Problem(
                    value.at(index),
                    f"notify[{index}]",
                    "not a reference to a secret",
                    allowed=SCHEMES,
                    hint="a notification URL holds a token: keep it out of this file",
                )
            )
        else:
            found.append(Channel(ref, value.at(index)))
    return found
