"""What `ip mobile` lines make of a router: a Home Agent that answers (RFC 5944, 3.8).

The engine is that of our own members, told what the configuration says in IOS's words. It answers
as a stock IOS does: from the virtual Home Agent address, to whoever asked (3.8.3.1). A pair that
copies its bindings (`ip mobile home-agent redundancy`) is one Home Agent here, whoever is active.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from hacc_agent.config import (
    AddressRange,
    AgentConfig,
    Algorithm,
    ForeignAgent,
    Health,
    Lan,
    Member,
    MemberKind,
    Node,
    Realm,
    Replay,
    Role,
    Security,
    Selection,
    Weights,
)
from hacc_agent.engine.effects import Endpoint, Moment, Send
from hacc_agent.engine.home_agent import HomeAgent
from hacc_agent.engine.home_agent.counters import Counters
from hacc_agent.engine.record import Kind, Row
from hacc_agent.engine.table import Table

from .device import Device
from .rules.interface import number_of, prefix_of
from .tree import Line

# What IOS has where a line says nothing: command reference of 12.4(15)XM.
LIFETIME, REPLAY, MAX_BINDINGS = 36000, 7, 235_000
_ROWS = 100_000  # more than a lab's mobile nodes


def told(device: Device) -> AgentConfig | None:
    """What an agent of ours would be told to do the same; None: this router is no Home Agent."""
    root = device.configuration
    agent = root.get("ip mobile home-agent")
    virtual = home_agent_address(device)
    if root.get("router mobile") is None or agent is None or virtual is None:
        return None
    lifetime = int(agent.args.get("lifetime", LIFETIME))
    tolerance = int(agent.args.get("replay", REPLAY))
    limit = root.get("ip mobile home-agent max-binding")
    bindings = int(limit.args["bindings"]) if limit is not None else MAX_BINDINGS
    networks = tuple(
        IPv4Network(f"{line.args['network']}/{prefix_of(line.args['mask'])}")
        for line in root.starting("ip mobile virtual-network")
    )
    return AgentConfig(
        cluster=redundancy(device) or device.name,
        name=device.name,
        role=Role.HOME_AGENT,
        home_agent_address=virtual,
        networks=networks,
        lifetime_s=lifetime,
        replay=Replay.TIMESTAMP,
        tolerance_s=tolerance,
        binding_sync_s=1,
        max_bindings=bindings,
        lans=(Lan("all", "Mobile0", IPv4Interface(virtual)),),  # it answers from nowhere else
        gateways=(),
        controllers=(),
        members=(Member(device.name, MemberKind.IOS, False, 1, bindings, (), ()),),
        selection=Selection(0, Weights(1, 1, 1)),
        health=Health(1000, 3, 60, 100, 0),
        snmp=None,
        realms=tuple(_realms(device, lifetime, tolerance)),
        nodes=tuple(_nodes(device, lifetime, tolerance)),
        foreign_agents=tuple(_foreign_agents(device, tolerance)),
    )


def home_agent_address(device: Device) -> IPv4Address | None:
    """The virtual Home Agent address, if the router has one."""
    root = device.configuration
    line = root.get("ip mobile home-agent address")
    return IPv4Address(line.args["address"]) if line is not None else None


def redundancy(device: Device) -> str:
    """The standby group along which bindings are copied; "" without."""
    lines = device.configuration.starting("ip mobile home-agent redundancy")
    return next((line.args["standby"] for line in lines if "standby" in line.args), "")


def _security(line: Line, tolerance: int) -> Security:
    args = line.args
    key = args["hex"].lower() if "hex" in args else args["ascii"].encode().hex()
    hmac = re.search(r"\balgorithm hmac-md5\b", line.text)
    return Security(
        int(args["spi"], 16),
        Algorithm.HMAC_MD5 if hmac else Algorithm.MD5_PREFIX_SUFFIX,
        key,
        Replay.TIMESTAMP,
        int(args.get("window", tolerance)),
    )


def _associations(device: Device, peer: str) -> list[Line]:
    """Those of one SPI for both directions: the others are carried, and not acted upon."""
    lines = device.configuration.starting(f"ip mobile secure {peer}")
    return [line for line in lines if "spi" in line.args]


def _realms(device: Device, lifetime: int, tolerance: int) -> Iterator[Realm]:
    root = device.configuration
    keys = {line.args.get("nai"): line for line in _associations(device, "host")}
    for line in root.starting("ip mobile host nai"):
        name, args = line.args["nai"], line.args
        if not name.startswith("@") or name not in keys or "network" not in args:
            continue  # a single user; or one whom only an AAA server knows
        network = IPv4Network(f"{args['network']}/{prefix_of(args['mask'])}")
        pools = root.starting(f"ip local pool {args['pool']}") if "pool" in args else []
        ranges = tuple(
            AddressRange(
                IPv4Address(pool.args["low"]), IPv4Address(pool.args.get("high", pool.args["low"]))
            )
            for pool in pools
        )
        longest = int(args.get("lifetime", lifetime))
        yield Realm(name, network, network, longest, ranges, _security(keys[name], tolerance))


def _nodes(device: Device, lifetime: int, tolerance: int) -> Iterator[Node]:
    root = device.configuration
    keys = [line for line in _associations(device, "host") if "low" in line.args]
    for line in root.starting("ip mobile host"):
        args = line.args
        if "low" not in args or "network" not in args:
            continue
        network = IPv4Network(f"{args['network']}/{prefix_of(args['mask'])}")
        for number in _range(line):
            key = next((one for one in keys if number in _range(one)), None)
            if key is not None:
                longest = int(args.get("lifetime", lifetime))
                yield Node(IPv4Address(number), network, longest, _security(key, tolerance))


def _range(line: Line) -> range:
    low = number_of(line.args["low"])
    return range(low, number_of(line.args.get("high", line.args["low"])) + 1)


def _foreign_agents(device: Device, tolerance: int) -> Iterator[ForeignAgent]:
    for line in _associations(device, "foreign-agent"):
        for number in _range(line) if "low" in line.args else ():
            yield ForeignAgent(IPv4Address(number), _security(line, tolerance))


class Registrations:
    """The bindings of a Home Agent: they outlive a change of its configuration."""

    def __init__(self, config: AgentConfig, token: Callable[[int], bytes]) -> None:
        self.config = config
        self._token = token
        self._table = Table(_ROWS, 1)
        self._agent = HomeAgent(config, self._table, token)

    @property
    def table(self) -> Table:
        return self._table

    @property
    def counters(self) -> Counters:
        """Since it was configured last."""
        return self._agent.counters

    def configure(self, config: AgentConfig) -> None:
        """Another configuration for the same bindings."""
        if config == self.config:
            return
        kept = list(self._table.snapshot())
        self.config, self._table = config, Table(_ROWS, 1)
        self._agent = HomeAgent(config, self._table, self._token)
        for records in kept:
            self._agent.apply(records)

    def receive(self, payload: bytes, source: Endpoint, now: Moment) -> list[bytes]:
        """What is answered, from the virtual Home Agent address to the source."""
        virtual = int(self.config.home_agent_address)
        effects = self._agent.receive(payload, source, virtual, now)
        return [one.payload for one in effects if isinstance(one, Send)]

    def handle_timer(self, now: Moment) -> None:
        """End what has expired: nobody is told."""
        self._agent.handle_timer(now)

    def bindings(self) -> Iterator[tuple[bytes, Row]]:
        """NAI (or none) and binding, by home address."""
        rows = self._table.rows
        chosen = (rows["kind"] == Kind.BINDING).nonzero()[0]
        for index in chosen[rows["home_address"][chosen].argsort()].tolist():
            row = self._table.get(index)
            yield self._table.nai(index) if row.nai else b"", row
