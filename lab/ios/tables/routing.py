"""Routing protocols, static routes, access lists, prefix lists and route maps."""

from __future__ import annotations

from ..rules import access, routing, system
from ..tree import Command, Row
from .rows import block

_SEQUENCE = "[<sequence:1-2147483647>]"
_REMARK = "remark <what:line>"
_STANDARD = "<action:permit|deny> (any|host <source:ip>|<source:ip> [<wild:ip>]) [log]"
_WHERE = "(any|host <host:ip>|<net:ip> <wild:ip>)"
_PORTS = "[((eq|gt|lt|neq) <port:word>|range <low:word> <high:word>)]"
_EXTENDED = (
    f"<action:permit|deny> <protocol:word> {_WHERE} {_PORTS} {_WHERE} {_PORTS} "
    "(established|log|log-input|fragments|dscp <dscp:word>|precedence <precedence:word>"
    "|tos <tos:word>|echo|echo-reply|unreachable|ttl-exceeded|time-range <range:word>)*"
)
_NUMBERED = (
    ("1-99", _STANDARD),
    ("1300-1999", _STANDARD),
    ("100-199", _EXTENDED),
    ("2000-2699", _EXTENDED),
)

_INTO_OSPF = (
    "(subnets|metric <metric:0-16777214>|metric-type <type:1|2>|route-map <map:word>"
    "|tag <tag:0-4294967295>)*"
)
_INTO_BGP = "(metric <metric:0-4294967295>|route-map <map:word>)*"


def _redistribute(source: str, options: str) -> Row:
    return Row(
        f"redistribute {source} / {options}",
        set=routing.add_options,
        unset=routing.remove_options,
    )


def _entries(mode: str, syntax: str) -> tuple[Command, ...]:
    """The lines inside one kind of access list."""
    return block(
        mode,
        0,
        *(
            Row(
                f"{_SEQUENCE} {what}",
                key="{sequence}",
                sort=("sequence",),
                set=access.set_entry,
                unset=access.unset_entry,
            )
            for what in (syntax, _REMARK)
        ),
        Row("<sequence:1-2147483647>", only_no=True, unset=access.unset_entry),
        level=True,
    )


COMMANDS = (
    *block(
        "config",
        41,
        Row("router ospf <process:1-65535>", enters="ospf", sort=("process",)),
        Row("router bgp <as:1-4294967295>", enters="bgp"),
    ),
    *block(
        "ospf",
        0,
        Row("router-id / <id:ip>", set=system.set_router_id, unset=system.unset_router_id),
        "log-adjacency-changes / [detail]",
        "auto-cost reference-bandwidth / <megabits:1-4294967>",
        "area <area:word> authentication / [message-digest]",
        "area <area:word> <what:stub|nssa> / [<rest:line>]",
        "area <area:word> range <net:ip> <mask:mask> / [<rest:line>]",
        "timers throttle <what:spf|lsa> / <rest:line>",
        _redistribute("<from:mobile|connected|static>", _INTO_OSPF),
        _redistribute("bgp <as:1-4294967295>", _INTO_OSPF),
        Row(
            "passive-interface default",
            set=routing.set_passive_default,
            unset=routing.unset_passive_default,
        ),
        Row(
            "passive-interface <name:if>",
            sort=("name",),
            set=routing.set_passive,
            unset=routing.unset_passive,
        ),
        "network <net:ip> <wild:ip> area / <area:word>",
        "neighbor <neighbor:ip> / [<rest:line>]",
        "default-information originate / [<rest:line>]",
        "default-metric / <metric:1-16777214>",
        "distance / <distance:1-255>",
        "maximum-paths / <paths:1-32>",
        "max-metric <rest:line>",
    ),
    *block(
        "bgp",
        0,
        "bgp router-id / <id:ip>",
        "bgp log-neighbor-changes",
        "bgp <rest:line>",
        "network <net:ip> / [mask <mask:mask>] [route-map <map:word>]",
        _redistribute("<from:mobile|connected|static>", _INTO_BGP),
        "redistribute ospf <process:1-65535> / [<rest:line>]",
        "neighbor <neighbor:ip> remote-as / <as:1-4294967295>",
        "neighbor <neighbor:ip> description / <text:line>",
        "neighbor <neighbor:ip> update-source / <name:if>",
        "neighbor <neighbor:ip> password / <rest:line>",
        "neighbor <neighbor:ip> shutdown",
        "neighbor <neighbor:ip> <rest:line>",
        Row("auto-summary"),
        Row("synchronization"),
    ),
    *block(
        "config",
        45,
        "ip forward-protocol nd",
        "ip forward-protocol <rest:line>",
        Row("ip http server", both=True),
        Row("ip http secure-server", both=True),
        "ip http <rest:line>",
        "ip default-gateway / <gateway:ip>",
        Row("ip classless", on=True),
        "ip subnet-zero",
        "ip nat <rest:line>",
        "ip flow-export <rest:line>",
        "ip local policy route-map / <map:word>",
    ),
    *block(
        "config",
        60,
        "ip route vrf <vrf:word> <net:ip> <mask:mask> <rest:line>",
        Row(
            "ip route <net:ip> <mask:mask> (<via:ip>|<name:if> [<via:ip>]) / [<distance:1-255>] "
            "[tag <tag:1-4294967295>] [name <label:word>] [permanent] [track <object:1-1000>]",
            sort=("net", "mask"),
        ),
        level=True,
    ),
    *block(
        "config",
        62,
        Row(
            "ip access-list standard <name:word>",
            enters="acl-standard",
            key="ip access-list {name}",
            set=access.enter,
            unset=access.remove,
        ),
        Row(
            "ip access-list extended <name:word>",
            enters="acl-extended",
            key="ip access-list {name}",
            set=access.enter,
            unset=access.remove,
        ),
    ),
    *block(
        "config",
        62,
        Row(
            "ip access-list resequence <name:word> <start:1-2147483647> <step:1-2147483647>",
            set=access.resequence,
        ),
    ),
    *_entries("acl-standard", _STANDARD),
    *_entries("acl-extended", _EXTENDED),
    *block(
        "config",
        64,
        "ip prefix-list <name:word> description / <text:line>",
        "ip prefix-list <name:word> seq <sequence:1-4294967294> / <action:permit|deny> <what:line>",
        Row("ip prefix-list <name:word>", only_no=True),
    ),
    *block(
        "config",
        75,
        *(
            Row(
                f"access-list <number:{numbers}> / {what}",
                set=access.set_numbered,
                unset=access.unset_numbered,
            )
            for numbers, syntax in _NUMBERED
            for what in (syntax, _REMARK)
        ),
    ),
    *block(
        "config",
        77,
        Row(
            "route-map <map:word> <action:permit|deny> <sequence:0-65535>",
            enters="route-map",
            key="route-map {map} {sequence}",
            sort=("map", "sequence"),
        ),
        Row("route-map <map:word>", only_no=True),
    ),
    *block(
        "route-map",
        0,
        "description / <text:line>",
        "match <rest:line>",
        "set <what:metric|metric-type|tag|local-preference|weight> / <value:line>",
        Row(
            "set ip next-hop / <first:ip> [<second:ip>] [<third:ip>]",
            set=routing.add_next_hops,
            unset=routing.remove_next_hops,
        ),
        "set <rest:line>",
        "continue / [<sequence:0-65535>]",
    ),
)

access.ENTRY_ROWS.update(
    (row.mode, row) for row in COMMANDS if row.mode.startswith("acl-") and "<action:" in row.syntax
)
access.NUMBERED_ROWS.update(
    (kind, row)
    for kind, row in zip(
        ("standard", "extended"),
        (
            *block(
                "config",
                75,
                Row(
                    "ip access-list standard <name:word>",
                    enters="acl-standard",
                    sort=("name",),
                    flat="access-list {name} ",
                ),
            ),
            *block(
                "config",
                75,
                Row(
                    "ip access-list extended <name:word>",
                    enters="acl-extended",
                    sort=("name",),
                    flat="access-list {name} ",
                ),
            ),
        ),
        strict=True,
    )
)
