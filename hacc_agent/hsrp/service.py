"""`hacc-agent hsrp run`: performs what the speaker decides. One process for all groups of a router.

One loop waits for hellos, deadlines, changes of the interfaces, the daemon that is tracked, the
guard, signals and questions. What an effect is to the kernel or to a LAN is said in `perform`.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Final

from .. import __version__, privileges
from ..control import Answer, ControlServer
from ..engine.hsrp import (
    Alarm,
    Changed,
    Effect,
    GratuitousArp,
    Own,
    Place,
    Release,
    Send,
    Speaker,
)
from ..logs import Logs
from ..loop import Loop
from ..notify import Notifier
from ..wire.hsrp import State, virtual_mac
from . import guard
from .config import Group, HsrpConfig, TrackKind
from .file import Unusable, load
from .guard import Guard
from .kernel import Kernel
from .lan import Lan
from .links import Link, Links
from .objects import AgentLife, AgentStep
from .show import row
from .withdrawal import withdraw

HOUSEKEEPING_S: Final = 1.0
"""Watchdog, status line, interfaces that could not be used, the daemon that was not there."""

NAME: Final = "hacc-hsrp"
"""Of the process, as `ps -C` finds it: `hacc-agent` is another daemon of the same router."""

NEEDED: Final = (privileges.Capability.NET_ADMIN, privileges.Capability.NET_RAW)


class Service:
    """A configuration, running."""

    def __init__(self, config: HsrpConfig, file: Path, logs: Logs, stack: ExitStack) -> None:
        """Opens everything; `stack` closes it. Raises OSError."""
        self.config = config
        self._file = file
        self._logs = logs
        self._stopping = False
        self._loop = Loop()
        stack.callback(self._loop.close)
        self._owned: set[Place] = set()
        self._before: Mapping[Place, Group] = {}  # of groups that a new configuration changes
        self._down: frozenset[str] = frozenset()  # tracked objects
        self._lans: dict[str, Lan] = {}
        self._life: AgentLife | None = None
        self._step: AgentStep | None = None
        folder = Path(config.runtime_directory)
        account = privileges.account()
        folder.mkdir(0o755, parents=True, exist_ok=True)
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
        self._lock = guard.lock(folder)
        privileges.drop(NEEDED, account)
        self._kernel = Kernel()
        stack.callback(self._kernel.close)
        left = self._kernel.sweep(config)
        if left:
            logs.warning("a speaker before left addresses behind", interfaces=", ".join(left))
        # Before anything is opened that a child should not have.
        self._guard = Guard(_hold_s(config), self._lock, lambda: withdraw(self.config))
        stack.callback(lambda: self._guard.close(orderly=not self._owned))
        self._guard_life = -1
        self._watch_guard()
        self._links = Links(self._names())
        stack.callback(self._links.close)
        self._loop.watch(self._links.fileno(), self._look)
        self.speaker = Speaker(config.groups, random.random, time.monotonic())
        self.notifier = Notifier(os.environ)
        stack.callback(self.notifier.close)
        self._listen(folder, stack)
        self._loop.on_signal(signal.SIGTERM, self._stop)
        self._loop.on_signal(signal.SIGINT, self._stop)
        self._loop.on_signal(signal.SIGHUP, self._reload)
        self._loop.hear_signals()
        self._meet_agent()
        self._look()

    def _listen(self, folder: Path, stack: ExitStack) -> None:
        commands = {"hsrp": self._tell, "resign": self._resign}

        def fault(what: str) -> None:
            self._logs.limited("a fault in this program", where="control", what=what)

        stack.callback(ControlServer(folder, commands, self._loop, fault).close)

    # ------------------------------------------------------------------ the loop

    def run(self) -> None:
        """Until somebody stops it."""
        self._logs.info(
            "ready", version=__version__, router=self.config.name, groups=len(self.config.groups)
        )
        self.notifier.ready(self._status_line())
        sign_again = house_again = 0.0
        while not self._stopping:
            now = time.monotonic()
            if now >= house_again:
                self._keep_house()
                house_again = now + HOUSEKEEPING_S
            if now >= sign_again:
                self._sign()
                sign_again = now + _hold_s(self.config) / guard.SIGNS
            deadline = self.speaker.next_deadline()
            until = min(at for at in (deadline, house_again, sign_again) if at is not None)
            self._loop.turn(until - now)
            # What waits is heard before a timer counts: on a busy machine a hello may have come
            # in time, and we not have been let to read it.
            now = time.monotonic()
            deadline = self.speaker.next_deadline()
            if deadline is not None and deadline <= now:
                self.perform(self.speaker.handle_timer(now))
        self.notifier.stopping("giving up the addresses")
        self.perform(self.speaker.stop(time.monotonic()))
        self._logs.info("stopped")

    def _stop(self) -> None:
        self._stopping = True

    def _keep_house(self) -> None:
        if self._life is not None and not self._life.up:
            self._life.try_again()
        if self._step is not None:
            self._step.ask()
        self._look()
        self.notifier.alive(self._status_line())
        self._logs.tick()

    def _status_line(self) -> str:
        active = sum(g.state is State.ACTIVE for g in self.speaker.groups.values())
        return f"{len(self.speaker.groups)} standby groups, active in {active}"

    # ------------------------------------------------------------------ effects, in their order

    def perform(self, effects: Iterable[Effect]) -> None:
        """What was decided."""
        for effect in effects:
            match effect:
                case Own(place, addresses):
                    self._own(place, addresses)
                case Release(place):
                    self._release(place)
                case Send(place, payload, virtual):
                    self._send(place, payload, virtual=virtual)
                case GratuitousArp(place, addresses):
                    lan = self._lans.get(place.interface)
                    link = self._links.found.get(place.interface)
                    if lan is not None and link is not None and place in self._owned:
                        lan.announce(addresses, self._mac(place, link))
                case Changed(place, before, after, why):
                    self._logs.info(
                        "state", interface=place.interface, group=place.group,
                        before=before.name.title(), after=after.name.title(), why=why,
                    )  # fmt: skip
                case Alarm(reason, interface, group, source, detail, times):
                    fields: dict[str, Any] = {"group": group} if group >= 0 else {}
                    fields |= {"detail": detail} if detail else {}
                    self._logs.warning(
                        reason.value, **{"from": str(source)}, interface=interface, times=times,
                        **fields,
                    )  # fmt: skip

    def _own(self, place: Place, addresses: tuple[IPv4Address, ...]) -> None:
        self._owned.add(place)
        self._sign()
        try:
            number = self._links.found[place.interface].number
            self._kernel.own(self._settings(place), number, addresses)
        except (OSError, KeyError) as error:
            # Whoever is active without an address leaves the group without an owner.
            self._logs.limited("cannot take the address", group=place.group, why=str(error))
            now = time.monotonic()
            self.perform(self.speaker.interface_down(place.interface, now))

    def _release(self, place: Place) -> None:
        try:
            self._kernel.release(self._settings(place))
        except OSError as error:
            self._logs.error("cannot give up the address", group=place.group, why=str(error))
        self._owned.discard(place)
        self._sign()

    def _send(self, place: Place, payload: bytes, *, virtual: bool) -> None:
        lan, link = self._lans.get(place.interface), self._links.found.get(place.interface)
        if lan is None or link is None or link.address is None:
            return
        if virtual and place not in self._owned:
            return  # the kernel has refused: what is not so is not said
        mac = self._mac(place, link) if virtual else link.mac
        lan.send(payload, place.version, mac, link.address.ip)

    def _mac(self, place: Place, link: Link) -> int:
        """What an active group speaks from."""
        if self._settings(place).own_mac:
            return link.mac
        return virtual_mac(place.version, place.group)

    def _settings(self, place: Place) -> Group:
        """As they were when the group took its addresses: those are what it gives up."""
        group = self.speaker.groups.get(place)
        if place in self._before:
            return self._before[place]
        assert group is not None
        return group.settings

    # ------------------------------------------------------------------ interfaces and objects

    def _names(self) -> set[str]:
        found = {group.interface for group in self.config.groups}
        return found | {one.interface for one in self.config.objects if one.interface}

    def _look(self) -> None:
        self._links.look()
        now = time.monotonic()
        versions: dict[str, set[int]] = {}
        for group in self.config.groups:
            versions.setdefault(group.interface, set()).add(group.version)
        for name in [*self._lans]:
            link, lan = self._links.found.get(name), self._lans[name]
            usable = link is not None and link.works and link.address is not None
            same = link is not None and (link.number, versions.get(name)) == (
                lan.index,
                lan.versions,
            )
            if not (usable and same):
                self.perform(self.speaker.interface_down(name, now))
                for descriptor in lan.filenos():
                    self._loop.forget(descriptor)
                lan.close()
                del self._lans[name]
        for name, wanted in versions.items():
            link = self._links.found.get(name)
            if link is None or not link.works or link.address is None:
                continue
            if name not in self._lans and not self._open(name, link.number, wanted):
                continue
            self.perform(self.speaker.interface_up(name, link.address, link.mac, now))
        for found in self.config.objects:
            if found.kind is TrackKind.INTERFACE and found.interface is not None:
                link = self._links.found.get(found.interface)
                self._object_is(found.name, up=link is not None and link.works)

    def _open(self, name: str, number: int, versions: Iterable[int]) -> bool:
        try:
            self._kernel.prepare(number)
            lan = self._lans[name] = Lan(name, number, versions)
        except OSError as error:
            self._logs.limited("an interface cannot be used", interface=name, why=str(error))
            return False

        def hear() -> None:
            for payload, source, interface in lan.receive():
                now = time.monotonic()
                self.perform(self.speaker.receive(payload, source, interface, now))

        for descriptor in lan.filenos():
            self._loop.watch(descriptor, hear)
        return True

    def _object_is(self, name: str, *, up: bool) -> None:
        before = name not in self._down
        if up != before:
            self._down = self._down - {name} if up else self._down | {name}
            self._logs.info("tracked object", object=name, state="up" if up else "down")
            self.perform(self.speaker.object_is(name, up=up, now=time.monotonic()))

    def _meet_agent(self) -> None:
        """The daemon that is tracked, by whoever wants to know."""
        names = [one.name for one in self.config.objects if one.kind is TrackKind.AGENT]
        if self._life is not None:
            self._life.close()
            self._life = None
        if names:

            def told(up: bool) -> None:
                for name in names:
                    self._object_is(name, up=up)

            self._life = AgentLife(Path(self.config.agent_directory), self._loop, told)
        if self._step is not None:
            self._step.close()
            self._step = None
        if any(group.preempt_sync_s for group in self.config.groups):
            self._step = AgentStep(
                Path(self.config.agent_directory),
                self._loop,
                lambda yes: self.speaker.in_step(yes=yes),
            )

    # ------------------------------------------------------------------ the guard

    def _sign(self) -> None:
        self._guard.say(guard.OWNS if self._owned else guard.OWNS_NOTHING)

    def _watch_guard(self) -> None:
        self._guard_life = os.pidfd_open(self._guard.pid)
        self._loop.watch(self._guard_life, self._guard_gone)

    def _guard_gone(self) -> None:
        self._logs.warning("the guard has ended: another one begins")
        self._replace_guard()

    def _replace_guard(self) -> None:
        self._loop.forget(self._guard_life)
        os.close(self._guard_life)
        self._guard.replace(_hold_s(self.config))
        self._watch_guard()
        self._sign()

    # ------------------------------------------------------------------ questions and wishes

    def _tell(self, _asked: Mapping[str, Any]) -> Answer:
        now = time.monotonic()
        for group in self.speaker.groups.values():
            yield row(group, now)

    def _resign(self, asked: Mapping[str, Any]) -> Answer:
        name = asked.get("group")
        effects = self.speaker.hand_over(name, time.monotonic())
        self.perform(effects)
        for effect in effects:
            if isinstance(effect, Changed):
                group = self.speaker.groups[effect.place]
                yield {"group": group.settings.name, "state": group.state.name.title()}

    def _reload(self) -> None:
        """SIGHUP. Whatever is wrong with the new file, the old one stays in force."""
        self.notifier.reloading()
        try:
            config = load(self._file)
        except Unusable as error:
            self._logs.error("the new configuration is not taken", why=str(error))
        else:
            self._before = {place: g.settings for place, g in self.speaker.groups.items()}
            self.config = config
            self.perform(self.speaker.configure(config.groups, time.monotonic()))
            self._before = {}
            self._links.names = frozenset(self._names())
            self._meet_agent()
            self._look()
            self._replace_guard()  # it has to know what to take away
            self._logs.info("reloaded", file=str(self._file))
        self.notifier.ready(self._status_line())


def _hold_s(config: HsrpConfig) -> float:
    """The shortest hold time that is configured: by then somebody else takes over."""
    return min((g.hold_ms for g in config.groups if g.hold_ms is not None), default=10_000) / 1000


def clear_away(file: Path) -> int:
    """Takes away whatever a speaker that is dead has left. Raises `Unusable`."""
    config = load(file)
    folder = Path(config.runtime_directory)
    try:
        if folder.is_dir():
            os.close(guard.lock(folder))  # its guard may be doing it right now
        withdraw(config)
    except OSError as error:
        print(_words(error), file=sys.stderr)
        return 1
    return 0


def _words(error: OSError) -> str:
    if error.errno == errno.EAGAIN:
        return f"{error.filename}: a speaker is running [hint: systemctl stop hacc-hsrp]"
    where = f"{error.filename}: " if error.filename else ""
    hint = " [hint: it needs CAP_NET_ADMIN and CAP_NET_RAW]" if error.errno == errno.EPERM else ""
    return f"{where}{(error.strerror or str(error)).lower()}{hint}"


def run(file: Path) -> int:
    """Until somebody stops it; the exit code. Raises `Unusable`."""
    config = load(file)
    guard.name_process(NAME)
    logs = Logs(sys.stderr.fileno(), time.time, sys.stderr.isatty())
    with ExitStack() as stack:
        stack.callback(logs.close)
        try:
            service = Service(config, file, logs, stack)
        except OSError as error:
            logs.error("cannot start", why=_words(error))
            return 1
        service.run()
    return 0
