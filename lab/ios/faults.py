"""What may go wrong with a router on purpose, and the record of all that it was told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Faults:
    """Faults that are set. Times are in seconds; 0 is none. All of them last until cleared,
    and those that count configuration lines count from when they are set."""

    latency: float = 0.0  # before every answer
    slow_prompt: float = 0.0  # before every prompt, after the answer
    login_delay: float = 0.0  # a TACACS server that thinks (netmiko#3261 saw 7 to 15 s)
    wrong_password: bool = False  # no password is right
    drop_after: int = 0  # the connection dies once that many configuration lines were obeyed
    drop_before: int = 0  # and here the Nth line is read, echoed, and not obeyed
    reject_line: int = 0  # the Nth configuration line is refused
    reject_text: str = ""  # and so is every line that contains this
    truncate_echo: int = 0  # echoes of lines longer than this are cut, as a narrow terminal does
    full_flash: bool = False  # no write to flash succeeds
    other_host_key: bool = False  # the router shows another host key than before
    refuse_connection: bool = False  # nothing listens


@dataclass(frozen=True, slots=True)
class GroupAddress:
    """A standby group as a line left it: which addresses it claims."""

    interface: str
    group: int
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line that the router received."""

    at: float  # Unix time
    session: int  # counts from 1; 0 is the router itself or the lab
    user: str
    mode: str  # "user", "enable", or the mode of configuration: "interface"
    line: str
    refused: bool
    groups: tuple[GroupAddress, ...]  # after the line


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A line after which a standby group that lives on has lost a virtual address it had."""

    entry: Entry
    interface: str
    group: int
    address: str


def withdrawals(journal: list[Entry]) -> list[Withdrawal]:
    """Every moment in which a group gave up its address but not its existence.

    A group that is removed with all its lines is not reported, nor is one whose address is
    overwritten in place: those steps are what make-before-break asks for.
    """
    found: list[Withdrawal] = []
    before: dict[tuple[str, int], tuple[str, ...]] = {}
    lost: dict[tuple[str, int], Withdrawal] = {}
    for entry in journal:
        after = {(view.interface, view.group): view.addresses for view in entry.groups}
        for place, addresses in before.items():
            if addresses and not after.get(place):
                lost[place] = Withdrawal(entry, place[0], place[1], addresses[0])
        found += [lost.pop(place) for place in list(lost) if after.get(place)]  # it came back
        before = after
    return found + [withdrawal for place, withdrawal in lost.items() if place in before]
