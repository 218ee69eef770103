"""What is rendered: golden texts of every cluster, and what must hold of any text."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from hacc_agent import config
from tasks import render as render_module
from tasks.errors import Place
from tasks.intent import load_site
from tasks.model import DeviceModel, Role, Slice
from tasks.render import Texts, render, templates_sha256
from tasks.rendered import SECRET, File, Owner, Platform, Rendered
from tests import clusters
from tests.clusters import controller, ios, member, with_group, with_service

GOLDEN = clusters.ROOT / "tests/golden/render"
UPDATE = os.environ.get("HACC_UPDATE_GOLDEN") == "1"


def lines(model: DeviceModel, path: str = "") -> list[str]:
    """The stripped lines of the file whose path ends with `path`, the first by default."""
    return [line.text.strip() for line in file(render(model), path).lines]


def file(rendered: Rendered, path: str) -> File:
    return next(file for file in rendered.files if file.path.endswith(path))


# --- golden texts


def golden_cases() -> Iterator[tuple[str, DeviceModel, str]]:
    for case, cluster in clusters.cases().items():
        for model in cluster.devices:
            for rendered in render(model).present:
                yield case, model, rendered.path


def golden_path(case: str, host: str, path: str) -> Path:
    return GOLDEN / case / host / path.removeprefix("/").replace("/", "_")


CASES = [
    pytest.param(case, model, path, id=f"{case}-{model.host}-{Path(path).name}")
    for case, model, path in golden_cases()
]


@pytest.mark.parametrize(("case", "model", "path"), CASES)
def test_golden(case: str, model: DeviceModel, path: str) -> None:
    found = file(render(model), path)
    text = found.text + "".join(f"# owns {pattern}\n" for pattern in found.owns)
    golden = golden_path(case, model.host, path)
    if UPDATE:
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(text, encoding="utf-8")
    assert golden.exists(), f"{golden} is missing: look at the text, then HACC_UPDATE_GOLDEN=1"
    assert text == golden.read_text(encoding="utf-8")


def test_no_golden_text_is_left_over() -> None:
    expected = {golden_path(case, model.host, path) for case, model, path in golden_cases()}
    found = {path for path in GOLDEN.rglob("*") if path.is_file()}
    if UPDATE:
        for path in found - expected:
            path.unlink()
        found &= expected
    assert found == expected


# --- what holds of any text

MODELS = [
    pytest.param(model, id=f"{case}-{model.host}")
    for case, cluster in clusters.cases().items()
    for model in cluster.devices
]


@pytest.mark.parametrize("model", MODELS)
def test_rendering_twice_is_identical(model: DeviceModel) -> None:
    first = render(model)
    render_module.environment.cache_clear()
    assert render(model) == first


@pytest.mark.parametrize("model", MODELS)
def test_every_line_names_a_template_line_that_can_make_it_and_an_intent(
    model: DeviceModel,
) -> None:
    for rendered in render(model).files:
        for line in rendered.lines:
            assert line.intent
            assert all(place.line > 0 for place in line.intent)
            source = clusters.ROOT / line.template.file
            if line.template.line:
                made_by = source.read_text(encoding="utf-8").splitlines()[line.template.line - 1]
                literal = re.split(r"\{\{.*?\}\}", made_by)
                assert re.fullmatch(".*".join(map(re.escape, literal)), line.text)


@pytest.mark.parametrize("model", MODELS)
def test_no_path_of_this_machine_and_no_date_is_in_a_text(model: DeviceModel) -> None:
    text = "".join(rendered.text for rendered in render(model).files)
    assert str(clusters.ROOT) not in text
    assert not re.search(r"\b20[0-9]{2}-[0-9]{2}", text)


@pytest.mark.parametrize("model", MODELS)
def test_secrets_are_sealed_and_only_readable_by_their_owner(model: DeviceModel) -> None:
    sealed = 0
    for rendered in render(model).files:
        found = SECRET.findall(rendered.text)
        sealed += len(found)
        if found:
            assert rendered.mode & 0o007 == 0
    assert sealed >= 3  # OSPF, and two of SNMPv3 or the community twice


@pytest.mark.parametrize("model", MODELS)
def test_what_we_write_we_own(model: DeviceModel) -> None:
    """A line that is written and not owned could never be taken away again."""
    for rendered in render(model).files:
        if rendered.owner is Owner.WHOLE:
            assert rendered.owns == ()
            continue
        for path, section in paths(rendered):
            owned = any(owns(pattern, path) for pattern in rendered.owns)
            above = any(pattern.split(" / ")[0] == path[0] for pattern in rendered.owns)
            assert owned or (section and above), path


@pytest.mark.parametrize("model", MODELS)
def test_management_access_is_nobody_s(model: DeviceModel) -> None:
    forbidden = ("line ", "username ", "enable ", "aaa ", "hostname ", "ip ssh ", "**", "* **")
    for rendered in render(model).files:
        assert not [pattern for pattern in rendered.owns if pattern.startswith(forbidden)]


def paths(rendered: File) -> Iterator[tuple[tuple[str, ...], bool]]:
    """Each line with the sections above it, and whether it is a section itself."""
    texts = [SECRET.sub("SECRET", line.text) for line in rendered.lines]
    above: list[tuple[int, str]] = []
    for number, text in enumerate(texts):
        depth = len(text) - len(text.lstrip())
        while above and above[-1][0] >= depth:
            above.pop()
        following = texts[number + 1] if number + 1 < len(texts) else ""
        section = len(following) - len(following.lstrip()) > depth
        yield (*(word for _, word in above), text.strip()), section
        above.append((depth, text.strip()))


def owns(pattern: str, path: tuple[str, ...]) -> bool:
    """The contract of `rendered.File.owns`, read independently of the engine that obeys it."""
    levels = pattern.split(" / ")
    if levels[-1] == "**" and len(path) >= len(levels):
        levels, path = levels[:-1], path[: len(levels) - 1]
    return len(levels) == len(path) and all(map(matches, levels, path))


def matches(level: str, line: str) -> bool:
    wanted, found = level.split(), line.split()
    if wanted[-1] == "**":
        wanted, found = wanted[:-1], found[: len(wanted) - 1]
    return len(wanted) == len(found) and all(
        fnmatchcase(other, word) for word, other in zip(wanted, found, strict=True)
    )


# --- which files, in which order


def test_a_linux_controller_takes_its_address_after_everything_that_serves_it() -> None:
    assert [found.path for found in render(controller()).present] == [
        "/etc/sysctl.d/90-hacc.conf",
        "/etc/frr/daemons",
        "/etc/frr/frr.conf",
        "/etc/snmp/snmpd.conf",
        "/etc/hacc/agent.toml",
        "/etc/systemd/system/hacc-agent.service",
        "/etc/keepalived/keepalived.conf",
    ]


def test_a_linux_member_has_no_keepalived() -> None:
    assert "/etc/keepalived/keepalived.conf" not in [f.path for f in render(member()).present]


def test_mobile_networks_are_announced_beside_the_home_networks() -> None:
    """Their routes are in the kernel while their routers are bound (RFC 5177)."""
    service = clusters.service(member())
    behind = IPv4Network("203.0.113.0/24")
    (realm, *_), plain = service.realms, lines(member(), "frr.conf")
    realm = dataclasses.replace(realm, mobile_networks=(behind,))
    found = lines(with_service(member(), realms=(realm,)), "frr.conf")
    assert [line for line in found if line not in plain] == [
        f"ip prefix-list hacc-slices seq 2 permit {behind} le 32"
    ]


def test_an_ios_router_has_one_text() -> None:
    rendered = render(ios())
    assert rendered.platform is Platform.IOS
    assert [(found.path, found.owner) for found in rendered.files] == [
        ("running-config", Owner.LINES)
    ]


def test_texts_are_those_of_every_router_in_order() -> None:
    models = clusters.west().devices
    texts = Texts(models)
    assert [*texts] == [model.host for model in models]
    assert [*texts.values()] == [render(model) for model in models]
    assert "nobody" not in texts


def test_the_agent_can_read_what_is_rendered_for_it() -> None:
    for model in clusters.west().devices:
        if model.agent is not None:
            found = file(render(model), "agent.toml")
            assert found.mode == 0o600
            assert config.parse(found.text, "agent.toml") == model.agent


def test_tables_of_agent_toml_come_from_their_own_lines_of_the_intent() -> None:
    model = member()
    found = file(render(model), "agent.toml")
    places = {
        line.text: line.intent[0] for line in found.lines if line.text.startswith(("[", "spi"))
    }
    realm, node = clusters.service(model).realms[0], clusters.service(model).nodes[0]
    assert places["[[realms]]"] == realm.place
    assert places["[realms.security]"] == realm.place
    assert places["[[nodes]]"] == node.place
    assert places["[[lans]]"] == model.ports[0].place
    west = load_site(clusters.ROOT / "inventory").cluster("west")
    assert places["[health]"] == west.health.place


def test_a_table_of_what_nobody_said_comes_from_the_router_itself() -> None:
    model = clusters.cases()["virtual-physical"].device("hacc1")
    health = next(
        line for line in file(render(model), "agent.toml").lines if "[health]" in line.text
    )
    assert health.intent == (model.place,)


def test_what_a_controller_knows_of_mobile_nodes_comes_from_where_they_are_told() -> None:
    realm = clusters.service(member()).realms[0]
    found = file(render(clusters.controller()), "agent.toml")
    assert next(x.intent for x in found.lines if x.text == "[[realms]]") == (realm.place,)


def test_the_digest_covers_templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = templates_sha256()
    (tmp_path / "ios").mkdir()
    (tmp_path / "ios/x.j2").write_text("x\n")
    monkeypatch.setattr(render_module, "TEMPLATES", tmp_path)
    templates_sha256.cache_clear()
    try:
        assert re.fullmatch("[0-9a-f]{64}", before)
        assert templates_sha256() != before
    finally:
        templates_sha256.cache_clear()


# --- IOS, statement by statement


@pytest.mark.parametrize(
    ("hello", "hold", "expected"),
    [
        (200, 700, ["standby 20 timers msec 200 msec 700"]),
        (500, 2000, ["standby 20 timers msec 500 2"]),
        (1000, 3000, ["standby 20 timers 1 3"]),
        (3000, 10000, []),  # the default is not shown
    ],
)
def test_standby_timers(hello: int, hold: int, expected: list[str]) -> None:
    model = with_group(ios(), hello_ms=hello, hold_ms=hold)
    assert [line for line in lines(model) if " timers " in line] == expected


def test_version_1_and_priority_100_are_not_shown_because_the_router_hides_them() -> None:
    text = lines(with_group(ios(), version=1, priority=100))
    assert not [
        line for line in text if line.startswith(("standby version", "standby 20 priority"))
    ]


def test_preempt_without_delay() -> None:
    assert "standby 20 preempt" in lines(with_group(ios(), preempt_delay_s=0))


def test_group_authentication() -> None:
    assert "standby 20 authentication md5 key-string <secret env:HACC_HSRP_KEY>" in lines(ios())
    text = lines(with_group(ios(), authentication=clusters.text_authentication()))
    assert "standby 20 authentication <secret env:GROUP_TEXT>" in text
    none = lines(with_group(ios(), authentication=None))
    assert not [line for line in none if line.startswith("standby 20 authentication")]


def test_tracked_objects_are_defined_once_and_before_who_tracks_them() -> None:
    model = with_group(
        ios(), tracks=(clusters.track(2, "Serial0/1", 10), clusters.track(1, "GigabitEthernet0/2"))
    )
    text = lines(model)
    assert text.count("track 1 interface GigabitEthernet0/2 line-protocol") == 1
    assert text.index("track 2 interface Serial0/1 line-protocol") < text.index(
        "standby 20 track 2"
    )
    assert "standby 20 track 1 decrement 20" in text
    assert "standby 20 track 2" in text  # 10 is the default decrement, which is not shown


def test_a_down_interface_comes_up_because_its_shutdown_is_ours_to_remove() -> None:
    assert "interface GigabitEthernet0/1 / shutdown" in render(ios()).files[0].owns
    assert "no shutdown" not in lines(ios())


def test_the_virtual_address_is_not_in_ospf_on_a_member() -> None:
    vha = str(ios().home_agent_address)
    assert not [line for line in lines(ios()) if line.startswith("network") and vha in line]


def test_key_digits_are_hexadecimal_and_so_is_the_spi() -> None:
    wanted = (
        "ip mobile secure host nai @example.net spi 100 key hex <secret env:MN_EXAMPLE_KEY|hex>"
        " algorithm hmac-md5"
    )
    assert wanted in lines(ios())


def test_replay_protection_is_shown_where_it_is_not_the_default() -> None:
    peer = clusters.service(ios()).foreign_agents[0]
    security = dataclasses.replace(peer.security, tolerance_s=30)
    model = with_service(ios(), foreign_agents=(dataclasses.replace(peer, security=security),))
    (line,) = [line for line in lines(model) if "secure foreign-agent" in line]
    assert " replay timestamp 30 algorithm hmac-md5" in line


def test_lifetimes_are_shown_where_they_differ() -> None:
    model = with_service(ios(), lifetime_s=36000, tolerance_s=9)
    assert "ip mobile home-agent replay 9" in lines(model)
    hosts = [line for line in lines(model) if line.startswith("ip mobile host ")]
    assert all(line.endswith(" lifetime 1800") for line in hosts)


@pytest.mark.parametrize("part", [None, Slice((), (), clusters.HERE)], ids=["backup", "empty"])
def test_a_realm_is_served_without_a_pool(part: Slice | None) -> None:
    realm = dataclasses.replace(clusters.service(ios()).realms[0], slice=part)
    text = lines(with_service(ios(), realms=(realm,), announces=()))
    assert "ip mobile host nai @example.net virtual-network 198.19.64.0 255.255.192.0" in text
    assert not [line for line in text if "pool" in line or "Null0" in line]


def test_a_member_announces_its_nodes_and_slices_but_not_the_home_network() -> None:
    text = lines(ios())
    assert "ip prefix-list hacc-nodes seq 1 permit 198.19.64.0/18 ge 32" in text
    assert "redistribute mobile subnets route-map hacc-nodes" in text
    assert "redistribute static subnets route-map hacc-slices" in text
    assert "ip route 198.19.76.0 255.255.252.0 Null0 tag 434" in text


def test_replies_of_a_stock_home_agent_pass_the_controllers() -> None:
    """By policy, not by a default route: OSPF may know a better one to the Foreign Agent."""
    text = lines(ios())
    start = text.index("ip access-list extended hacc-replies")
    assert text[start : start + 6] == [
        "ip access-list extended hacc-replies",
        "permit udp host 198.19.0.1 eq mobile-ip any",
        "route-map hacc-replies permit 10",
        "match ip address hacc-replies",
        "set ip next-hop 198.18.1.254",
        "ip local policy route-map hacc-replies",
    ]
    assert not [line for line in text if line.startswith("ip route 0.0.0.0 ")]


def test_snmp_2c_has_a_view_of_ours_so_that_an_old_community_can_be_found_and_removed() -> None:
    text = lines(clusters.v2c(ios()))
    assert "snmp-server community <secret env:SNMP_COMMUNITY> view hacc RO" in text
    assert len([line for line in text if line.startswith("snmp-server host ")]) == 2
    assert not [line for line in text if " v3 " in line]


# --- Linux, statement by statement


def test_only_a_member_holds_the_virtual_address_on_its_loopback_for_good() -> None:
    vha = "ip address 198.19.0.1/32 label lo:hacc"
    assert vha in lines(member(), "frr.conf")
    assert vha not in lines(controller(), "frr.conf")
    assert "198.19.0.1/32 dev lo" in lines(controller(), "keepalived.conf")


def test_only_the_router_id_is_in_ospf_on_the_loopback() -> None:
    text = lines(member(), "frr.conf")
    assert "ip ospf area 0 198.19.255.21" in text[text.index("interface lo") :]


def test_a_controller_announces_what_keepalived_gives_it_and_nothing_else() -> None:
    text = lines(controller(), "frr.conf")
    announced = [line for line in text if line.startswith("ip prefix-list")]
    assert announced == [
        "ip prefix-list hacc-announced seq 1 permit 198.19.0.1/32",
        "ip prefix-list hacc-announced seq 2 permit 198.19.64.0/18",
    ]
    assert "redistribute connected route-map hacc-announced" in text
    assert "redistribute kernel route-map hacc-announced" in text
    assert "blackhole 198.19.64.0/18 no_track" in lines(controller(), "keepalived.conf")


def test_no_route_for_a_home_network_that_is_a_lan() -> None:
    group = controller().groups[0]
    model = with_group(
        controller(), announces=(*group.announces, controller().ports[0].address.network)
    )
    routes = [line for line in lines(model, "keepalived.conf") if line.startswith("blackhole")]
    assert routes == ["blackhole 198.19.64.0/18 no_track"]


def test_vrrp_times_are_seconds_with_a_fraction() -> None:
    assert "advert_int 0.2" in lines(controller(), "keepalived.conf")
    slow = with_group(controller(), hello_ms=2000, version=2)
    assert {"advert_int 2", "vrrp_version 2"} <= set(lines(slow, "keepalived.conf"))


def test_groups_of_a_controller_become_active_together() -> None:
    first = controller().groups[0]
    second = dataclasses.replace(first, name="west-edge", group=11, follows=(), announces=())
    model = dataclasses.replace(controller(), groups=(first, second))
    text = lines(model, "keepalived.conf")
    start = text.index("vrrp_sync_group west {")
    assert text[start + 1 : start + 5] == ["group {", "west-core", "west-edge", "}"]
    assert text.count("virtual_routes {") == 1
    assert text.count("virtual_ipaddress_excluded {") == 1
    assert not [line for line in lines(controller(), "keepalived.conf") if "sync_group" in line]


def test_keepalived_tracks_other_interfaces_than_the_group_s_own() -> None:
    model = with_group(
        controller(), tracks=(clusters.track(1, "lan"), clusters.track(2, "uplink", 30))
    )
    text = lines(model, "keepalived.conf")
    assert "uplink weight -30" in text
    assert "lan weight -20" not in text


def test_snmp_2c_on_linux() -> None:
    text = lines(clusters.v2c(member()), "snmpd.conf")
    assert "rocommunity <secret env:SNMP_COMMUNITY>" in text
    assert "trap2sink 198.18.0.253 <secret env:SNMP_COMMUNITY>" in text
    assert not [line for line in text if line.startswith(("createUser", "rouser"))]


def test_an_interface_with_a_dot_in_its_name_is_a_sysctl_key_all_the_same() -> None:
    port = dataclasses.replace(member().ports[0], name="eth0.10")
    model = dataclasses.replace(member(), ports=(port,), lan_interfaces=("eth0.10",))
    assert "net/ipv4/conf/eth0.10/send_redirects = 0" in lines(model, "90-hacc.conf")


def test_whole_files_say_whose_they_are() -> None:
    model = clusters.cases()["radius"].device("hacc1")
    for found in render(model).present:
        if found.owner is Owner.WHOLE and not found.path.endswith(".toml"):
            assert found.lines[0].text.startswith("# Managed by hacc for cluster site:")


def test_roles_are_told_to_the_unit() -> None:
    unit = lines(member("ha9"), "hacc-agent.service")
    assert member("ha9").role is Role.BACKUP
    assert "Description=HACC backup agent of cluster west" in unit
    assert "CapabilityBoundingSet=CAP_NET_RAW CAP_NET_ADMIN CAP_NET_BIND_SERVICE CAP_BPF" in unit


def test_nearest_place_first() -> None:
    found = {line.text.strip(): line.intent for line in render(ios()).files[0].lines}
    group = ios().groups[0]
    assert group.authentication is not None
    key = "standby 20 authentication md5 key-string <secret env:HACC_HSRP_KEY>"
    assert found[key] == (group.authentication.place, group.place)
    assert found["router mobile"] == (clusters.service(ios()).place,)
    assert isinstance(found["standby 20 ip 198.18.1.253"][0], Place)
