"""The simulator takes what is rendered, shows it back, and a second plan is empty.

The simulator is written from documentation by other hands than the templates: two readings of IOS
that agree. Where a line is in no reading at all, `unverified` says so.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

import pytest

from lab.ios import Device, Session
from tasks.diff import diff, reveal
from tasks.model import DeviceModel, Track
from tasks.render import render
from tasks.rendered import SECRET, File, Platform
from tasks.secrets import resolve
from tests import clusters
from tests.clusters import ios, with_group, with_service

# A router with a life before us: none of this is ours, all of it must survive.
BEFORE = """\
hostname ios1
enable secret 5 $1$mERr$hx5rVt7rPNoS4wqbXKX7m0
username admin privilege 15 secret 5 $1$mERr$hx5rVt7rPNoS4wqbXKX7m0
track 1 interface GigabitEthernet0/0 line-protocol
track 7 interface GigabitEthernet0/2 line-protocol
interface GigabitEthernet0/0
 description management
 ip address 198.18.0.31 255.255.255.0
interface GigabitEthernet0/1
 description to the core
 no ip redirects
 shutdown
interface GigabitEthernet0/2
 ip address 203.0.113.1 255.255.255.0
 standby 7 ip 203.0.113.9
 standby 7 name someone-else
 standby 7 track 1
router ospf 1
 passive-interface GigabitEthernet0/2
 network 203.0.113.0 0.0.0.255 area 3
ip local pool theirs 203.0.113.100 203.0.113.110
ip route 192.0.2.0 255.255.255.0 203.0.113.2
ip route 192.0.2.128 255.255.255.128 Null0
ip route 0.0.0.0 0.0.0.0 203.0.113.3
snmp-server community theirs RO
snmp-server host 203.0.113.5 version 2c theirs
line vty 0 4
 login local
 transport input ssh
"""


def realm_without_a_pool() -> DeviceModel:
    realm = dataclasses.replace(clusters.service(ios()).realms[0], slice=None)
    return with_service(ios(), realms=(realm,), announces=())


VARIANTS: dict[str, DeviceModel] = {
    "west": ios(),
    "version-1": with_group(
        ios(),
        version=1,
        priority=100,
        hello_ms=3000,
        hold_ms=10000,
        preempt_delay_s=0,
        authentication=clusters.text_authentication(),
    ),
    "tracks": with_group(
        ios(),
        tracks=(
            clusters.track(491, "GigabitEthernet0/2"),
            clusters.track(492, "GigabitEthernet0/0", 10),
        ),
    ),
    "snmp-2c": clusters.v2c(ios()),
    "lifetimes": with_service(ios(), lifetime_s=36000, tolerance_s=9, max_bindings=235000),
    "backup": realm_without_a_pool(),
    "two-networks": with_service(
        ios(),
        virtual_networks=(
            *clusters.service(ios()).virtual_networks,
            dataclasses.replace(
                clusters.service(ios()).virtual_networks[0],
                prefix=clusters.networks("198.19.128.0/20")[0],
            ),
        ),
    ),
    "no-announcer": with_service(ios(), announces=(), reply_gateway=None),
}
EVERY = VARIANTS | {
    f"{case}-{model.host}": model
    for case, cluster in clusters.cases().items()
    for model in cluster.devices
    if model.platform is Platform.IOS
}


def text(model: DeviceModel) -> File:
    (found,) = render(model).files
    return found


def keys(file: File) -> dict[str, str]:
    """A clear value for each reference: 16 octets where digits are wanted (the MD5 key length)."""
    return {
        found["ref"]: "sixteen-octets-!" if found["form"] else "secret12"
        for found in SECRET.finditer(file.text)
    }


def running(router: Device) -> str:
    """What a fetch brings: `show running-config`, and the users that it hides, without keys."""
    hidden = re.sub(r"auth sha \S+ priv aes 128 \S+", "auth sha * priv aes 128 *", users(router))
    return router.running_config() + hidden


def users(router: Device) -> str:
    return router.private_config()


def statements(configuration: str) -> set[tuple[str, ...]]:
    """Lines with their section, order apart."""
    found: set[tuple[str, ...]] = set()
    section = ""
    for line in configuration.splitlines():
        if line.startswith(" "):
            found.add((section, line.strip()))
        elif line and line[0] != "!":
            section = line.strip()
            found.add((section,))
    return found


@pytest.mark.parametrize("model", EVERY.values(), ids=EVERY.keys())
def test_the_router_takes_every_line_and_shows_exactly_these(model: DeviceModel) -> None:
    file = text(model)
    clear = resolve(file.text, keys(file))
    interfaces = {port.name for port in model.ports} | {track.interface for track in tracked(model)}
    router = Device.from_text(model.host, "".join(f"interface {name}\n" for name in interfaces))
    before = statements(router.running_config())
    assert router.merge(clear, 0.0) == []
    after = statements(router.running_config() + users(router))
    assert after - before == statements(clear) - before
    assert {line[-1] for line in before - after} <= {"no ip address"}


def tracked(model: DeviceModel) -> list[Track]:
    return [track for group in model.groups for track in group.tracks]


def bring(router: Device, model: DeviceModel) -> None:
    """Plan and apply, as `hacc apply` would type it; the router must take every command."""
    file = text(model)
    opened: Mapping[str, str] = keys(file)
    now = running(router)
    session = Session(router, user="admin", privilege=15)
    secrets = {**opened, **reveal(now, Platform.IOS)}
    for command in diff(now, file, Platform.IOS, opened).commands:
        session.feed("configure terminal", now=0.0)
        for section in command.context:
            session.feed(section, now=0.0)
        reply = session.feed(resolve(command.text, secrets), now=0.0)
        assert "%" not in reply.text, (command.text, reply.text)
        session.feed("end", now=0.0)


@pytest.mark.parametrize("model", EVERY.values(), ids=EVERY.keys())
def test_an_apply_to_an_empty_router_leaves_nothing_to_do(model: DeviceModel) -> None:
    interfaces = {port.name for port in model.ports} | {track.interface for track in tracked(model)}
    router = Device.from_text(model.host, "".join(f"interface {name}\n" for name in interfaces))
    bring(router, model)
    left = diff(running(router), text(model), Platform.IOS, keys(text(model)))
    assert [(command.context, command.text) for command in left.commands] == []


PAIRS = [(a, b) for a in VARIANTS for b in VARIANTS]


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=[f"{a}-to-{b}" for a, b in PAIRS])
def test_after_an_apply_the_plan_is_empty_and_what_is_not_ours_is_untouched(
    first: str, second: str
) -> None:
    router = Device.from_text("ios1", BEFORE)
    foreign = statements(router.running_config())
    for variant in (first, second):
        bring(router, VARIANTS[variant])
        file = text(VARIANTS[variant])
        left = diff(running(router), file, Platform.IOS, keys(file))
        assert [(command.context, command.text) for command in left.commands] == []
    lost = foreign - statements(router.running_config())
    assert lost == {
        ("interface GigabitEthernet0/1", "shutdown"),
        ("interface GigabitEthernet0/1", "no ip address"),
    }


def test_a_router_that_never_was_in_the_cluster_loses_all_of_it_but_nothing_else() -> None:
    """No service, no groups: what is left of us is addresses, OSPF and SNMP."""
    router = Device.from_text("ios1", BEFORE)
    bring(router, ios())
    bring(
        router, dataclasses.replace(ios(), service=None, groups=(), holds_home_agent_address=False)
    )
    left = router.running_config()
    assert "ip mobile" not in left
    assert "router mobile" not in left
    assert "interface Loopback434" not in left
    assert "standby 20" not in left
    assert "standby 7 name someone-else" in left
    assert "hacc-slices" not in left


def test_an_uplink_that_is_named_to_be_tracked_stays_somebody_else_s() -> None:
    uplink = "GigabitEthernet0/2"
    model = with_group(ios(), tracks=(clusters.track(491, uplink),))
    model = dataclasses.replace(model, known_interfaces=(*model.known_interfaces, uplink))
    router = Device.from_text("ios1", BEFORE)
    bring(router, model)
    bring(
        router, dataclasses.replace(model, groups=ios().groups)
    )  # named, and not tracked any more
    left = router.running_config()
    assert "standby 7 name someone-else" in left
    assert "track 491" not in left
    assert "track 7 interface GigabitEthernet0/2 line-protocol" in left


def test_a_lan_that_moves_to_another_interface_takes_address_and_group_along() -> None:
    """Left behind, the group would be a second owner, and the address would be refused."""
    (port,) = ios().ports
    router = Device.from_text("ios1", BEFORE + "interface GigabitEthernet0/3\n")
    bring(router, ios())
    moved = dataclasses.replace(port, name="GigabitEthernet0/3")
    model = dataclasses.replace(with_group(ios(), port=moved), ports=(moved,))
    bring(router, dataclasses.replace(model, lan_interfaces=(port.name, moved.name)))
    found = statements(router.running_config())
    for line in ("standby 20 ip 198.18.1.253", "ip address 198.18.1.31 255.255.255.0"):
        assert [path[0] for path in found if path[-1] == line] == ["interface GigabitEthernet0/3"]


def test_what_the_intent_no_longer_names_goes_by_the_name_that_we_gave_it() -> None:
    """A realm takes its pool along; what is named alike and not ours stays."""
    service = clusters.service(ios())
    realm = dataclasses.replace(service.realms[0], realm="@b.example", pool_name="west-b-example")
    others = "ip local pool west 203.0.113.120 203.0.113.130\n"
    router = Device.from_text("ios1", BEFORE + others)
    bring(router, with_service(ios(), realms=(realm,)))
    router.merge("ip prefix-list hacc-old seq 5 permit 10.0.0.0/8\nroute-map hacc-old deny 20", 0.0)
    assert "ip local pool west-b-example" in router.running_config()
    bring(router, ios())
    left = router.running_config()
    assert "b-example" not in left
    assert "hacc-old" not in left
    assert {others.strip(), "ip local pool theirs 203.0.113.100 203.0.113.110"} <= set(
        left.splitlines()
    )


def test_discovery_is_switched_on_where_somebody_switched_it_off() -> None:
    router = Device.from_text("ios1", BEFORE + "no cdp run\n")
    bring(router, dataclasses.replace(ios(), discovery=False))
    assert "no cdp run" in router.running_config()
    bring(router, ios())
    assert "no cdp run" not in router.running_config()


def test_the_user_of_yesterday_goes() -> None:
    """SNMPv3 users in our group are ours, whatever they were called."""
    router = Device.from_text("ios1", BEFORE)
    bring(router, dataclasses.replace(ios(), snmp=dataclasses.replace(ios().snmp, user="old")))
    assert "snmp-server user old hacc v3" in users(router)
    bring(router, ios())
    assert "snmp-server user old" not in users(router)
    bring(router, clusters.v2c(ios()))
    assert users(router) == ""
