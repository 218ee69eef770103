"""`hacc-agent run`, from its file to a running daemon and to a clean stop.

What can be refused is refused before the first packet is taken, in the order of what a person can
mend: addresses and ports, rights, the journal. Then only is anything read that a stranger sent.
"""

from __future__ import annotations

import errno
import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from pwd import struct_passwd
from typing import Any, Final

from . import __version__, privileges
from .agentfile import Unusable, load
from .config import AgentConfig, DataPlane, Role
from .config import Transport as Carrier
from .control import Answer, Command, ControlServer, Refused
from .daemon import Clock, Daemon
from .dataplane.plane import PlaneFailed
from .discovery import Discovery
from .engine.batch import outcome_of
from .engine.effects import Alarm, AskAaa, Effect, Moment, Release, Retract, Transfer
from .engine.effects import Answer as AaaAnswer
from .engine.health import Order
from .events import Events
from .fleet import Fleet
from .frames import Frames
from .journal import set_aside
from .link import LinkError
from .logs import Logs
from .notify import Notifier
from .orders import Orders, announce
from .packets import RelayPackets, TunnelPackets, describe, packets
from .quickening import Quickening
from .radius import RadiusSocket
from .recovery import JournalError
from .reload import why_not
from .replica import Replica
from .report import Report
from .resync import Errand, Resync
from .roles import Controller, Member, engine
from .routes import NoRoutes, Routes
from .snmp.members import SnmpMembers
from .snmp.subagent import SubagentSocket
from .transport import PlainUdp, Transport
from .ward import Announcer, Ward

LOOK_AROUND_S: Final = 5.0
"""How long a controller without bindings looks for an active one before it asks the members."""


class CannotStart(Exception):
    """Why the daemon does not start, with what to do about it."""


class Service:
    """A configuration, running."""

    def __init__(self, config: AgentConfig, file: Path, logs: Logs, stack: ExitStack) -> None:
        """Opens and loads everything; `stack` closes it. Raises `CannotStart`."""
        self.config = config
        self._file = file
        self._aaa: RadiusSocket | None = None
        self.logs = logs
        self.notifier = Notifier(os.environ)
        stack.callback(self.notifier.close)
        self.clock = Clock()
        self.transport: Transport = open_transport(config)
        stack.callback(self.transport.close)
        self.engine = engine(config, self.clock)
        self._discovery = self._discover(stack)
        account = privileges.account()
        self._make_folders(account)
        self.packets = self._move_packets(stack)
        state = self.engine if self.packets is None else self.packets.state
        try:
            self.replica = Replica(config, state, os.urandom, logs.limited)
            self._load()
        except (JournalError, LinkError) as error:
            raise CannotStart(str(error)) from error
        stack.callback(self._close_replica)
        if self.packets is not None:
            self.packets.load()
        privileges.drop(privileges.NEEDED, account)
        self.daemon = Daemon(
            self.engine,
            self.transport,
            self.replica,
            self.clock,
            alarm=self._alarm,
            ask_aaa=self._ask_aaa,
            follow=None if self.packets is None else self.packets.follow,
            tell_member=self._tell_member,
            fault=partial(self._fault, "engine"),
        )
        stack.callback(self.daemon.close)
        if self.packets is not None:
            self.daemon.add(self.packets)
        self.events = Events(logs, self.clock)
        self.side = self._side(stack)
        self.daemon.add(self.side)
        if self._discovery is not None:
            self.daemon.add(self._discovery)
        self._quickening = self._prepare(stack)
        self.report = Report(
            config,
            self.engine,
            self.transport,
            self.replica,
            self.side,
            self._discovery,
            logs,
            self.clock,
            lambda: None if self._snmp_members is None else self._snmp_members.layer2,
        )
        self.resync = Resync(
            config,
            self.engine,
            self.replica,
            self.replica.append,
            self.clock,
            self._fetch_by_snmp,
        )
        self._resync_at = math.inf  # s of the steady clock: when one that `run` was told of begins
        self._listen(stack)
        self.daemon.on_signal(signal.SIGTERM, self.daemon.stop)
        self.daemon.on_signal(signal.SIGINT, self.daemon.stop)
        self.daemon.on_signal(signal.SIGHUP, self._reload)
        self._meet_aaa()
        self._subagent: SubagentSocket | None = None
        if isinstance(self.engine, Member):
            self._subagent = SubagentSocket(config, self.engine, self.daemon, self.clock, logs.info)
            self.daemon.add(self._subagent)
            stack.callback(self._subagent.close)
        self._snmp_members: SnmpMembers | None = None
        if isinstance(self.side, Fleet):
            fleet = self.side
            self._snmp_members = SnmpMembers(config, lambda: fleet.health, logs, self.clock)
            self.daemon.add(self._snmp_members.poller)
            stack.callback(self._snmp_members.close)

    def _move_packets(self, stack: ExitStack) -> RelayPackets | TunnelPackets | None:
        """Raises `CannotStart`: a router without it would swallow its subscribers' packets."""
        config = self.config
        if config.transport is Carrier.UDP or config.data_plane is DataPlane.NONE:
            return None
        try:
            made = packets(config, self.engine, self.logs.limited)
        except PlaneFailed as error:
            raise CannotStart(
                f'no packets can be moved here: {error} [hint: data_plane = "none" in agent.toml '
                "leaves it at registrations]"
            ) from error
        stack.callback(made.close)
        self.logs.info("packets are moved by the kernel", how=made.plane.kind)
        return made

    def _discover(self, stack: ExitStack) -> Discovery | None:
        """Raises `CannotStart`. Who may not send frames may not send advertisements either."""
        if self.config.transport is Carrier.UDP:
            return None
        try:
            made = Discovery(self.config, self._vitals, self.logs, self.clock)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise CannotStart(f"agent discovery on the LANs: {reason}") from error
        stack.callback(made.close)
        return made

    def _vitals(self) -> tuple[int, bool]:
        """How many bindings there are here, and whether this router decides, or serves any."""
        if isinstance(self.side, Ward):
            return self.bindings, bool(self.side.held)
        return self.bindings, self.replica.leads

    def _move_packets_by(self, config: AgentConfig) -> None:
        """Whoever starts us anew hears why, if it cannot be."""
        if self.packets is None:
            return
        try:
            self.packets.reconfigure(config)
        except PlaneFailed as error:
            self.logs.error("no packets can be moved here", why=str(error))
            self.daemon.stop()

    def _side(self, stack: ExitStack) -> Fleet | Ward:
        """This router's end of the links between controllers and members."""
        if isinstance(self.engine, Controller):
            return Fleet(
                self.config, self.engine, self.replica, self._perform, self.events, self.clock
            )
        assert isinstance(self.engine, Member)
        # Who may not send frames may not change routes either.
        frames = self.config.transport is Carrier.FRAMES
        device = self.packets.device if isinstance(self.packets, TunnelPackets) else 0
        routes = Routes(self.logs.limited, device) if frames else NoRoutes()
        stack.callback(routes.close)
        announcer: Announcer = routes
        if isinstance(self.packets, TunnelPackets):
            announcer = self.packets.strays.through(routes)
            self.daemon.add(self.packets.strays)
        return Ward(
            self.config,
            self.engine,
            self.replica,
            self.transport,
            announcer,
            self._perform,
            self.events,
            self.clock,
        )

    def _perform(self, effects: Iterable[Effect], now: Moment) -> None:
        self.daemon.perform(None, outcome_of(effects), now)

    def _tell_member(self, effect: Transfer | Release | Retract) -> None:
        assert isinstance(self.side, Fleet)
        self.side.perform_order(effect, self.clock())

    def _listen(self, stack: ExitStack) -> None:
        commands: dict[str, Command] = {
            "status": self.report.status,
            "bindings": self.report.bindings,
            "events": self.report.events,
            "resync": self._resync,
            "in-step": self._tell_in_step,
            "neighbours": self.report.neighbours,
            "slots": self.report.slots,
            "announce": partial(announce, self.events),
        }
        if isinstance(self.side, Fleet):
            assert isinstance(self.engine, Controller)
            orders = Orders(self.side, self.engine, self.clock)
            commands |= {order.value: partial(orders.give, order) for order in Order}
            commands["why"] = orders.why
        commands["dataplane"] = self._describe_packets
        folder = Path(self.config.runtime_directory)
        try:
            server = ControlServer(folder, commands, self.daemon, partial(self._fault, "control"))
        except OSError as error:
            raise CannotStart(
                f"{error.filename or folder}: {(error.strerror or str(error)).lower()}"
                " [hint: runtime_directory in agent.toml]"
            ) from error
        stack.callback(server.close)

    def _tell_in_step(self, _asked: Mapping[str, Any]) -> Answer:
        """For the HSRP speaker, which preempts nobody before."""
        yield {"in_step": self.replica.in_step(self.clock())}

    def _describe_packets(self, asked: Mapping[str, Any]) -> Answer:
        if self.packets is None:
            raise Refused('nobody moves packets here: transport = "udp" or data_plane = "none"')
        return describe(self.packets, asked)

    def _resync(self, asked: Mapping[str, Any]) -> Answer:
        sources = self.resync.sources()
        wanted = asked.get("router")
        if wanted is not None and wanted not in sources:
            raise Refused(f"{wanted!r} cannot be asked; these can: {', '.join(sources)}")
        return self.resync.answer(sources if wanted is None else [wanted])

    def _alarm(self, found: Alarm) -> None:
        self.logs.alarm(found)
        if self._subagent is not None:
            self._subagent.alarm(found)

    def _fault(self, where: str, what: str) -> None:
        self.logs.limited("a fault in this program", where=where, what=what)

    def _make_folders(self, account: struct_passwd | None) -> None:
        """For whoever we are going to be."""
        for folder, mode in (
            (Path(self.config.state_directory), 0o700),
            (Path(self.config.runtime_directory), 0o755),
        ):
            try:
                folder.mkdir(mode, parents=True, exist_ok=True)
                if account is not None:
                    for path in (folder, *folder.iterdir()):
                        os.chown(path, account.pw_uid, account.pw_gid)
            except OSError as error:
                raise CannotStart(f"{folder}: {(error.strerror or str(error)).lower()}") from error

    def _load(self) -> None:
        began = time.monotonic()
        recovered = self.replica.open(self.clock())
        self.clock.not_before(recovered.steady)
        self.logs.info(
            "journal read",
            records=recovered.records,
            groups=recovered.groups,
            torn_octets=recovered.torn,
            seconds=round(time.monotonic() - began, 3),
        )

    def run(self, *, resync: bool) -> None:
        """Until somebody stops it."""
        config = self.config
        now = self.clock()
        if config.role is Role.CONTROLLER and config.link is not None:
            self.replica.follow(now)  # until the first request says that we are the active one
        else:
            self.replica.lead(now)
        self.logs.info(
            "ready",
            version=__version__,
            role=config.role.value,
            name=config.name,
            cluster=config.cluster,
            bindings=self.bindings,
        )
        self.notifier.ready(self._status_line())
        if resync:
            self._resync_at = now.steady + (0 if self.replica.leads else LOOK_AROUND_S)
        self.daemon.run(self._keep_house)
        if self._discovery is not None:
            self._discovery.leave()
        self.notifier.stopping("writing the journal")

    @property
    def bindings(self) -> int:
        return len(self.engine.tables[0])

    def _received(self) -> int:
        """What there was to do: datagrams, and records of the router that this one follows."""
        datagrams = sum(found.received for _, found in self.transport.traffic())
        return datagrams + self.replica.followed

    def _prepare(self, stack: ExitStack) -> Quickening | None:
        """For the time when there is load."""
        if self.engine.kernels is None:
            return None
        quickening = Quickening(
            self.engine.kernels,
            self.engine.quicken,
            self._received,
            self.logs,
        )
        stack.callback(quickening.close)
        return quickening

    def _keep_house(self, now: Moment) -> None:
        self.transport.keep_house(now.steady)
        if now.steady >= self._resync_at:
            self._resync_at = math.inf
            followed = self.replica.follows
            if followed:
                self.logs.info("the active controller gives the bindings", router=followed)
            else:
                answer = self.resync.answer(self.resync.sources())
                self.daemon.add(Errand(answer, lambda told: self.logs.info("resync", **told)))
        if self._quickening is not None:
            self._quickening.look(self.side.burden if isinstance(self.side, Ward) else 0)
        self.notifier.alive(self._status_line())
        self.logs.tick()

    def _status_line(self) -> str:
        return f"{self.config.role} of {self.config.cluster}, {self.bindings} bindings"

    def _close_replica(self) -> None:
        self.replica.close(self.clock())
        self.logs.info("stopped", bindings=self.bindings)

    # ------------------------------------------------------------------ the AAA server

    def _meet_aaa(self) -> None:
        """The AAA server of the configuration, in place of the one before."""
        if self._aaa is not None:
            self.daemon.remove(self._aaa)
            self._aaa.close()
            self._aaa = None
        if self.config.radius is not None:
            self._aaa = RadiusSocket(
                self.config.radius, self.config, os.urandom, self.clock, self._answered
            )
            self.daemon.add(self._aaa)

    def _ask_aaa(self, asked: AskAaa) -> None:
        if self._aaa is not None:
            self._aaa.ask(asked)

    def _answered(self, number: int, answer: AaaAnswer) -> None:
        assert isinstance(self.engine, Member)
        now = self.clock()
        effects = self.engine.answered(number, answer, now)
        self.daemon.perform(None, outcome_of(effects), now)

    # ------------------------------------------------------------------ another configuration

    def _fetch_by_snmp(
        self, name: str, take: Callable[[bytes], None], done: Callable[[str], None]
    ) -> None:
        assert self._snmp_members is not None  # only a controller has stock members to ask
        self._snmp_members.fetch(name, take, done)

    def _ask_members(self, config: AgentConfig) -> None:
        """As the new configuration has it."""
        if self._snmp_members is not None:
            self.daemon.remove(self._snmp_members.poller)
            self._snmp_members.reconfigure(config)
            self.daemon.add(self._snmp_members.poller)

    def _reload(self) -> None:
        """SIGHUP. Whatever is wrong with the new file, the old one stays in force."""
        self.notifier.reloading()
        try:
            config = load(self._file)
        except Unusable as error:
            self.logs.error("the new configuration is not taken", why=str(error))
        else:
            self._change_to(config)
        self.notifier.ready(self._status_line())

    def _change_to(self, config: AgentConfig) -> None:
        refusal = why_not(self.config, config, self.engine.tables[0].capacity)
        if refusal:
            self.logs.error("the new configuration is not taken", why=f"{self._file}: {refusal}")
            return
        radius = self.config.radius
        self.config = self.resync.config = config
        self.report.reconfigure(config)
        if self._subagent is not None:
            self._subagent.config = config
        self.transport.reconfigure(config)
        self.engine.reconfigure(config, self.clock())
        self._move_packets_by(config)
        self.side.reconfigure(config)
        self._ask_members(config)
        if self._discovery is not None:
            self._discovery.reconfigure(config)
        if config.radius != radius:
            self._meet_aaa()
        try:
            self.replica.reload()
        except LinkError as error:
            self.logs.error("the new certificates are not taken", why=str(error))
        self.logs.info("reloaded", file=str(self._file))


HINTS: Final = {
    errno.EADDRINUSE: "is another hacc-agent, or another Home Agent, running?",
    errno.EADDRNOTAVAIL: "no interface of this router has that address",
    errno.EACCES: "ports below 1024 need CAP_NET_BIND_SERVICE",
    errno.EPERM: 'frames need CAP_NET_RAW; without it, transport = "udp" serves Linux members',
    errno.ENODEV: "lans[].interface in agent.toml has to be an interface of this router",
}


ADDRESS_S: Final = 5.0
"""s that an address of ours is waited for: at boot the routing daemon says that it is ready a
moment before it has given the interfaces theirs."""


def open_transport(config: AgentConfig) -> Transport:
    """Raises `CannotStart`."""
    patience = time.monotonic() + ADDRESS_S
    while True:
        try:
            return PlainUdp(config) if config.transport is Carrier.UDP else Frames(config)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL and time.monotonic() < patience:
                time.sleep(0.05)
                continue
            hint = HINTS.get(error.errno or 0, "")
            reason = (error.strerror or str(error)).lower()
            raise CannotStart(
                f"{error.filename}: {reason}" + (f" [hint: {hint}]" if hint else "")
            ) from error


def run(file: Path, *, resync: bool = False) -> int:
    """Until somebody stops it; the exit code. Raises `Unusable`."""
    config = load(file)
    logs = Logs(sys.stderr.fileno(), time.time, sys.stderr.isatty())
    with ExitStack() as stack:
        stack.callback(logs.close)
        try:
            if resync:
                _set_journal_aside(config, logs)
            service = Service(config, file, logs, stack)
        except CannotStart as error:
            logs.error("cannot start", why=str(error))
            return 1
        service.run(resync=resync)
    return 0


def _set_journal_aside(config: AgentConfig, logs: Logs) -> None:
    folder = Path(config.state_directory)
    try:
        for moved in set_aside(folder):
            logs.warning("the journal was set aside", file=str(moved))
    except FileNotFoundError:
        pass  # there is none
    except OSError as error:
        raise CannotStart(f"{folder}: {(error.strerror or str(error)).lower()}") from error
