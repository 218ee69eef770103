"""A dialogue with an IOS command line: many lines in one write, every reply to its own line.

Netmiko sends a line, waits for its echo, sends the next: 1.2 s and 110 ms of CPU for 100 lines.
IOS takes type-ahead, and echoes each line after the prompt that was there when it was read. So a
block of lines is one write, and what comes back is cut at the prompts:

    R1(config)#interface Gi0/1            echo of line 1, no reply
    R1(config-if)#standby 300 ip 1.2.3.4  echo of line 2
    % Invalid group number                its reply
    R1(config-if)#

Only the number of prompts is relied upon, not the echo, which long lines scroll. Blocks stay
under about 50 lines for the sake of the router's input buffer.
"""

from __future__ import annotations

import codecs
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from .errors import SessionLost

BLOCK_LINES: Final = 50
IDLE_TIMEOUT_S: Final = 60.0  # of silence; some replies (replace, write memory) take that long
CONFIG_PROMPT_NAME: Final = 20  # characters of the hostname that a configuration prompt shows
CONTROL_Z: Final = "\x1a"

DEFAULT_NAME: Final = "Router"
_HOSTNAME: Final = re.compile(r"\s*(?:hostname\s+(\S+)|no hostname.*)\s*")
_ANY_PROMPT: Final = re.compile(r"(?:\A|[\r\n])[^\s#>()]+# ?\Z")
# A name, what mode of configuration it is in, and not the `$` of a long line that is scrolled.
_PROMPT: Final = re.compile(r"(?:(?<=[\r\n])|\A)([^\s#>()]+)(\([^()\s]*\))?[#>](?!\$) ?")
_FIRST: Final = re.compile(r"[#>] ?\Z")  # whatever a banner says before it
_MARKED: Final = re.compile(r"! ([0-9a-f]{8})\s*[\r\n]+([^\s#>()]+)(?:\([^()\r\n]*\))?([#>]) ?\Z")
_PASSWORD: Final = re.compile(r"[Pp]assword: ?\Z")
# Before the first command: output in one piece, lines that are not cut.
PREPARATION: Final = ("terminal length 0", "terminal width 511")
# A question in the place of a prompt: "[confirm]", "Destination filename [x]? ", "[yes/no]: ".
_QUESTION: Final = re.compile(r"(?:\[confirm\]|\[[^\]\r\n]*\]\?|\[yes/no\]:|\[no\]:) ?\Z")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a router answered to one line, without the echo and the prompt."""

    line: str
    text: str


class Terminal:
    """A session at a prompt. `channel` is paramiko's, with a shell that was just started."""

    def __init__(self, host: str, channel: Any) -> None:
        self._host = host
        self._channel = channel
        self._channel.settimeout(IDLE_TIMEOUT_S)
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._names: tuple[str, ...] = ()
        self.privileged = False
        self.configuring = False
        output = ""
        while not _FIRST.search(output):
            output += self._read()
        self.synchronise(*PREPARATION)

    def synchronise(self, *before: str) -> None:
        """Find the prompt: a comment that nobody else sends marks where the past ends."""
        marker = secrets.token_hex(4)
        self._write("".join(f"{line}\n" for line in (*before, f"! {marker}")))
        output = ""
        while not (found := _MARKED.search(output)) or found[1] != marker:
            output += self._read()
        self.privileged = found[3] == "#"
        self.configuring = False
        self._names = (found[2],)

    def enable(self, secret: str) -> bool:
        """Become privileged; the secret is tried once. After a refusal the session is of no use."""
        self._write("enable\n")
        output = ""
        while not (asked := _PASSWORD.search(output)) and not _FIRST.search(output):
            output += self._read()
        if asked:
            self._write(f"{secret}\n")
            output = ""
            while not (again := _PASSWORD.search(output)) and not _FIRST.search(output):
                output += self._read()
            if again:
                return False
        self.synchronise()
        return self.privileged

    def leave_configuration(self) -> None:
        """Back to the exec prompt, from wherever the session is."""
        self._write(CONTROL_Z)
        self.synchronise()

    def ask(self, *lines: str) -> list[Reply]:
        """Send lines in one write; one reply each. Questions are answered with Enter."""
        for line in lines:
            if name := _HOSTNAME.fullmatch(line):
                self._names = tuple(dict.fromkeys((name[1] or DEFAULT_NAME, *self._names)))
        self._write("".join(f"{line}\n" for line in lines))
        segments = self._segments(len(lines))
        return [
            Reply(line, _without_echo(segment, line))
            for line, segment in zip(lines, segments, strict=True)
        ]

    def transform(self, command: str) -> str:
        """Send a command after which the router may have another name."""
        self._write(f"{command}\n")
        output = ""
        while not _ANY_PROMPT.search(output):
            output += self._read()
        self.synchronise()
        return _without_echo(output, command)

    def _segments(self, count: int) -> list[str]:
        """The output of `count` lines, cut at their prompts."""
        output = ""
        answered = 0
        while True:
            output += self._read()
            if output[-1:] in ("#", ">", " ") and self._prompts(output, len(output) - 100):
                ends = self._prompts(output)
                if len(ends) >= count and ends[-1].end() == len(output):
                    self.configuring = ends[-1][2] is not None
                    break
            elif len(output) > answered and _QUESTION.search(output, max(0, len(output) - 200)):
                answered = len(output)
                self._write("\n")
        starts = [0, *(end.end() for end in ends[: count - 1])]
        # Prompts beyond the count (an Enter too many) belong to the last line.
        stops = [*(end.start() for end in ends[: count - 1]), ends[-1].start()]
        return [output[start:stop] for start, stop in zip(starts, stops, strict=True)]

    def _prompts(self, output: str, start: int = 0) -> list[re.Match[str]]:
        """The prompts in what it printed: those with its name, cut short where it configures."""
        cut = [name[:CONFIG_PROMPT_NAME] for name in self._names]
        return [
            found
            for found in _PROMPT.finditer(output, max(0, start))
            if found[1] in (cut if found[2] else self._names)
        ]

    def _write(self, text: str) -> None:
        try:
            self._channel.sendall(text.encode())
        except OSError as error:
            raise SessionLost(self._host, f"the connection was lost: {error}") from error

    def _read(self) -> str:
        try:
            data: bytes = self._channel.recv(65536)
        except TimeoutError:
            raise SessionLost(self._host, f"no answer for {IDLE_TIMEOUT_S:.0f} seconds") from None
        except OSError as error:
            raise SessionLost(self._host, f"the connection was lost: {error}") from error
        if not data:
            raise SessionLost(self._host, "the router closed the connection")
        return self._decode(data)


def _without_echo(segment: str, line: str) -> str:
    """A reply proper: its first line is the echo, whole or cut."""
    _, _, rest = segment.partition("\n") if line.count("\n") == 0 else segment.rpartition("\n")
    return rest.replace("\r", "").strip("\n")


# Commands that ask before they act: the next line of a paste would be taken for the answer.
# A banner's lines have no prompts, so it goes alone too.
_ALONE: Final = re.compile(
    r"\s*(?:no username |no crypto |crypto key |no aaa |reload|boot |banner )", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Typed:
    """A line to type. After a section's header nothing may be sent before the answer is seen:
    lines for a section that was refused would fall into another one."""

    text: str  # secrets as tokens
    header: bool = False


def blocks(lines: Iterable[Typed]) -> Iterator[tuple[str, ...]]:
    """Cut lines into blocks that may be sent in one write."""
    block: list[str] = []
    for line in lines:
        alone = _ALONE.match(line.text) is not None
        if alone and block:
            yield tuple(block)
            block = []
        block.append(line.text)
        if alone or line.header or len(block) == BLOCK_LINES:
            yield tuple(block)
            block = []
    if block:
        yield tuple(block)


# Replies that begin like an error and are none: the router did what it was told, and says more.
_NOTICES: Final = (
    re.compile(r"%\s*Warning", re.IGNORECASE),
    re.compile(r"%.*address(?:\(es\))?.* removed due to", re.IGNORECASE),  # vrf forwarding
    re.compile(r"%\s*(?:Generating|SSH|Key)", re.IGNORECASE),
    re.compile(r"%\s*OSPF: Reload or use .*clear ip ospf process", re.IGNORECASE),  # router-id
    re.compile(r"%[A-Z0-9_]+-[0-7]-[A-Z0-9_]+:"),  # a log message
)
_NO: Final = re.compile(r"^[ \t]*(?:%|(?:Command rejected|ERROR|Error)[: ]).*", re.MULTILINE)


def refusal(text: str) -> str:
    """The line of a reply that says no, or nothing."""
    for line in _NO.finditer(text):
        said = line[0].strip()
        if not any(notice.match(said) for notice in _NOTICES):
            return said
    return ""
