"""Laws of the simulator, over lines that are made from its own tables: every row is reached."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lab.ios import Device, Session
from lab.ios.cursor import Cursor
from lab.ios.grammar import Parsed, Unknown
from lab.ios.rules.routing import remove_options
from lab.ios.syntax import Choice, Keyword, Part, Sequence_, Value, parse_syntax
from lab.ios.tables import COMMANDS, POSITIVE
from lab.ios.terminal import Terminal
from lab.ios.tree import Command

# --- lines that a person might type ---

HARDWARE = [f"GigabitEthernet0/{number}" for number in range(4)]


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a line, and whether it is a keyword, which may be shortened."""

    text: str
    keyword: bool = False


_ADDRESS = st.builds(
    "{}.{}.{}.{}".format,
    st.sampled_from([10, 172, 198]),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(1, 250),
)
_NAME = st.text("abcdefghXYZ-_123", min_size=1, max_size=8).map("W{}".format)
_KINDS = {
    "ip": _ADDRESS,
    "mask": st.sampled_from(["255.255.255.0", "255.255.0.0", "255.255.255.255"]),
    "spi": st.integers(0x100, 0xFFFFFFFF).map("{:x}".format),
    "hex": st.binary(min_size=1, max_size=16).map(bytes.hex),
    "if": st.sampled_from(
        ["gi0/1", "GigabitEthernet 0/2", "Gi0/3.100", "lo7", "Tunnel3", "Loopback0"]
    ),
    "name": _NAME,
    "word": _NAME,
    "line": st.lists(_NAME, min_size=1, max_size=4).map(" ".join),
}


@st.composite
def words(draw: st.DrawFn, part: Part) -> list[Word]:
    """A way through a syntax."""
    match part:
        case Keyword(word, _):
            return [Word(word, True)]
        case Value(_, kind):
            if kind in _KINDS:
                return [Word(draw(_KINDS[kind]))]
            low, _, high = kind.partition("-")
            return [Word(str(draw(st.integers(int(low), min(int(high), int(low) + 300)))))]
        case Sequence_(parts):
            return [word for inner in parts for word in draw(words(inner))]
        case Choice(parts, optional, repeat):
            if (optional or repeat) and draw(st.booleans()):
                return []
            return draw(words(draw(st.sampled_from(parts))))


@st.composite
def line_of(draw: st.DrawFn, command: Command) -> list[Word]:
    """A line for a row of the tables."""
    identity, value = parse_syntax(command.syntax)
    return draw(words(identity)) + draw(words(value))


def joined(line: list[Word]) -> str:
    return " ".join(word.text for word in line)


ROWS = [  # a banner swallows what follows it: it has its own tests
    row for row in COMMANDS if not row.only_no and not row.syntax.startswith("banner")
]
KEYWORDS = {token for row in COMMANDS for token in re.findall(r"[a-z0-9/-]+", row.syntax)}
OPENERS: dict[str, Command] = {}
for _row in ROWS:
    if _row.enters:
        OPENERS.setdefault(_row.enters, _row)


@st.composite
def row_lines(draw: st.DrawFn, command: Command) -> list[str]:
    """A row's line, after the lines that open the mode it stands in."""
    lines = [joined(draw(line_of(command)))]
    mode = command.mode
    while mode != "config":
        opener = OPENERS[mode]
        lines.insert(0, joined(draw(line_of(opener))))
        mode = opener.mode
    return lines


@st.composite
def configurations(draw: st.DrawFn, size: int = 12) -> list[str]:
    """Lines of a configuration: some are refused, all are understood."""
    prelude = ["router mobile"] if draw(st.booleans()) else []
    rows = draw(st.lists(st.sampled_from(ROWS), max_size=size))
    return prelude + [line for row in rows for line in draw(row_lines(row))]


# --- the laws ---

FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))


def router(lines: list[str] | str = "") -> Device:
    device = Device("r", interfaces=HARDWARE)
    device.load(lines if isinstance(lines, str) else "\n".join(lines))
    return device


STATIC = [
    "hostname west",
    "no cdp run",
    "ip route 10.9.0.0 255.255.0.0 10.0.0.1",
    "ip route 9.0.0.0 255.0.0.0 10.0.0.1",
    "interface Loopback3\n ip address 198.18.0.3 255.255.255.255",
    "interface GigabitEthernet0/2\n no shutdown\n description x",
    "interface GigabitEthernet0/1\n standby 2 priority 120\n standby 1 priority 130",
    "router mobile",
    "snmp-server location here",
    "ip http server",
    "line vty 0 4\n login local",
    "key chain K\n key 2\n  key-string b\n key 1\n  key-string a",
]


@given(row=st.sampled_from(ROWS), data=st.data())
@MANY
def test_every_row_of_the_tables_is_understood_in_its_mode(
    row: Command, data: st.DataObject
) -> None:
    line = joined(data.draw(line_of(row)))
    assert not isinstance(POSITIVE[row.mode].parse(line), Unknown), line


@given(configurations())
@MANY
def test_what_is_printed_is_a_fixed_point(lines: list[str]) -> None:
    printed = router(lines).running_config()
    again = router()
    assert again.load(printed) == []
    assert again.running_config() == printed


@given(st.lists(st.sampled_from(STATIC), unique=True), st.randoms(use_true_random=False))
@FEW
def test_what_is_printed_does_not_depend_on_the_order_of_independent_lines(
    lines: list[str], random: Random
) -> None:
    printed = router(lines).running_config()
    random.shuffle(lines)
    assert router(lines).running_config() == printed


def shortened(data: st.DataObject, word: Word) -> str:
    """A beginning of a keyword, if it is no keyword itself: `ip` is not short for `ipv6`."""
    if not word.keyword:
        return word.text
    short = word.text[: data.draw(st.integers(1, len(word.text)))]
    return word.text if short in KEYWORDS else short


@given(row=st.sampled_from(ROWS), data=st.data())
@MANY
def test_an_abbreviation_never_changes_what_a_line_means(row: Command, data: st.DataObject) -> None:
    line = data.draw(line_of(row))
    full = POSITIVE[row.mode].parse(joined(line))
    assert isinstance(full, Parsed)
    short = " ".join(shortened(data, word) for word in line)
    meant = POSITIVE[row.mode].parse(short)
    if isinstance(meant, Parsed):
        assert meant.text == full.text
    else:
        assert meant.kind == "ambiguous"


SELF = {
    # Rows whose `no` does not lead back, and why.
    "service password-encryption",  # what is encrypted stays so
    "vrf forwarding / <vrf:word>",  # takes the addresses with it, both ways
    "ip vrf forwarding / <vrf:word>",
}


@given(row=st.sampled_from(ROWS), data=st.data())
@MANY
def test_no_before_a_line_undoes_it(row: Command, data: st.DataObject) -> None:
    assume(row.syntax not in SELF)
    assume(row.unset is not remove_options)  # its `no` takes the options and leaves the rest
    device = router(["router mobile"])
    lines = data.draw(row_lines(row))
    assume(" preempt delay" not in lines[-1])  # its `no` takes the delay away and leaves the rest
    cursor = Cursor(device)
    for line in lines[:-1]:
        cursor.line(line, 0.0)
    path = list(cursor.path)
    before = device.running_config()
    outcome = cursor.line(lines[-1], 0.0)
    assume(outcome.unknown is None and not outcome.refused)
    assume(row.on or device.running_config() != before)  # it said something new
    cursor.path = path
    cursor.line(f"no {lines[-1]}", 0.0, confirmed=True)
    if row.on:
        cursor.line(lines[-1], 0.0)
    assert device.running_config() == before, lines


@given(configurations(), configurations())
@FEW
def test_configure_replace_leads_from_any_configuration_to_any_other(
    before: list[str], after: list[str]
) -> None:
    wanted = router(after).running_config()
    device = router(before)
    done = device.archive.replace(wanted, 0.0)
    assert done.done, done.report(listed=True)
    assert device.running_config() == wanted


@given(configurations(), configurations())
@FEW
def test_a_change_that_nobody_confirms_is_undone_at_its_deadline(
    before: list[str], change: list[str]
) -> None:
    device = router([*before, "archive", "path flash:saved"])
    kept = device.running_config()
    device.archive.arm(5, 0.0, "admin")
    device.merge("\n".join(change), 1.0)
    assert device.next_deadline() == 300.0
    device.handle_timer(299.9)
    assert device.next_deadline() == 300.0
    device.handle_timer(300.0)
    assert device.running_config() == kept
    assert device.next_deadline() is None


@given(st.lists(st.binary(max_size=60), max_size=20), st.booleans())
@MANY
def test_no_bytes_whatever_crash_a_terminal(chunks: list[bytes], enabled: bool) -> None:
    terminal = Terminal(Session(router(), user="x", privilege=15 if enabled else 1))
    terminal.start()
    for chunk in chunks:
        terminal.receive(chunk, 0.0)


@given(
    st.lists(
        st.one_of(
            configurations(4).map("\n".join),
            st.sampled_from(
                [
                    "conf t",
                    "end",
                    "exit",
                    "no ",
                    "do show run",
                    "show run | ",
                    "^Z",
                    "\x1a",
                    "\x03",
                    "y",
                    "banner motd #",
                    "?",
                    "show ?",
                    "copy run start",
                    "default interface gi0/1",
                    "write mem",
                    "show standby",
                    "|",
                    "no no",
                    "show archive config differences",
                    "reload",
                    "disable",
                    "enable",
                ]
            ),
            st.text(max_size=20),
        ),
        max_size=12,
    )
)
@MANY
def test_no_conversation_crashes_a_session_nor_spoils_its_configuration(typed: list[str]) -> None:
    device = router()
    terminal = Terminal(Session(device, user="x", privilege=15))
    for text in typed:
        terminal.receive((text + "\n").encode("utf-8", "surrogatepass"), 0.0)
    again = router()
    again.load(device.running_config())
    assert again.running_config() == device.running_config()


@given(configurations())
@FEW
def test_cutting_a_paste_anywhere_changes_nothing(lines: list[str]) -> None:
    data = ("configure terminal\n" + "\n".join(lines) + "\n").encode()
    whole, bitwise = router(), router()
    first = Terminal(Session(whole, privilege=15)).receive(data, 0.0)
    terminal = Terminal(Session(bitwise, privilege=15))
    second = [
        emission for at in range(len(data)) for emission in terminal.receive(data[at : at + 1], 0.0)
    ]
    assert b"".join(one.data for one in first) == b"".join(one.data for one in second)
    assert whole.running_config() == bitwise.running_config()


def test_the_key_of_every_row_is_filled_by_values_of_its_syntax() -> None:
    for row in COMMANDS:
        assert set(re.findall(r"{(\w+)}", row.key)) <= set(re.findall(r"<(\w+)", row.syntax)), row


def test_no_two_rows_of_a_mode_are_the_same() -> None:
    seen = {(row.mode, row.syntax) for row in COMMANDS}
    assert len(seen) == len(COMMANDS)
