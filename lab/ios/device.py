"""A router: its configuration, its files, its faults, its journal, and the timers that run in it.

Pure: no socket, no clock, no randomness. Time is an argument, in seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .archive import Archive
from .cursor import Cursor
from .edit import Refused
from .faults import Entry, Faults, GroupAddress
from .files import Flash
from .names import VIRTUAL, kind_of, parent_of, place_of
from .passwords import matches
from .tables import POSITIVE, SHOWN_ALWAYS
from .tree import Section, print_configuration

if TYPE_CHECKING:
    from hacc_agent.engine.hsrp import Group

    from .hearing import Heard
    from .home_agent import Registrations
    from .network import Network

VERSION = "15.9"  # what `version` says in a configuration; `show version` says that it is simulated


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line of a text that the router did not take, counted from 1, and what it said."""

    number: int
    line: str
    said: str


class Device:
    """A simulated router. `interfaces` maps its physical interfaces to the LANs they are on."""

    def __init__(
        self,
        name: str,
        *,
        interfaces: Mapping[str, str] | Iterable[str] = (),
        users: Mapping[str, str] | None = None,
        enable: str | None = None,
        privilege: int = 1,
        now: float = 0.0,
    ) -> None:
        self.name = name
        lans = interfaces if isinstance(interfaces, Mapping) else dict.fromkeys(interfaces, "")
        self.hardware: dict[str, str] = {full: lans[full] for full in sorted(lans, key=place_of)}
        self.users = dict(users or {})  # what the AAA server knows, beside the configuration
        self.enable = enable
        self.privilege = privilege
        self.booted = now
        self.powered = True
        self.boots = 0
        self.network: Network | None = None  # set by the network that it is added to
        # Both are set by who gives it a forwarding plane.
        self.home_agent: Registrations | None = None
        self.live: Mapping[tuple[str, int], Group] | None = None  # of HSRP, by interface and number
        self.heard: Heard = {}  # real neighbours
        self.faults = Faults()
        self.journal: list[Entry] = []
        self.flash = Flash()
        self.startup: str | None = None
        self.private = ""  # saved beside it, and never shown
        self.archive = Archive(self)
        self.router_ids: dict[str, str] = {}
        self.sessions: dict[int, str] = {}  # number -> user, for `show users`
        self.log: list[str] = []
        self.last_change: tuple[float, str] = (now, "")
        self.config_lines = 0  # obeyed or refused since the counting faults were set
        self.generation = 0  # of what others on a LAN can see: addresses, groups, power
        self.configuration = Section("config", None)
        self._saves = 0
        self._printed: str | None = None
        self._groups: tuple[int, tuple[GroupAddress, ...]] = (-1, ())
        self.blank()

    @classmethod
    def from_text(
        cls, name: str, text: str, *, lans: Mapping[str, str] | None = None, **more: object
    ) -> Device:
        """A router with the physical interfaces that a configuration names, and that loads it.

        `lans` says on which LAN an interface is; the others are on none. More words go to Device.
        """
        names = []
        for line in text.splitlines():
            parsed = POSITIVE["config"].parse(line) if line.startswith("interface ") else None
            full = getattr(parsed, "args", {}).get("name")
            if full is not None and kind_of(full) not in VIRTUAL:
                names.append(parent_of(full) or full)
        known = dict.fromkeys(names, "") | dict(lans or {})
        device = cls(name, interfaces=known, **more)  # type: ignore[arg-type]  # the caller's names
        device.load(text)
        return device

    # --- configuration ---

    def blank(self) -> None:
        """The configuration of a router out of its box: every interface shut down."""
        self.configuration = Section("config", None)
        self.router_ids = {}
        cursor = Cursor(self)
        for row in SHOWN_ALWAYS:
            cursor.line(f"no {row.syntax}", self.booted)
        for interface in self.hardware:
            cursor.line(f"interface {interface}", self.booted)
            cursor.line("shutdown", self.booted)
        self.touch_addresses()
        self._printed = None

    def load(self, text: str, now: float | None = None) -> list[Rejected]:
        """Start from a saved configuration, as at boot. Answers the lines that were not taken.

        An interface that the text names and does not shut down is up.
        """
        now = self.booted if now is None else now
        self.blank()
        for line in text.splitlines():
            parsed = POSITIVE["config"].parse(line) if line.startswith("interface ") else None
            key = getattr(parsed, "text", "")
            section = self.configuration.get(key)
            if section is not None and section.body is not None:
                section.body.drop("shutdown")
        return self.merge(text, now)

    def merge(self, text: str, now: float) -> list[Rejected]:
        """Do the lines of a text one after the other, as `copy FILE running-config` does."""
        cursor = Cursor(self)
        rejected = []
        for number, line in enumerate(text.splitlines(), start=1):
            outcome = cursor.line(line, now, confirmed=True)
            if outcome.unknown is not None or outcome.refused:
                said = outcome.said[-1] if outcome.said else "% Invalid input detected"
                rejected.append(Rejected(number, line, said))
            if outcome.left:
                if line.strip() == "end":
                    break
                cursor = Cursor(self)
        return rejected

    def running_config(self) -> str:
        """The configuration as IOS prints it, without the lines that change by themselves."""
        if self._printed is None:
            body = "\n".join(print_configuration(self.configuration))
            self._printed = (
                f"version {VERSION}\n{body}\n!\nend\n" if body else (f"version {VERSION}\n!\nend\n")
            )
        return self._printed

    def private_config(self) -> str:
        """The lines that IOS keeps and does not show: SNMP users, with their keys."""
        hidden = [
            line.text
            for line in self.configuration.ordered()
            if not line.command.shown and line.key != "version"
        ]
        return "".join(f"{line}\n" for line in hidden)

    def show_running_config(self) -> str:
        """`show running-config`, with the header that changes by itself."""
        text = self.running_config()
        at, user = self.last_change
        by = f" by {user}" if user else ""
        return (
            f"Building configuration...\n\nCurrent configuration : {len(text.encode())} bytes\n!\n"
            f"! Last configuration change at {stamp(at)}{by}\n!\n{text}"
        )

    def changed(self, now: float) -> None:
        """A configuration line was obeyed."""
        self._printed = None
        self.last_change = (now, self.last_change[1])

    def touch_addresses(self) -> None:
        """Something that the neighbours on a LAN can see has changed."""
        self.generation += 1

    touch_standby = touch_addresses

    @property
    def hostname(self) -> str:
        line = self.configuration.lines.get("hostname")
        return line.args["name"] if line is not None else "Router"

    @property
    def encrypts(self) -> bool:
        return "service password-encryption" in self.configuration.lines

    def interface(self, name: str) -> Section | None:
        line = self.configuration.get(f"interface {name}")
        return line.body if line is not None else None

    def interfaces(self) -> list[tuple[str, Section]]:
        return [
            (line.args["name"], line.body)
            for line in self.configuration.ordered()
            if line.body is not None and line.body.mode == "interface"
        ]

    def is_up(self, name: str) -> bool:
        """Powered, there, and not shut down; a subinterface needs its parent."""
        section = self.interface(name)
        if section is None or not self.powered or "shutdown" in section.lines:
            return False
        parent = parent_of(name)
        return parent is None or self.is_up(parent)

    # --- who may come in ---

    def login(self, user: str, password: str) -> int | None:
        """The privilege level of a user who gives the right password; None for the wrong one."""
        if self.faults.wrong_password:
            return None
        line = self.configuration.get(f"username {user}")
        stored = line.args.get("stored") if line is not None else None
        if line is not None and stored is not None and matches(password, stored):
            return int(line.args.get("privilege", "1"))
        if self.users.get(user) == password:
            return self.privilege
        return None

    def enable_matches(self, password: str) -> bool | None:
        """Whether a password opens enable mode; None when none was ever set."""
        for key in ("enable secret", "enable password"):
            line = self.configuration.get(key)
            if line is not None:
                return matches(password, line.text.removeprefix(f"{key} "))
        return None if self.enable is None else password == self.enable

    # --- standby groups, as the journal and the LAN see them ---

    def groups(self) -> tuple[GroupAddress, ...]:
        """Every standby group and the virtual addresses that it claims, first the primary one."""
        if self._groups[0] != self.generation:
            found = []
            for line in self.configuration.lines.values():
                if line.body is not None and line.body.mode == "interface":
                    name = line.args["name"]
                    found += [
                        GroupAddress(name, group, addresses)
                        for group, addresses in virtual_addresses(line.body).items()
                    ]
            self._groups = (self.generation, tuple(found))
        return self._groups[1]

    # --- time ---

    def next_deadline(self) -> float | None:
        """When `handle_timer` is to be called next; None for never."""
        return self.archive.deadline() if self.powered else None

    def handle_timer(self, now: float) -> None:
        """Do what has become due."""
        if self.powered:
            self.archive.expire(now)

    # --- power ---

    def save(self) -> str:
        """`write memory`: the running configuration becomes the one to start from."""
        self.startup = self.running_config()
        self.private = self.private_config()
        self._saves += 1
        said = "Building configuration...\n[OK]"
        if self.archive.on_write:
            try:
                self.archive.take(self.last_change[0])
            except Refused as refusal:  # the configuration is saved nevertheless
                said += f"\n{refusal}"
        return said

    @property
    def storage(self) -> int:
        """Grows whenever something changes that survives a power cut."""
        return self._saves + self.flash.writes

    def store_startup(self, text: str | None) -> None:
        """Overwrite or erase startup-config."""
        self.startup = text
        self._saves += 1

    def power_off(self) -> None:
        self.powered = False
        self.archive.forget_timer()
        self.touch_addresses()

    def power_on(self, now: float) -> None:
        """Boot from startup-config. Files survive; what was not saved is gone."""
        self.powered = True
        self.boots += 1
        self.booted = now
        self.load(self.startup or "", now)
        self.merge(self.private, now)
        self.touch_addresses()

    def reload(self, now: float) -> None:
        self.power_off()
        self.power_on(now)


def virtual_addresses(section: Section) -> dict[int, tuple[str, ...]]:
    """The virtual addresses of every group of an interface: the primary one, then the others."""
    primary: dict[int, tuple[str, ...]] = {}
    more: dict[int, list[str]] = {}
    for key, line in section.lines.items():
        if not key.startswith("standby ") or "group" not in line.args:
            continue
        group = int(line.args["group"])
        primary.setdefault(group, ())
        address = line.args.get("address")
        if address is None:
            continue
        if key.endswith(" secondary"):
            more.setdefault(group, []).append(address)
        elif key.endswith(" ip"):
            primary[group] = (address,)
    return {group: first + tuple(sorted(more.get(group, ()))) for group, first in primary.items()}


_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def stamp(at: float) -> str:
    """`06:31:07 UTC Mon Nov 23 2026`."""
    time = datetime.fromtimestamp(at, UTC)
    return (
        f"{time:%H:%M:%S} UTC {_DAYS[time.weekday()]} {_MONTHS[time.month - 1]} "
        f"{time.day} {time.year}"
    )
