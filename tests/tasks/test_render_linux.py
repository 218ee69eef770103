"""Real programs take what is rendered for Linux routers, and do with it what the intent says.

Three routers of the example cluster, as namespaces with Debian's own FRR, keepalived and snmpd:
both controllers and one member. The files are put in place here by hand, `push` is tested apart.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from lab.lab import Lab
from lab.topology import load_topology
from tasks.diff import merge
from tasks.model import DeviceModel
from tasks.render import render
from tasks.rendered import SECRET, File, Owner, Platform
from tasks.secrets import resolve
from tests import clusters

pytestmark = pytest.mark.lab

HOSTS = ("hacc1", "hacc2", "ha1")
NETWORK = "198.19.64.0/18"
VHA = "198.19.0.1"


def keys(file: File) -> dict[str, str]:
    return {
        found["ref"]: "sixteen-octets-!" if found["form"] else "secret12"
        for found in SECRET.finditer(file.text)
    }


def sh(lab: Lab, host: str, script: str, text: str | None = None) -> str:
    """Run a script in a router; its output. A script that fails fails the test."""
    done = lab.run(host, "sh", "-euc", script, text_in=text)
    assert done.returncode == 0, f"{host}: {script}\n{done.stdout}{done.stderr}"
    return done.stdout


def until(holds: Callable[[], object], what: str, seconds: float = 40.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{what}: did not happen within {seconds:g} s"
        time.sleep(0.1)


def put(lab: Lab, model: DeviceModel, path: str) -> str:
    """Put one rendered file in its place, what is not ours of it kept; the text it has then."""
    (file,) = [file for file in render(model).files if file.path.endswith(path)]
    before = sh(lab, model.host, f"cat {file.path} 2>/dev/null || true")
    clear = file.text
    if file.owner is Owner.LINES:
        clear = merge(before, file, Platform.LINUX, keys(file))
    text = resolve(clear, keys(file))
    folder = Path(file.path).parent
    sh(
        lab,
        model.host,
        f"mkdir -p {folder}; cat >{file.path}.new; chmod {file.mode:o} {file.path}.new; "
        f"chown --reference={folder} {file.path}.new; mv {file.path}.new {file.path}",
        text,
    )
    return text


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """The three routers, configured and running."""
    whole = load_topology(clusters.ROOT / "inventory", f"t{os.getpid()}-render")
    routers = tuple(router for router in whole.routers if router.name in HOSTS)
    with Lab(dataclasses.replace(whole, routers=routers), keep_host_keys=False) as running:
        for host in HOSTS:
            model = clusters.west().device(host)
            for file in render(model).files:
                put(running, model, file.path)
            sh(running, host, "sysctl -q -p /etc/sysctl.d/90-hacc.conf")
            sh(running, host, "systemctl restart frr && systemctl restart snmpd")
            if model.groups:
                sh(running, host, "keepalived >/dev/null 2>&1")
            else:  # what its daemon does (hacc_agent.routes)
                for part in clusters.service(model).announces:
                    sh(running, host, f"ip route add blackhole {part} proto 178")
        yield running


def route(lab: Lab, host: str, prefix: str) -> dict[str, str]:
    """The kernel's route for exactly this prefix."""
    found = json.loads(sh(lab, host, f"ip -j route show exact {prefix}") or "[]")
    return dict(found[0]) if found else {}


def addresses(lab: Lab, host: str) -> set[str]:
    links = json.loads(sh(lab, host, "ip -j -4 addr"))
    return {f"{entry['local']}" for link in links for entry in link["addr_info"]}


@pytest.mark.parametrize("host", HOSTS)
def test_the_programs_take_it_without_a_word(lab: Lab, host: str) -> None:
    checks = ["vtysh -C -f /etc/frr/frr.conf", "sysctl -p /etc/sysctl.d/90-hacc.conf >/dev/null"]
    if host != "ha1":
        checks.append("keepalived -t -f /etc/keepalived/keepalived.conf")
    for check in checks:
        done = lab.run(host, "sh", "-c", check)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


LINUX = [
    pytest.param(model, id=f"{case}-{model.host}")
    for case, cluster in clusters.cases().items()
    for model in cluster.devices
    if model.platform is Platform.LINUX
]


VERSION_2 = clusters.with_group(
    clusters.controller(),
    version=2,
    hello_ms=1000,
    hold_ms=3218,
    authentication=clusters.text_authentication(),
    tracks=(clusters.track(1, "lan"), clusters.track(2, "mgmt", 30)),
)


@pytest.mark.parametrize("model", [*LINUX, pytest.param(VERSION_2, id="vrrp-version-2")])
def test_every_topology_is_taken(lab: Lab, model: DeviceModel) -> None:
    """Of every cluster that has golden texts, in a router that is given the interfaces."""
    for port in model.ports:
        sh(lab, "hacc2", f"ip link show {port.name} >/dev/null 2>&1 || "
           f"ip link add name {port.name} type bridge")  # fmt: skip
    programs = {
        "frr.conf": "vtysh -C -f",
        "keepalived.conf": "keepalived -t -f",
        "hsrp.toml": "hacc-agent hsrp check >/dev/null --config",
    }
    checked = 0
    for file in render(model).present:
        if check := programs.get(Path(file.path).name):
            text = resolve(file.text, keys(file))
            sh(lab, "hacc2", "cat >/run/checked", text)
            done = lab.run("hacc2", "sh", "-c", f"{check} /run/checked")
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
            checked += 1
    assert checked == 1 + bool(model.groups)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    controller = clusters.cases()["hsrp"].device("hacc1")
    files = [f for f in render(controller).present if f.path.endswith(".service")]
    assert len(files) == 2
    units = [tmp_path / Path(file.path).name for file in files]
    for unit, file in zip(units, files, strict=True):
        unit.write_text(file.text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    # It reads the units that ours names, too, and may not like what Debian wrote there.
    said = (done.stdout + done.stderr).splitlines()
    ours = [line for line in said if any(unit.name in line for unit in units)]
    assert (done.returncode, ours) == (0, [])


@pytest.mark.parametrize("host", HOSTS)
def test_frr_shows_every_line_as_it_was_rendered(lab: Lab, host: str) -> None:
    (file,) = [f for f in render(clusters.west().device(host)).files if f.path.endswith("frr.conf")]
    shown = sh(lab, host, "vtysh -c 'show running-config'").splitlines()
    for line in resolve(file.text, keys(file)).splitlines():
        assert line in shown


@pytest.mark.parametrize("host", HOSTS)
def test_a_second_time_changes_nothing(lab: Lab, host: str) -> None:
    model = clusters.west().device(host)
    for file in render(model).files:
        before = sh(lab, host, f"cat {file.path}")
        assert put(lab, model, file.path) == before


def test_the_rest_of_daemons_is_the_user_s(lab: Lab) -> None:
    text = sh(lab, "ha1", "cat /etc/frr/daemons").splitlines()
    assert "ospfd=yes" in text
    assert "ospfd=no" not in text
    assert "bgpd=no" in text
    assert [line for line in text if line.startswith("zebra_options=")]


def test_the_active_controller_alone_is_home_agent_to_the_world(lab: Lab) -> None:
    """The virtual address and the home network are reached through whoever is active."""
    until(lambda: VHA in addresses(lab, "hacc1"), "hacc1 becomes active")
    until(lambda: route(lab, "ha1", NETWORK).get("gateway") == "198.18.1.11", "home network")
    assert VHA not in addresses(lab, "hacc2")
    until(lambda: route(lab, "hacc2", VHA).get("gateway") == "198.18.1.11", "virtual address")
    assert route(lab, "hacc1", NETWORK)["type"] == "blackhole"


def test_a_member_s_slice_is_reached_through_the_member(lab: Lab) -> None:
    (part, *_) = clusters.service(clusters.member()).announces
    for host in ("hacc1", "hacc2"):
        until(partial(route, lab, host, str(part)), f"slice at {host}")
        assert route(lab, host, str(part))["gateway"] == "198.18.1.21"


def test_each_announces_its_own_and_nothing_else(lab: Lab) -> None:
    """The member holds the virtual address, and only the active controller announces it."""
    member = clusters.member()
    until(partial(route, lab, "hacc1", str(member.router_id)), "router id of ha1")
    assert VHA in addresses(lab, "ha1")

    def announced() -> dict[str, set[str]]:
        shown = sh(lab, "hacc2", "vtysh -c 'show ip ospf database external'")
        pairs = re.findall(r"Link State ID: (\S+).*?Advertising Router: (\S+)", shown, re.DOTALL)
        return {by: {what for what, who in pairs if who == by} for _, by in pairs}

    home = NETWORK.split("/")[0]
    slices = {str(part.network_address) for part in clusters.service(member).announces}
    wanted = {"198.19.255.11": {VHA, home}, str(member.router_id): slices}
    until(lambda: announced() == wanted, f"announced are {wanted}")


def test_nobody_answers_arp_for_the_virtual_address_on_the_lan(lab: Lab) -> None:
    """Members hold it on their loopback; only routing leads to it."""
    done = lab.run("hacc2", "arping", "-q", "-c", "2", "-w", "2", "-I", "lan", VHA)
    assert done.returncode == 1


def test_snmp_answers_the_user_and_nobody_else(lab: Lab) -> None:
    get = "MIBS= snmpget -v3 -t 2 -r 2 -u {user} -l authPriv -a SHA -A {key} -x AES -X {key} "
    get += "198.18.1.21 .1.3.6.1.2.1.1.3.0"
    right = lab.run("hacc2", "sh", "-c", get.format(user="hacc", key="secret12"))
    assert right.returncode == 0, right.stderr
    assert lab.run("hacc2", "sh", "-c", get.format(user="hacc", key="wrongwrong")).returncode != 0
    public = "MIBS= snmpget -v2c -c public -t 1 -r 0 198.18.1.21 .1.3.6.1.2.1.1.3.0"
    assert lab.run("hacc2", "sh", "-c", public).returncode != 0


def test_snmp_version_2c(lab: Lab) -> None:
    model = clusters.v2c(clusters.member())
    get = "MIBS= snmpget -v2c -c {} -t 1 -r 1 198.18.1.21 .1.3.6.1.2.1.1.3.0"
    try:
        put(lab, model, "snmpd.conf")
        sh(lab, "ha1", "systemctl restart snmpd")
        assert lab.run("hacc2", "sh", "-c", get.format("secret12")).returncode == 0
        assert lab.run("hacc2", "sh", "-c", get.format("public")).returncode != 0
    finally:
        put(lab, clusters.member(), "snmpd.conf")
        sh(lab, "ha1", "systemctl restart snmpd")


def test_what_the_intent_no_longer_says_goes_and_what_is_not_ours_stays(lab: Lab) -> None:
    """A member loses its virtual networks, and has them again; a route of the user's stays."""
    reload = "/usr/lib/frr/frr-reload.py --reload --bindir /usr/bin /etc/frr/frr.conf 2>&1"
    theirs = "ip route 192.0.2.0/24 blackhole"
    sh(lab, "ha1", f"echo '{theirs}' >>/etc/frr/frr.conf; {reload}")
    without = clusters.with_service(clusters.member(), virtual_networks=())
    for model in (without, clusters.member()):
        put(lab, model, "frr.conf")
        sh(lab, "ha1", reload)
        shown = sh(lab, "ha1", "vtysh -c 'show running-config'")
        for line in ("ip prefix-list hacc-slices", "route-map hacc-slices", "redistribute kernel"):
            assert (line in shown) == (model is not without)
        assert theirs in shown
        assert "ip ospf message-digest-key 1 md5" in shown


def test_when_the_active_controller_stops_the_other_takes_all_of_it(lab: Lab) -> None:
    until(lambda: VHA in addresses(lab, "hacc1"), "hacc1 is active")
    sh(lab, "hacc1", "kill $(cat /run/keepalived.pid)")
    until(lambda: VHA in addresses(lab, "hacc2"), "hacc2 takes over", 10.0)
    until(lambda: VHA not in addresses(lab, "hacc1"), "hacc1 lets go", 10.0)
    until(lambda: route(lab, "ha1", NETWORK).get("gateway") == "198.18.1.12", "the route moves")
    assert route(lab, "hacc1", NETWORK).get("gateway") == "198.18.1.12"
