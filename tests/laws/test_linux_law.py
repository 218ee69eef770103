"""The laws of a plan on a real router: FRR, keepalived, snmpd and sshd in a namespace.

For random intents A and B: what a plan from A to B leaves is what B alone would have left, the plan
after it is empty, and the way back returns to A, and that to the bare router, byte for byte. Files
are read past the program, and FRR is asked what it runs.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from ipaddress import IPv4Address
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lab.lab import Lab
from lab.topology import Kind, Port, Router, Topology
from tasks import rollback
from tasks.compile import compile_site
from tasks.course import State
from tasks.devices.session import Target
from tasks.errors import Exit
from tasks.intent import Site
from tasks.model import DeviceModel
from tasks.opening import open_all
from tasks.pki import create_authority, issue
from tasks.render import RECIPES, render
from tasks.rendered import SECRET, Platform, Rendered
from tasks.secrets import SecretRef
from tests.clusters import HERE
from tests.lab.labs import until
from tests.strategies import LAN_NAMES, intents
from tests.tasks.push.simulated import Orchestrator

NAME = "r1"
# (was a controller, becomes one): how many. With its role a router gives up keepalived and the
# addresses of the group, or takes the Home Agent's address from FRR to keepalived.
CASES = {(True, True): 2, (False, False): 2, (True, False): 1, (False, True): 1}
PATHS = tuple(recipe.path for recipe in RECIPES[Platform.LINUX])
SHARED = ("/etc/frr/daemons", "/etc/frr/frr.conf")  # where others may have lines too
STATE = f"""\
for file in {" ".join(PATHS)}; do stat -c '%n %a %U' $file; done 2>&1
cat {" ".join(path for path in PATHS if path not in SHARED)} 2>&1
vtysh -c 'show running-config'
for unit in frr snmpd keepalived; do systemctl is-enabled $unit; systemctl is-active $unit; done
sysctl net.ipv4.ip_forward net.ipv4.conf.all.arp_ignore net.ipv4.conf.all.arp_announce
"""


@cache
def pairs() -> tuple[tuple[DeviceModel, DeviceModel], ...]:
    """One router in two random sites; the same in every run."""
    found: dict[tuple[object, ...], dict[str, DeviceModel]] = {}

    @settings(
        max_examples=60,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(intents(clusters=st.just(1)))
    def draw(site: Site) -> None:
        for cluster in compile_site(site):
            for device in cluster.devices:
                if device.platform is Platform.LINUX:
                    # An interface that leaves the cluster keeps its lines: nobody knows any more
                    # that they were ours. So both sites have this router on the same LANs.
                    ports = tuple((port.name, port.address) for port in device.ports)
                    same = (device.host, device.router_id, ports)
                    said = "".join(file.text for file in render(device).files)
                    found.setdefault(same, {})[said] = device

    draw()
    every = [pair for same in found.values() for pair in permutations(same.values(), 2)]
    chosen = []
    for roles, count in CASES.items():  # Hypothesis begins with the smallest: the last say most
        alike = [pair for pair in every if tuple(bool(one.groups) for one in pair) == roles]
        chosen += alike[-count:]
    return tuple(chosen)


def texts(device: DeviceModel) -> Rendered:
    """What our one router holds in the place of this one."""
    return replace(render(device), host=NAME)


def opened(inventory: Path, *wanted: Rendered) -> dict[str, str]:
    """Values for what they refer to, as a user of `hacc` has them.

    16 octets where a key of Mobile IP stands, certificates from `hacc pki`, else a word.
    """
    found = {
        token["ref"]
        for rendered in wanted
        for file in rendered.files
        for token in SECRET.finditer(file.text)
    }
    words = {
        ref: f"{number:032x}" if ref == "env:KEY" else f"5ecre7{number:02d}"
        for number, ref in enumerate(sorted(found))
        if ref.startswith("env:")
    }
    files = {SecretRef(ref) for ref in found - words.keys()}
    now = datetime.now(UTC)
    for folder in {inventory / _path(ref).parent for ref in files}:
        create_authority(folder, folder.name, now)
    for path in {inventory / _path(ref) for ref in files}:
        if path.suffix == ".key":
            issue(path.parent, path.parent.name, path.stem, now)
    return words | open_all(dict.fromkeys(files, HERE), inventory, {})


def _path(ref: SecretRef) -> Path:
    return Path(ref.ref.removeprefix("file:"))


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A bare router with an interface for each name that an intent may use."""
    names = (*(f"eth{n}" for n, _ in enumerate(LAN_NAMES, 1)), "eth9")
    ports = tuple(Port(NAME, name, f"segment{name[-1]}", None) for name in names)
    # 198.18.0.1 is the Home Agent's address in every intent of these.
    one = Router(NAME, Kind.LINUX, IPv4Address("198.18.0.200"), "root", ports)
    with Lab(Topology(f"t{os.getpid()}-law", (one,)), keep_host_keys=False) as lab:
        yield lab


class Bench:
    """The router, and an orchestrator for each intent."""

    def __init__(self, lab: Lab, work: Path) -> None:
        self.lab = lab
        self.work = work

    def state(self) -> str:
        """What runs, and the files that are ours as a whole."""
        return self.lab.run(NAME, "sh", "-c", STATE).stdout

    def everything(self) -> str:
        return self.state() + self.shared()

    def shared(self) -> str:
        return self.lab.run(NAME, "cat", *SHARED).stdout

    def means(self) -> list[str]:
        """What is there but for the order of lines in files of which only some lines are ours."""
        lines = self.shared().splitlines()
        ours = sorted(line for line in lines if line.strip() not in ("", "!"))
        return [*self.state().splitlines(), *ours]

    def apply(self, wanted: Rendered, secrets: dict[str, str]) -> str:
        """Plan and push; the run's name. Then the plan is empty."""

        def body() -> str:
            (one,) = self.lab.topology.linux
            password = self.lab.secrets()[one.password]
            target = Target(NAME, Platform.LINUX, str(one.management), "root", password)
            with Orchestrator(self.work, [target], {NAME: wanted}, secrets) as hacc:
                applied = hacc.apply(hacc.plan())
                assert applied.exit is Exit.OK, applied.problems
                assert [host.state for host in applied.hosts] == [State.CHANGED]
                assert hacc.plan().empty
                return applied.run

        return self.lab.managed(body)

    def back(self, run: str, wanted: Rendered) -> None:
        def body() -> None:
            (one,) = self.lab.topology.linux
            password = self.lab.secrets()[one.password]
            target = Target(NAME, Platform.LINUX, str(one.management), "root", password)
            with Orchestrator(self.work, [target], {NAME: wanted}, {}) as hacc:
                undone = rollback.rollback(run, hacc.fleet, work=self.work)
                assert undone.exit is Exit.OK, undone.problems

        self.lab.managed(body)

    def serves(self, device: DeviceModel) -> None:
        """A member holds the Home Agent's address in the kernel too, whoever held it before."""
        if not device.groups:
            address = f"{device.home_agent_address}/32"
            show = ("ip", "-o", "address", "show", "dev", "lo")
            until(lambda: address in self.lab.run(NAME, *show).stdout)


@pytest.fixture
def bench(lab: Lab, tmp_path: Path) -> Iterator[Bench]:
    """Bare before and after each test, whatever a failure left."""
    bench = Bench(lab, tmp_path / ".hacc")
    bare = bench.everything()
    yield bench
    if bench.everything() != bare:
        runs = "$(ls -1dr /var/lib/hacc/runs/*)"
        lab.run(NAME, "sh", "-c", f"for r in {runs}; do sh $r/apply.sh restore ${{r##*/}}; done")
    lab.run(NAME, "rm", "-rf", "/var/lib/hacc/runs")
    assert bench.everything() == bare


def differences(one: list[str], other: list[str]) -> list[str]:
    return [*difflib.unified_diff(one, other, "alone", "changed", lineterm="", n=2)]


@pytest.mark.lab
@pytest.mark.parametrize("number", range(sum(CASES.values())))
def test_a_change_leaves_what_the_new_intent_alone_would_have_left(
    bench: Bench, tmp_path: Path, number: int
) -> None:
    old, new = pairs()[number]
    first, second = texts(old), texts(new)
    secrets = opened(tmp_path, first, second)
    bare = bench.everything()

    alone = bench.apply(second, secrets)
    wanted = bench.means()
    # FRR could take it back: it finds a host that does not forward yet.
    assert "net.ipv4.ip_forward = 1" in wanted
    assert bench.everything() != bare
    bench.back(alone, second)
    assert bench.everything() == bare

    there = bench.apply(first, secrets)
    before = bench.everything()
    change = bench.apply(second, secrets)
    changed = differences(wanted, bench.means())
    assert not changed, "\n".join(changed)
    bench.serves(new)
    bench.back(change, second)
    bench.serves(old)
    assert bench.everything() == before
    bench.back(there, first)
    assert bench.everything() == bare
