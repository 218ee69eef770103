"""A place in the configuration, and what a line that is typed there does.

The cursor is the engine under the tables: it finds the row that a line means, in the mode where
it stands or in the ones around it, lets the row's rule act, and moves into the section that the
line opens. A session has one; loading a file and replacing a configuration use their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .edit import Confirm, Edit, Refused
from .grammar import Grammar, Parsed, Unknown
from .modes import prompt_of
from .tables import NEGATIVE, POSITIVE
from .tree import Command, Section

if TYPE_CHECKING:
    from .device import Device


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a line did. Exactly one of `unknown` and `question` stands when it did nothing yet."""

    said: tuple[str, ...] = ()
    refused: bool = False
    unknown: Unknown | None = None
    question: str = ""  # to be answered: the same line again, confirmed
    left: bool = False  # `end`, or `exit` from global configuration


DONE = Outcome()
LEFT = Outcome(left=True)


@dataclass(slots=True)
class _Banner:
    """A banner that is being typed: its lines up to the delimiter are text, not commands."""

    kind: str
    delimiter: str
    lines: list[str]


class Cursor:
    """Where configuration lines go. `path` leads from the root to the section it stands in."""

    __slots__ = ("banner", "device", "path")

    def __init__(self, device: Device) -> None:
        self.device = device
        self.path: list[Section] = [device.configuration]
        self.banner: _Banner | None = None

    @property
    def mode(self) -> str:
        return self.path[-1].mode

    @property
    def prompt(self) -> str:
        """What stands in the prompt's parentheses."""
        owner = self.path[-1].owner
        return prompt_of(self.path[-1].mode, owner.text if owner is not None else "")

    def line(self, text: str, now: float, *, confirmed: bool = False) -> Outcome:
        """Do one line of configuration."""
        if self.banner is not None:
            return self._banner_line(text, now)
        bare = text.strip()
        if not bare or bare[0] == "!":
            return DONE
        first, _, rest = bare.partition(" ")
        low = first.lower()
        if low == "no" or (len(low) > 2 and "default".startswith(low) and rest):
            offset = len(text) - len(text.lstrip()) + len(first)
            offset += len(rest) - len(rest.lstrip()) + 1
            if low != "no" and (done := self._default_interface(rest.strip(), now)) is not None:
                return done
            return self._act(rest.strip(), NEGATIVE, offset, now, confirmed)
        if not rest:
            if low == "end":
                return LEFT
            if low in ("exit", "exi", "ex"):
                return self._exit()
            if low == "exit-address-family" and self.mode == "vrf-af":
                self.path.pop()
                return DONE
        elif low == "banner":
            return self._banner_start(rest.strip(), now)
        return self._act(bare, POSITIVE, len(text) - len(text.lstrip()), now, confirmed)

    def _default_interface(self, rest: str, now: float) -> Outcome | None:
        """`default interface X` empties it; None for any other line."""
        parsed = POSITIVE["config"].parse(rest)
        if isinstance(parsed, Unknown) or parsed.command.enters != "interface":
            return None
        line = self.path[0].get(parsed.text)
        if line is None or line.body is None:
            return Outcome(("%Invalid interface type and number",), refused=True)
        del self.path[1:]
        line.body.lines.clear()
        self.device.touch_addresses()
        self.device.changed(now)
        return Outcome((f"Interface {parsed.args['name']} set to default configuration",))

    def _exit(self) -> Outcome:
        if len(self.path) == 1:
            return LEFT
        self.path.pop()
        return DONE

    def _act(
        self,
        text: str,
        grammars: Mapping[str, Grammar[Command]],
        offset: int,
        now: float,
        confirmed: bool,
    ) -> Outcome:
        """Find the row, here or in a mode around, and let it act.

        A line that a mode around knows word for word is not an abbreviation here: `key 2` inside
        a key opens the next key, though it could stand for `key-string 2`.
        """
        negative = grammars is NEGATIVE
        worst: Unknown | None = None
        parsed: Parsed[Command] | None = None
        at = 0
        for depth in range(len(self.path), 0, -1):
            attempt = grammars[self.path[depth - 1].mode].parse(text)
            if isinstance(attempt, Unknown):
                if worst is None or attempt.column > worst.column:
                    worst = attempt
            elif attempt.exact or parsed is None:
                parsed, at = attempt, depth
                if attempt.exact:
                    break
        if parsed is None:
            assert worst is not None
            return Outcome(unknown=Unknown(worst.column + offset, worst.kind))
        section = self.path[at - 1]
        command = parsed.command
        edit = Edit(self.device, section, command, parsed.text, parsed.args, now, confirmed)
        try:
            if negative:
                _negate(edit)
            elif command.set is not None:
                command.set(edit)
            else:
                edit.put()
        except Refused as refusal:
            return Outcome((*edit.said, str(refusal)), refused=True)
        except Confirm as question:
            return Outcome(question=str(question))
        del self.path[at:]
        if command.enters and not negative:
            line = section.lines.get(edit.key)
            if line is not None and line.body is not None:
                self.path.append(line.body)
        self.device.changed(now)
        return Outcome(tuple(edit.said)) if edit.said else DONE

    # Banners are the one command whose value spans lines.

    def _banner_start(self, rest: str, now: float) -> Outcome:
        kind, _, text = rest.partition(" ")
        kinds = [name for name in ("exec", "incoming", "login", "motd") if name.startswith(kind)]
        text = text.lstrip()
        if len(kinds) != 1 or not text:
            return self._act(f"banner {rest}", POSITIVE, 0, now, False)
        delimiter = "^C" if text.startswith("^C") else text[0]
        body = text[len(delimiter) :]
        self.banner = _Banner(kinds[0], delimiter, [])
        if not body:
            return Outcome((f"Enter TEXT message.  End with the character '{delimiter}'.",))
        return self._banner_line(body, now)

    def _banner_line(self, text: str, now: float) -> Outcome:
        banner = self.banner
        assert banner is not None
        before, ended, _ = text.partition(banner.delimiter)
        if not ended and banner.delimiter == "^C":
            before, ended, _ = text.partition("\x03")
        if before or not ended:
            banner.lines.append(before)
        if not ended:
            return DONE
        self.banner = None
        body = "\n".join(banner.lines)
        parsed = POSITIVE["config"].parse(f"banner {banner.kind} text")
        assert not isinstance(parsed, Unknown)
        del self.path[1:]
        self.path[0].put(
            parsed.command,
            f"banner {banner.kind}",
            f"banner {banner.kind} ^C\n{body}\n^C",
            {"kind": banner.kind, "text": body},
        )
        self.device.changed(now)
        return DONE


def _negate(edit: Edit) -> None:
    command = edit.command
    if command.unset is not None:
        command.unset(edit)
    elif command.only_no:
        for line in edit.section.starting(edit.key):
            edit.section.drop(line.key)
    else:
        edit.drop()
