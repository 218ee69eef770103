"""What goes to a command of enable mode, and what a session answers to a line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .device import Device
    from .session import Session


@dataclass(frozen=True, slots=True)
class Reply:
    """Output and prompt, and how the next input is to be read.

    `text` has lines apart by \\n and, when it is not empty, ends in one.
    """

    text: str
    prompt: str
    echo: bool = True  # False while a password is typed
    key: bool = False  # the next input is one key: `[confirm]`, --More--
    closed: bool = False  # the router hung up
    silent: bool = False  # it hung up without a word: a fault, not `exit`
    delay: float = 0.0  # seconds before the text
    prompt_delay: float = 0.0  # and between text and prompt


@dataclass(frozen=True, slots=True)
class Question:
    """A command that asks back. `then` gets the answer and says what to print, or asks again."""

    text: str
    then: Callable[[str, float], str | Question]
    key: bool = False
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A command of user or enable mode as it is run: the values in its line, and when."""

    session: Session
    args: Mapping[str, str]
    now: float

    @property
    def device(self) -> Device:
        return self.session.device
