"""A terminal line of a router: user and enable mode, configuration, questions, paging, faults.

    session = Session(device, user="admin", now=now)
    reply = session.feed("configure terminal", now)
    reply.text, reply.prompt            # what the router prints, and the prompt after it

`feed` takes a whole line without its end. Where the router waits for one key (`reply.key`), the
line's first character is that key: "" is Enter.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from .cursor import Cursor, Outcome
from .device import Device
from .exec import EXEC, USER_EXEC, Hangup
from .faults import Entry
from .grammar import Unknown
from .reply import Call, Question, Reply

PROMPT_WIDTH = 20  # of the host name, in configuration mode
MORE = " --More-- "
MARKER = "% Invalid input detected at '^' marker."
_PIPED = re.compile(r"\s\|\s*(\S+)\s+(.*)$")
_PIPED_COMMANDS = ("sh", "mo", "di", "ve")


class Session:
    """One line of one router."""

    def __init__(
        self, device: Device, *, user: str = "", privilege: int | None = None, now: float = 0.0
    ) -> None:
        self.device = device
        self.user = user
        level = device.privilege if privilege is None else privilege
        self.enabled = level >= 15
        self.number = max(device.sessions, default=0) + 1
        device.sessions[self.number] = user
        self.opened = now
        self.length = 24
        self.width = 80
        self.cursor: Cursor | None = None  # while configuring
        self.question: Question | None = None
        self.more: list[str] = []
        self.closed = False
        self._boot = device.boots

    # --- prompts ---

    @property
    def mode(self) -> str:
        """ "user", "enable", or the mode of configuration."""
        if self.cursor is not None:
            return self.cursor.mode
        return "enable" if self.enabled else "user"

    @property
    def prompt(self) -> str:
        name = self.device.hostname
        if self.cursor is not None:
            if self.cursor.banner is not None:
                return ""
            return f"{name[:PROMPT_WIDTH]}({self.cursor.prompt})#"
        return f"{name}{'#' if self.enabled else '>'}"

    def _reply(self, text: str, *, closed: bool = False) -> Reply:
        faults = self.device.faults
        if text and not text.endswith("\n"):
            text += "\n"
        prompt = "" if closed else self.prompt
        key = False
        echo = True
        if closed:
            self.close()
        elif self.more:
            prompt, key = MORE, True
        elif self.question is not None:
            prompt, key = self.question.text, self.question.key
            echo = not self.question.secret
        return Reply(
            text,
            prompt,
            echo=echo,
            key=key,
            closed=closed,
            delay=faults.latency,
            prompt_delay=faults.slow_prompt,
        )

    def greet(self) -> Reply:
        """What a line shows when it opens: banners, then the prompt."""
        said = []
        for kind in ("motd", "exec"):
            line = self.device.configuration.get(f"banner {kind}")
            if line is not None:
                said.append(line.args["text"])
        return self._reply("".join(f"\n{text}\n" for text in said))

    def close(self) -> None:
        """The line is free again."""
        self.closed = True
        self.device.sessions.pop(self.number, None)

    # --- input ---

    def feed(self, line: str, now: float) -> Reply:
        """Do one line."""
        if self.closed or not self.device.powered or self._boot != self.device.boots:
            self.close()
            return Reply("", "", closed=True, silent=True)
        device = self.device
        if self.more:
            return self._page(line)
        if self.question is not None:
            return self._answer(line, now)
        if device.archive.pending is not None:
            device.archive.expire(now)
            device.archive.heard(now)
        if self.cursor is not None:
            return self._configure(line, now)
        return self._execute(line, now)

    def interrupt(self) -> Reply:
        """^C: out of a question, a page, a banner; out of configuration."""
        self.more = []
        self.question = None
        self.cursor = None
        return self._reply("")

    def _note(self, line: str, mode: str, now: float, *, refused: bool) -> None:
        device = self.device
        device.journal.append(
            Entry(now, self.number, self.user, mode, line, refused, device.groups())
        )

    def _page(self, key: str) -> Reply:
        if key[:1] == " ":
            return self._shown(self.more)
        if key == "":
            line, self.more = self.more[0], self.more[1:]
            return self._reply(line)
        self.more = []
        return self._reply("")

    def _shown(self, lines: list[str]) -> Reply:
        page = self.length - 1
        if self.length and len(lines) > page:
            self.more = lines[page:]
            lines = lines[:page]
        else:
            self.more = []
        return self._reply("\n".join(lines))

    def _answer(self, line: str, now: float) -> Reply:
        question = self.question
        assert question is not None
        self.question = None
        self._note("" if question.secret else line, self.mode, now, refused=False)
        result = question.then(line, now)
        if self._boot != self.device.boots:  # it was `reload`
            return self._reply("", closed=True)
        return self._finish(result)

    def _finish(self, result: str | Question) -> Reply:
        if isinstance(result, Question):
            self.question = result
            return self._reply("")
        return self._shown(result.splitlines()) if result else self._reply("")

    # --- user and enable mode ---

    def _execute(self, line: str, now: float) -> Reply:
        bare = line.strip()
        mode = self.mode
        if not bare or bare[0] == "!":
            return self._reply("")
        result = self._run(line, now, len(self.prompt))
        refused = isinstance(result, _Error)
        self._note(bare, mode, now, refused=refused)
        if isinstance(result, Hangup):
            return self._reply("", closed=True)
        if isinstance(result, _Error):
            return self._reply(result.text)
        return self._finish(result)

    def _run(self, line: str, now: float, indent: int) -> str | Question | Hangup | _Error:
        piped = None
        command = line
        if line.lstrip()[:2].lower() in _PIPED_COMMANDS:
            piped = _PIPED.search(line)
            if piped is not None:
                command = line[: piped.start()]
        grammar = EXEC if self.enabled else USER_EXEC
        parsed = grammar.parse(command.rstrip())
        if isinstance(parsed, Unknown):
            return _Error(explain(command.strip(), parsed, indent))
        result = parsed.command.run(Call(self, parsed.args, now))
        if piped is not None and isinstance(result, str):
            return _filtered(result, piped[1].lower(), piped[2])
        return result

    # --- configuration ---

    def configure(self) -> None:
        """`configure terminal`."""
        self.cursor = Cursor(self.device)

    def _configure(self, line: str, now: float) -> Reply:
        cursor = self.cursor
        assert cursor is not None
        device, mode = self.device, cursor.mode
        bare = line.strip()
        if cursor.banner is None:
            if bare[:3].lower() == "do " or bare.lower() == "do":
                return self._do(line, now)
            if not bare or bare[0] == "!":
                return self._reply("")
        indent = len(self.prompt)
        device.last_change = (device.last_change[0], self.user)
        faults = device.faults
        rejected = False
        if faults.drop_after or faults.drop_before or faults.reject_line or faults.reject_text:
            device.config_lines += 1
            count = device.config_lines
            if faults.drop_before and count >= faults.drop_before:
                self._note(bare, mode, now, refused=True)
                self.close()
                return Reply("", "", closed=True, silent=True)
            rejected = count == faults.reject_line or (
                bool(faults.reject_text) and faults.reject_text in bare
            )
        outcome = Outcome(unknown=Unknown(0, "invalid")) if rejected else cursor.line(line, now)
        self._note(bare, mode, now, refused=outcome.refused or outcome.unknown is not None)
        if faults.drop_after and device.config_lines >= faults.drop_after:
            self.close()
            return Reply("", "", closed=True, silent=True)
        if outcome.left:
            self.cursor = None
            return self._reply("")
        if outcome.question:
            self.question = Question(outcome.question, self._confirmed(line), key=True)
            return self._reply("")
        if outcome.unknown is not None:
            return self._reply(explain(line, outcome.unknown, indent))
        return self._reply("\n".join(outcome.said) + "\n" if outcome.said else "")

    def _confirmed(self, line: str) -> Callable[[str, float], str | Question]:
        def then(key: str, now: float) -> str | Question:
            if key[:1] not in ("", "y", "Y"):
                return ""
            assert self.cursor is not None
            outcome = self.cursor.line(line, now, confirmed=True)
            return "\n".join(outcome.said)

        return then

    def _do(self, line: str, now: float) -> Reply:
        """`do COMMAND`: enable mode from within configuration."""
        indent = len(self.prompt) + line.lower().index("do") + 3
        command = line.strip()[3:]
        if not command.strip():
            return self._reply("% Incomplete command.\n\n")
        enabled, self.enabled = self.enabled, True
        result = self._run(command, now, indent)
        self.enabled = enabled
        self._note(line.strip(), self.mode, now, refused=isinstance(result, _Error))
        if isinstance(result, Hangup):
            return self._reply("", closed=True)
        if isinstance(result, _Error):
            return self._reply(result.text)
        return self._finish(result)


@dataclass(frozen=True, slots=True)
class _Error:
    """A line that enable mode does not understand: what is printed."""

    text: str


def explain(line: str, unknown: Unknown, indent: int) -> str:
    """The words of IOS for a line that it does not understand; the caret counts the prompt."""
    if unknown.kind == "incomplete":
        return "% Incomplete command.\n\n"
    if unknown.kind == "ambiguous":
        return f'% Ambiguous command:  "{line.strip()}"\n'
    return f"{' ' * (indent + unknown.column)}^\n{MARKER}\n\n"


def _filtered(text: str, how: str, pattern: str) -> str:
    """`| include`, `exclude`, `begin`, `section`, `count`."""
    try:
        wanted = re.compile(pattern)
    except re.error:
        wanted = re.compile(re.escape(pattern))
    lines = text.splitlines()
    if "include".startswith(how):
        lines = [line for line in lines if wanted.search(line)]
    elif "exclude".startswith(how):
        lines = [line for line in lines if not wanted.search(line)]
    elif "begin".startswith(how):
        first = next((at for at, line in enumerate(lines) if wanted.search(line)), len(lines))
        lines = lines[first:]
    elif "section".startswith(how):
        lines = _sections(lines, wanted)
    elif "count".startswith(how):
        lines = [
            f"Number of lines which match regexp = "
            f"{sum(1 for line in lines if wanted.search(line))}"
        ]
    else:
        return ""
    return "\n".join(lines)


def _sections(lines: list[str], wanted: re.Pattern[str]) -> list[str]:
    kept: list[str] = []
    keeping: int | None = None  # the indentation of the line whose section is being kept
    for line in lines:
        depth = len(line) - len(line.lstrip())
        if keeping is not None and depth <= keeping:
            keeping = None
        if keeping is None and wanted.search(line):
            keeping = depth
        if keeping is not None and line != "!":
            kept.append(line)
    return kept
