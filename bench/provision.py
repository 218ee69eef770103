"""Fifty Linux routers from nothing to verified: ten clusters, through the commands that users type.

    python -m bench.provision

From nothing: the routers are made (namespaces, sshd, FRR), the plan is made, pushed over SSH wave
by wave, and every check of every cluster is asserted, OSPF adjacencies and SNMP among them. The
plan must be empty afterwards. The limit is the issue's: 30 seconds on a machine with two cores.

The floor, in the same run: the same routers and files without SSH, plan, order, way back or proof;
only what must run on the routers, whose processors these two cores are too: vtysh once,
the daemons, and one look at each.
"""

from __future__ import annotations

import compileall
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.machine import machine
from lab.lab import Lab
from lab.topology import load_topology
from tasks import pipeline
from tasks.secrets import resolve

CLUSTERS = 10
MEMBERS = 3  # Home Agents of a cluster, beside its two controllers
ROUNDS = 3
LIMIT_S = 30.0

NAMES = ("PASSWORD", "MN_KEY", "OSPF_KEY", "SNMP_AUTH", "SNMP_PRIV")
KEYS = dict.fromkeys(NAMES, "0123456789abcdef")
REFERENCES = {f"env:{name}": key for name, key in KEYS.items()}

GROUPS = "linux: {platform: linux, username: root}\n"
DEFAULTS = 'data: {password: "env:PASSWORD", enable: "env:PASSWORD"}\n'
CLUSTER = """\
cluster: c{n}
home_agent: {{address: 198.19.0.{n}, networks: [198.19.{net}.0/21], lifetime: 1800}}
lans: {{lan{n}: {{network: 198.18.{lan}.0/24}}}}
controllers:
  members: [c{n}-hacc1, c{n}-hacc2]
  redundancy:
    protocol: vrrp
    groups: [{{lan: lan{n}, group: 10, address: 198.18.{lan}.254}}]
    hello_ms: 200
    preempt_delay_s: 20
home_agents: [{members}]
binding_sync_s: 15
mobile_nodes:
  - {{realm: "@c{n}.example", pool: 198.19.{net}.0/22,
     security: {{spi: 0x100, algorithm: hmac-md5, key: "env:MN_KEY"}}}}
routing:
  ospf: {{process: 1, area: 0, hello_s: 1, dead_s: 4, authentication: {{md5: "env:OSPF_KEY"}}}}
snmp: {{version: 3, user: hacc, auth: "env:SNMP_AUTH", priv: "env:SNMP_PRIV"}}
"""


def write_inventory(root: Path) -> None:
    (root / "clusters").mkdir(parents=True)
    (root / "groups.yaml").write_text(GROUPS)
    (root / "defaults.yaml").write_text(DEFAULTS)
    hosts = []
    number = 0
    for n in range(1, CLUSTERS + 1):
        names = [f"c{n}-hacc1", f"c{n}-hacc2", *(f"c{n}-ha{m + 1}" for m in range(MEMBERS))]
        for place, name in enumerate(names, 11):
            number += 1
            hosts.append(
                f"{name}:\n  hostname: 198.18.0.{number}\n  groups: [linux]\n  data:\n"
                f"    router_id: 198.19.255.{number}\n"
                f"    interfaces: {{lan: {{lan: lan{n}, address: 198.18.{10 + n}.{place}/24}}}}\n"
            )
        members = ", ".join(f"{{host: {name}}}" for name in names[2:])
        (root / "clusters" / f"c{n}.yaml").write_text(
            CLUSTER.format(n=n, lan=10 + n, net=64 + 8 * (n - 1), members=members)
        )
    (root / "hosts.yaml").write_text("".join(hosts))


# What no way of configuring these routers can leave out.
FORCE = """\
sysctl -q -p /etc/sysctl.d/90-hacc.conf
vtysh -f /etc/frr/frr.conf
systemctl daemon-reload
systemctl restart snmpd hacc-agent
[ ! -e /etc/keepalived/keepalived.conf ] || systemctl restart keepalived
"""
LOOK = "ip -j -4 addr; vtysh -c 'show ip ospf neighbor json' -c 'show ip ospf route json'"
AT_ONCE = 10


def floor() -> float:
    """Seconds from nothing to configured and looked at once, by the shortest way there is."""
    with tempfile.TemporaryDirectory(prefix="hacc-bench-") as folder:
        inventory = Path(folder) / "inventory"
        write_inventory(inventory)
        prepared = pipeline.prepare(inventory)
        name = f"floor-{os.getpid()}"
        lab = Lab(load_topology(inventory, name, KEYS), keep_host_keys=False)

        def configure(host: str) -> None:
            files = "".join(
                f"cat > {file.path} <<'HACC'\n{resolve(file.text, REFERENCES)}HACC\n"
                for file in prepared.rendered[host].present
            )
            done = lab.run(host, "sh", "-ec", f"mkdir -p /etc/hacc\n{files}{FORCE}")
            if done.returncode:
                raise SystemExit(f"{host}: {done.stderr[-500:]}")

        begin = time.monotonic()
        try:
            lab.up()
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(configure, prepared.rendered))
                list(pool.map(lambda host: lab.run(host, "sh", "-c", LOOK), prepared.rendered))
            return time.monotonic() - begin
        finally:
            lab.down()


class Bench:
    """One inventory and its lab; `hacc` runs as a user would run it."""

    def __init__(self, root: Path) -> None:
        self.inventory = root / "inventory"
        self._hacc = [sys.executable, "-m", "hacc_agent.orchestrator"]
        self._name = ["--name", f"provision-{os.getpid()}"]
        self._environment = {**os.environ, **KEYS}
        write_inventory(self.inventory)

    def lab(self, verb: str) -> None:
        self._run([*self._hacc, "lab", verb, "--inventory", str(self.inventory), *self._name])

    def inside(self, *command: str) -> None:
        run = ["lab", "run", "--inventory", str(self.inventory), *self._name, "--"]
        told = ["--inventory", str(self.inventory)]
        self._run([*self._hacc, *run, *self._hacc, *command, *told])

    def _run(self, argv: list[str]) -> None:
        done = subprocess.run(
            argv, env=self._environment, text=True, capture_output=True, timeout=300, check=False
        )
        if done.returncode:
            print(done.stdout[-3000:], done.stderr[-3000:], sep="\n")
            raise SystemExit(f"{' '.join(argv[2:])}: exit {done.returncode}")


def one_round() -> tuple[float, float]:
    """Seconds to boot the routers, and to provision and verify them."""
    with tempfile.TemporaryDirectory(prefix="hacc-bench-") as folder:
        bench = Bench(Path(folder))
        try:
            begin = time.monotonic()
            bench.lab("up")
            booted = time.monotonic()
            bench.inside("apply", "--yes")
            provisioned = time.monotonic()
            bench.inside("plan", "--exit-code")
        finally:
            bench.lab("down")
            shutil.rmtree(bench.inventory.parent / ".hacc", ignore_errors=True)
    return booted - begin, provisioned - booted


def main() -> int:
    if os.geteuid() != 0:
        print("bench.provision: network namespaces need root")
        return 1
    for room in ("hacc_agent", "lab", "tasks"):  # as pip leaves them
        compileall.compile_dir(Path(__file__).parents[1] / room, quiet=2)
    rounds = [one_round() for _ in range(ROUNDS)]
    least = floor()
    boot, provision = (statistics.median(column) for column in zip(*rounds, strict=True))
    total = statistics.median(sum(each) for each in rounds)
    routers = CLUSTERS * (2 + MEMBERS)
    each = provision / routers * 1000
    print(f"{routers} Linux routers in {CLUSTERS} clusters, medians of {ROUNDS} rounds")
    print(f"  boot                   {boot:6.1f} s")
    print(f"  plan, push and verify  {provision:6.1f} s   {each:.0f} ms a router")
    print(
        f"  from nothing           {total:6.1f} s   limit {LIMIT_S:.0f} s, x {total / LIMIT_S:.2f}"
    )
    print(f"  floor                  {least:6.1f} s   without SSH, plan, order, way back or proof")
    print(f"  {machine()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
