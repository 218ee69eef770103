"""FRR: enough to read frr.conf, merge our lines into it and show what changes.

The file itself is pushed and `frr-reload.py` makes the commands, so the rows say which lines are
one setting, and nothing of impact. Sections are closed by `exit` (FRR 7.5 and later), which is
no line of the configuration; secrets stand in clear.
"""

from __future__ import annotations

import re

from ..tree import Grammar
from . import Table
from .rules import Context, Kind, Rule
from .sealing import VALUE, Sealer

R = Rule
_LIST = Kind.LIST

_TOP = (
    R("hostname {name}"),
    R("interface {interface} [vrf {vrf}]", key="interface {interface}", inside="interface"),
    R("router ospf [{process}]", key="router ospf", inside="router"),
    R("router bgp {as} [vrf {vrf}]", key="router bgp {as}", inside="router"),
    R("route-map {map} {action:permit|deny} {seq}", key="route-map {map} {seq}",
      inside="route-map"),
    R("vrf {vrf}", inside="vrf"),
    R("key chain {chain}", inside="key chain"),
    R("ip prefix-list {list} seq {seq} {rest*}", key="ip prefix-list {list} seq {seq}"),
    R("access-list {list} seq {seq} {rest*}", key="access-list {list} seq {seq}"),
    R("ip route {rest*}", _LIST),
    R("log {where:file|syslog|stdout} {rest*}", key="log {where}"),
    R("ip forwarding", default_on=True),
    R("ip router-id {address}"),
    R("{daemon:[a-z]+}={value*}", key="{daemon}"),  # /etc/frr/daemons
    R("frr {what:version|defaults} {rest*}", key="frr {what}"),
)  # fmt: skip

_INTERFACE = (
    R("description {text*}"),
    R("ip address {rest*}", _LIST),
    R("ip ospf message-digest-key {id} md5 {key}", key="ip ospf message-digest-key {id}"),
    R("ip ospf area {rest*}", _LIST),
    R("ip ospf {what} {rest*}", key="ip ospf {what}"),
    R("ip ospf passive", key="ip ospf passive"),
    R("vrrp {id} ip {address}", _LIST),
    R("vrrp {id} {what} {rest*}", key="vrrp {id} {what}"),
)

_ROUTER = (
    R("ospf router-id {address}"),
    R("bgp router-id {address}"),
    R("network {address} area {area}", key="network {address}"),
    R("redistribute {source} {rest*}", key="redistribute {source}"),
    R("neighbor {neighbor} remote-as {as}", key="neighbor {neighbor} remote-as"),
    R("neighbor {neighbor} {what} {rest*}", key="neighbor {neighbor} {what}"),
    R("timers throttle {what:spf|lsa} {rest*}", key="timers throttle {what}"),
    R("timers {what} {rest*}", key="timers {what}"),
    R("area {area} authentication {rest*}", key="area {area} authentication"),
    R("address-family {family*}", key="address-family {family}", inside="router"),
)

_ROUTE_MAP = (
    R("match {what} {rest*}", _LIST),
    R("set {what} {rest*}", key="set {what}"),
    R("call {map}"),
)


def _canonical(line: str) -> str:
    return " ".join(line.split()) if "  " in line else line


TABLE = Table(
    grammar=Grammar(
        furniture=re.compile(
            r"Building configuration\.\.\.|Current configuration:|end|exit(?:-\S+)?|exit1"
        ),
        initials=frozenset("BCe"),
        volatile=re.compile(r"Building configuration\.\.\.|Current configuration:"),
        closing=re.compile(r"exit(?:-\S+)?"),
        closes="exit",
    ),
    contexts={
        "": Context.of(_TOP),
        "interface": Context.of(_INTERFACE),
        "router": Context.of(_ROUTER),
        "route-map": Context.of(_ROUTE_MAP),
        "key chain": Context.of((R("key {id}", inside="key"),)),
        "key": Context.of((R("key-string {key}"),)),
    },
    sealer=Sealer(
        re.compile(r"key|password"),
        (
            re.compile(rf"^ip ospf message-digest-key \d+ md5 (?P<s1>{VALUE})"),
            re.compile(rf"(?:^|[ -])(?:password|authentication-key|key-string) (?P<s1>{VALUE})$"),
            re.compile(rf"^(?:enable )?password (?:8 )?(?P<s1>{VALUE})"),
        ),
    ),
    canonical=_canonical,
)
