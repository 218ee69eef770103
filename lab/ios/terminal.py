"""The bytes of a terminal line: echo, editing keys, passwords, and blocks that are pasted whole.

IOS reads a line, prints what it has to print, shows the prompt, and only then echoes the next
line, though it was received long before. So a block of fifty lines in one write comes back as
fifty times prompt, line and answer, and a client can tell which line an error belongs to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .exec import EXEC, USER_EXEC
from .reply import Reply
from .session import Session
from .tables import POSITIVE

_SPECIAL = re.compile(r"[\r\n\x00-\x1f\x7f?]")
_MORE_GONE = "\b" * 9 + " " * 8 + "\b" * 9
CTRL_A, CTRL_C, CTRL_U, CTRL_W, CTRL_Z = "\x01", "\x03", "\x15", "\x17", "\x1a"


@dataclass(frozen=True, slots=True)
class Emission:
    """Bytes for the client, after a delay in seconds; the line is closed after them if so said."""

    data: bytes
    delay: float = 0.0
    closed: bool = False
    silent: bool = False  # closed without the courtesy of an end


class Terminal:
    """One line and its client. `receive` takes what the network brings, however it is cut."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._line = ""
        self._after_return = False
        self._reply = Reply("", "")
        self._out: list[str] = []
        self._emissions: list[Emission] = []
        self._delay = 0.0

    def start(self) -> list[Emission]:
        """What is shown when the line opens."""
        self._show(self.session.greet())
        return self._flush()

    def receive(self, data: bytes, now: float) -> list[Emission]:
        """Do what the client typed or pasted."""
        text = data.decode("utf-8", "replace")
        at, end = 0, len(text)
        while at < end and not self.session.closed:
            if self._reply.key:
                at = self._key(text, at, now)
                continue
            match = _SPECIAL.search(text, at)
            stop = match.start() if match is not None else end
            if stop > at:
                self._typed(text[at:stop])
            if match is None:
                break
            at = stop + 1
            self._control(match[0], now)
        return self._flush()

    def _typed(self, text: str) -> None:
        self._after_return = False
        if self._reply.echo:
            self._out.append(text[: max(0, self._limit() - len(self._line))])
        self._line += text

    def _key(self, text: str, at: int, now: float) -> int:
        """One key, where the router waits for one. Answers where to read on."""
        key = text[at]
        if key == "\n" and self._after_return:
            self._after_return = False
            return at + 1
        self._after_return = key == "\r"
        if key == CTRL_C:
            self._control(key, now)
            return at + 1
        paging = bool(self.session.more)
        self._out.append(_MORE_GONE if paging else "\r\n")
        self._show(self.session.feed("" if key in "\r\n" else key, now))
        return at + 1

    def _control(self, key: str, now: float) -> None:
        if key == "\n" and self._after_return:
            self._after_return = False
            return
        self._after_return = key == "\r"
        session = self.session
        if key in "\r\n":
            line, self._line = self._line, ""
            self._cut_echo(line)
            self._out.append("\r\n")
            self._show(session.feed(line, now))
        elif key == CTRL_C:
            self._line = ""
            self._out.append("^C\r\n")
            self._show(session.interrupt())
        elif key == CTRL_Z:
            line, self._line = self._line, ""
            self._out.append("^Z\r\n")
            if session.cursor is not None:
                if line.strip():
                    self._out.append(self._lines(session.feed(line, now).text))
                if session.cursor is not None:
                    self._show(session.feed("end", now))
                    return
            self._show(session.interrupt())
        elif key in "\b\x7f":
            if self._line:
                self._line = self._line[:-1]
                self._out.append("\b \b")
        elif key in (CTRL_U, CTRL_W):
            kept = self._line.rstrip().rpartition(" ")[0] if key == CTRL_W else ""
            self._out.append("\b \b" * (len(self._line) - len(kept)))
            self._line = kept
        elif key == "?" and self._reply.echo and not self._literal():
            self._out.append("?\r\n")
            expected = self._expects(self._line)
            self._out.append("".join(f"  {word}\r\n" for word in expected) or "% Unrecognized\r\n")
            self._out.append(f"\r\n{session.prompt}{self._line}")
        elif key == "?":
            self._typed(key)

    def _literal(self) -> bool:
        """Whether a question mark is text here: in a banner, in an answer."""
        session = self.session
        return session.question is not None or (
            session.cursor is not None and session.cursor.banner is not None
        )

    def _expects(self, line: str) -> list[str]:
        """What `?` answers: the words that may come next, or that the last one may mean."""
        session = self.session
        before, _, last = line.rpartition(" ")
        if session.cursor is not None:
            words = POSITIVE[session.cursor.mode].expects(before)
        else:
            words = (EXEC if session.enabled else USER_EXEC).expects(before)
        return [word for word in words if word.startswith(last) or not last]

    def _limit(self) -> int:
        """How much of a line fits after the prompt; what is longer scrolls away under the eye."""
        fault = self.session.device.faults.truncate_echo
        if fault or not self.session.width:
            return fault or 100_000
        return max(1, self.session.width - len(self._reply.prompt) - 1)

    def _cut_echo(self, line: str) -> None:
        """Show the end of a line that did not fit, as IOS does on a narrow terminal."""
        limit = self._limit()
        if self._reply.echo and len(line) > limit:
            self._out.append(f"\r{self._reply.prompt}${line[-(limit // 2 or 1) :]}")

    @staticmethod
    def _lines(text: str) -> str:
        return text.replace("\n", "\r\n")

    def _show(self, reply: Reply) -> None:
        """Print an answer and its prompt, with the pauses that faults put between them."""
        self._reply = reply
        if reply.delay:
            self._pause(reply.delay)
        if reply.text:
            self._out.append(reply.text.replace("\n", "\r\n"))
        if reply.prompt_delay:
            self._pause(reply.prompt_delay)
        if reply.prompt:
            self._out.append(reply.prompt)
        if reply.closed:
            self._pause(0.0)
            self._emissions.append(Emission(b"", closed=True, silent=reply.silent))

    def _pause(self, seconds: float) -> None:
        if self._out:
            self._emissions.append(Emission("".join(self._out).encode(), self._delay))
            self._out = []
            self._delay = 0.0
        self._delay += seconds

    def _flush(self) -> list[Emission]:
        if self._out or self._delay:
            closing = self._emissions[-1:] if self._emissions and self._emissions[-1].closed else []
            if not closing:
                self._emissions.append(Emission("".join(self._out).encode(), self._delay))
            self._out = []
            self._delay = 0.0
        emissions, self._emissions = self._emissions, []
        return emissions
