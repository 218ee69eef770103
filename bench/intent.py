"""10,000 routers of intent, from files to proven models, and Nornir's own reader as the peer.

    python -m bench.intent

The limit is the issue's: the inventory and all clusters load in 5 seconds on a machine with two
cores. The peer reads a tenth of `hosts.yaml` (all of it takes it 20 seconds) and is scaled up.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from nornir.plugins.inventory.simple import SimpleInventory

from bench.machine import machine
from tasks.compile import compile_site
from tasks.intent import load_site

CLUSTERS = 200
MEMBERS = 46  # with two controllers and two backups: 50 routers in each cluster
LIMIT_SECONDS = 5.0
PEER_PART = 10


def write(root: Path, clusters: int) -> int:
    """An inventory folder of as many clusters. The count of its hosts."""
    (root / "clusters").mkdir(parents=True)
    (root / "groups.yaml").write_text("linux: {platform: linux, username: root}\n")
    (root / "defaults.yaml").write_text('data: {password: "env:HACC_PASSWORD"}\n')
    hosts = []
    for c in range(clusters):
        names = [f"r{c}-{n}" for n in range(1, MEMBERS + 5)]
        for n, name in enumerate(names, 1):
            hosts.append(
                f"{name}:\n  hostname: 10.{c}.2.{n}\n  groups: [linux]\n  data:\n"
                f"    router_id: 10.{c}.1.{n}\n    interfaces:\n"
                f"      lan: {{lan: core, address: 10.{c}.0.{n}/24}}\n"
            )
        members = "".join(f"  - {{host: {name}}}\n" for name in names[2:-2])
        (root / f"clusters/c{c}.yaml").write_text(
            f"cluster: c{c}\n"
            f"home_agent: {{address: 10.{c}.3.1, networks: [10.{c}.64.0/18]}}\n"
            f"lans: {{core: {{network: 10.{c}.0.0/24}}}}\n"
            "controllers:\n"
            f"  members: [{names[0]}, {names[1]}]\n"
            "  redundancy:\n    protocol: vrrp\n"
            f"    groups: [{{lan: core, group: 1, address: 10.{c}.0.254}}]\n"
            f"home_agents:\n{members}"
            f"backups: [{names[-2]}, {names[-1]}]\n"
            "mobile_nodes:\n"
            f'  - {{realm: "@c{c}.example", pool: 10.{c}.64.0/19, '
            'security: {spi: 0x100, key: "env:KEY"}}\n'
            'snmp: {version: 2c, community: "env:COMMUNITY"}\n'
        )
    (root / "hosts.yaml").write_text("".join(hosts))
    return clusters * (MEMBERS + 4)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        root, small = Path(folder) / "whole", Path(folder) / "part"
        hosts = write(root, CLUSTERS)
        write(small, CLUSTERS // PEER_PART)
        before = time.perf_counter()
        site = load_site(root)
        loaded = time.perf_counter()
        models = compile_site(site)
        proven = time.perf_counter()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        SimpleInventory(
            str(small / "hosts.yaml"), str(small / "groups.yaml"), str(small / "defaults.yaml")
        ).load()
        peer = (time.perf_counter() - proven) * PEER_PART
    took = loaded - before
    devices = sum(len(model.devices) for model in models)
    print(f"load     {took:6.2f} s  {hosts} hosts, {CLUSTERS} clusters (limit {LIMIT_SECONDS} s)")
    print(f"compile  {proven - loaded:6.2f} s  {devices} models, proven; peak {memory:.0f} MiB")
    print(f"peer     {peer:6.2f} s  Nornir's SimpleInventory, hosts.yaml alone, from a tenth of it")
    print(machine())
    return 0 if took <= LIMIT_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
