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
# A question in the place of a prompt: "[confirm]", "Destination filename [x]? ", "[yes/no]: ".
_QUESTION: Final = re.compile(r"(?:\[confirm\]|\[[^\]\r\n]*\]\?|\[yes/no\]:|\[no\]:) ?\Z")


@dataclass(frozen=True, slots=True)
class Reply:
    """What a router answered to one line, without the echo and the prompt."""

    line: str
    text: str


class Terminal:
    """A session at a prompt. `channel` is paramiko's, logged in and past Netmiko's preparation."""

    def __init__(self, host: str, channel: Any) -> None:
        self._host = host
        self._channel = channel
        self._channel.settimeout(IDLE_TIMEOUT_S)
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._prompt: re.Pattern[str] = re.compile(r"(?!)")
        self.privileged = False
        self.synchronise()

    def synchronise(self) -> None:
        """Find the prompt: a comment that nobody else sends marks where the past ends."""
        marker = f"! {secrets.token_hex(4)}"
        self._write(f"{marker}\n")
        ending = re.compile(rf"{marker}\s*[\r\n]+([^\s#>()]+)(?:\([^()\r\n]*\))?([#>]) ?\Z")
        output = ""
        while not (found := ending.search(output)):
            output += self._read()
        self.privileged = found[2] == "#"
        self._expect(found[1])

    def leave_configuration(self) -> None:
        """Back to the exec prompt, from wherever the session is."""
        self._write(CONTROL_Z)
        self.synchronise()

    def ask(self, *lines: str) -> list[Reply]:
        """Send lines in one write; one reply each. Questions are answered with Enter."""
        for line in lines:
            if name := _HOSTNAME.fullmatch(line):
                self._expect(name[1] or DEFAULT_NAME, also=self._names)
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
            if self._prompt.search(output, max(0, len(output) - 100)) and output[-1] in "#> ":
                ends = [*self._prompt.finditer(output)]
                if len(ends) >= count and ends[-1].end() == len(output):
                    break
            elif len(output) > answered and _QUESTION.search(output, max(0, len(output) - 200)):
                answered = len(output)
                self._write("\n")
        starts = [0, *(end.end() for end in ends[: count - 1])]
        # Prompts beyond the count (an Enter too many) belong to the last line.
        stops = [*(end.start() for end in ends[: count - 1]), ends[-1].start()]
        return [output[start:stop] for start, stop in zip(starts, stops, strict=True)]

    def _expect(self, name: str, also: tuple[str, ...] = ()) -> None:
        self._names = tuple(dict.fromkeys((name, *also)))
        full = "|".join(re.escape(n) for n in self._names)
        cut = "|".join(re.escape(n[:CONFIG_PROMPT_NAME]) for n in self._names)
        # A prompt before `$` is that of a long line which the router scrolls.
        self._prompt = re.compile(
            rf"(?:(?<=[\r\n])|\A)(?:(?:{cut})\([^()\s]*\)|(?:{full}))[#>](?!\$) ?"
        )

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
_REFUSALS: Final = re.compile(r"(?:Command rejected|ERROR|Error)[: ]")


def refusal(text: str) -> str:
    """The line of a reply that says no, or nothing."""
    for line in text.splitlines():
        said = line.strip()
        if said.startswith("%"):
            if not any(notice.match(said) for notice in _NOTICES):
                return said
        elif _REFUSALS.match(said):
            return said
    return ""
