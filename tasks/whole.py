"""Files that are only lines: systemd units, sysctl settings, snmpd.conf, the agent's TOML.

They are replaced as a whole; the difference is for people. Secrets are compared by meaning here
too: an intended line is opened, compared, and never shown. A line that goes may hold a secret of
the router. It is sealed where an intended line of the same words has its secret, wherever a known
secret stands in it, and after every word that announces one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping

from .changes import Difference, DiffLine
from .platforms.sealing import open_tokens
from .rendered import SECRET, File

# Words before a secret in the files of the daemons that we configure.
_ANNOUNCED = re.compile(
    r"((?:password|passphrase|passwd|secret|key|auth_pass|community|rocommunity6?|rwcommunity6?"
    r"|com2sec\s+\S+\s+\S+|createUser\s+\S+\s+\S+|md5|trap2?sink\s+\S+)[\"']?\s*[=:\s]\s*)"
    r"(\"[^\"]*\"|'[^']*'|[^\s,#]+)",
    re.IGNORECASE,
)
# A section of TOML and of a systemd unit, or a block of keepalived.conf.
_HEADER = re.compile(r"\[.*\]|\S.*\{")
_PRIVATE = re.compile(r"(\b(?:AES|DES)(?:\d+)?\s+)(\S+)")


def whole_lines(running: str, intended: File, opened: Mapping[str, str]) -> tuple[DiffLine, ...]:
    """The lines in which a file differs from the intended one; empty when it does not."""
    lines: list[DiffLine] = []
    section = None
    for line in (line for one in hunks(running, intended, opened) for line in one.lines):
        if line.sign != " " or line != section:
            lines.append(line)
        if line.sign == " ":
            section = line
    return tuple(lines)


def hunks(running: str, intended: File, opened: Mapping[str, str]) -> Iterator[Difference]:
    """The same, one run of lines after the other, each below its section's header."""
    before = running.splitlines()
    # A certificate is one line of ours and many of the router's.
    pieces = [
        (piece, number)
        for number, line in enumerate(intended.lines)
        for piece in open_tokens(line.text, opened).split("\n")
    ]
    after = [piece for piece, _ in pieces]
    if before == after:
        return
    seal = Sealer(intended, opened)
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    told: set[int] = set()
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            continue
        section = _section(intended, pieces[j1][1] if j1 < len(pieces) else len(intended.lines))
        lines = [] if section is None else [DiffLine(" ", 0, intended.lines[section].text)]
        lines += [
            DiffLine("-", 0, seal(text, number), number=number)
            for number, text in enumerate(before[i1:i2], i1 + 1)
        ]
        numbers = {number for _, number in pieces[j1:j2]} - told
        told |= numbers
        lines += [
            DiffLine("+", 0, line.text, line.template, line.intent)
            for line in (intended.lines[number] for number in sorted(numbers))
        ]
        yield Difference(tuple(lines))


def _section(intended: File, line: int) -> int | None:
    """The header above a line of an intended file (from 0), unless the line is one itself."""
    if line < len(intended.lines) and _HEADER.fullmatch(intended.lines[line].text):
        return None
    above = range(min(line, len(intended.lines)) - 1, -1, -1)
    return next((n for n in above if _HEADER.fullmatch(intended.lines[n].text)), None)


class Sealer:
    """Takes the secrets out of the lines of a file that is not ours yet."""

    def __init__(self, intended: File, opened: Mapping[str, str]) -> None:
        self._known = sorted(
            ((clear, f"<secret {ref}>") for ref, clear in opened.items() if clear),
            key=lambda pair: -len(pair[0]),
        )
        self._shapes = [
            re.compile(r"(\S+)".join(map(re.escape, SECRET.sub("\0", line.text).split("\0"))))
            for line in intended.lines
            if "<secret " in line.text
        ]

    def __call__(self, text: str, number: int) -> str:
        token = f"<secret running:{number}>"
        for clear, known in self._known:
            text = text.replace(clear, known)
        for shape in self._shapes:
            found = shape.fullmatch(text)
            if found:
                for group in range(len(found.groups()), 0, -1):
                    if not found[group].startswith("<secret"):
                        text = text[: found.start(group)] + token + text[found.end(group) :]
        for pattern in (_ANNOUNCED, _PRIVATE):
            text = pattern.sub(
                lambda found: found[0] if found[2].startswith("<secret") else found[1] + token, text
            )
        return text
