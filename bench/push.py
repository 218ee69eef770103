"""How fast lines reach IOS routers: ours beside Netmiko's own `send_config_set`.

    python -m bench.push [ROUTERS]

200 simulated routers in a process of their own; 100 lines to each. What is compared is the same
work: log in, send the lines, know that every one was taken, leave. The measure is routers per
second of *our* CPU, since the routers are other people's. Netmiko gets a share of the routers, for
its pace allows no more. In the same run, for the record: a whole `apply`, with both fetches, the
backup, the revert timer, the confirmation and the saving.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from netmiko import ConnectHandler

from tasks import push
from tasks.devices.fleet import Fleet
from tasks.devices.session import Target
from tasks.devices.terminal import Terminal, Typed, blocks, refusal
from tasks.errors import Place
from tasks.hostkeys import HostKeys
from tasks.plan import FORMAT, Plan, Wave, plan_host
from tasks.rendered import File, Line, Owner, Platform, Rendered
from tasks.running import Running

LIMIT = 5.0  # times Netmiko's throughput per core
ROUTERS = 200
NETMIKO_SHARE = 10  # one router in so many
LINES = [f"ip route 198.19.{n}.0 255.255.255.0 Null0" for n in range(100)]
ROUNDS = 3
WORKERS = 20

CONFIG = """\
hostname {name}
username admin privilege 15 secret bench
interface GigabitEthernet0/1
 ip address 198.18.1.1 255.255.255.0
archive
 path flash:archive
line vty 0 4
 login local
end
"""


@contextmanager
def simulated(count: int, directory: Path) -> Iterator[list[int]]:
    """Routers on ports of loopback, in another process; their ports."""
    code = (
        "import asyncio, json, sys\n"
        "from lab.ios import Device\n"
        "from lab.ios.server import Endpoint, Host, Server\n"
        "async def main():\n"
        "    names = [f'r{n}' for n in range(int(sys.argv[1]))]\n"
        "    hosts = [Host(Device.from_text(n, sys.argv[2].format(name=n)), Endpoint())"
        " for n in names]\n"
        "    async with Server(hosts) as server:\n"
        "        print(json.dumps([server.port(n) for n in names]), flush=True)\n"
        "        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)\n"
        "asyncio.run(main())\n"
    )
    with (directory / "simulator.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(count), CONFIG],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.communicate()


def netmiko_push(port: int) -> None:
    with ConnectHandler(
        device_type="cisco_ios", host="127.0.0.1", port=port, username="admin", password="bench"
    ) as connection:
        connection.send_config_set(LINES, error_pattern="% ")


def our_push(port: int, keys: HostKeys) -> None:
    keys.admit("bench", "127.0.0.1", port, 10)
    with ConnectHandler(
        device_type="cisco_ios",
        host="127.0.0.1",
        port=port,
        username="admin",
        password="bench",
        ssh_strict=True,
        alt_host_keys=True,
        alt_key_file=str(keys.file_for("127.0.0.1", port)),
    ) as connection:
        terminal = Terminal("bench", connection.remote_conn)
        terminal.ask("configure terminal")
        for block in blocks(map(Typed, LINES)):
            for reply in terminal.ask(*block):
                if no := refusal(reply.text):
                    raise AssertionError(no)
        terminal.leave_configuration()


def measured(work: Callable[[int], None], ports: Sequence[int]) -> tuple[float, float]:
    """Routers per second of our CPU, and per second of the clock."""
    cpu, clock = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(work, ports))
    return (
        len(ports) / (time.process_time() - cpu),
        len(ports) / (time.perf_counter() - clock),
    )


def whole_apply(ports: Sequence[int], work: Path) -> tuple[float, float]:
    """The same 100 lines by `push.apply`, with all its care."""
    lines = tuple(Line(text, Place("bench", n), ()) for n, text in enumerate(LINES, 1))
    file = File("running-config", 0, Owner.LINES, ("ip route **",), lines)
    names = [f"r{n}" for n in range(len(ports))]
    wanted = {name: Rendered(name, Platform.IOS, (file,)) for name in names}
    targets = [
        Target(name, Platform.IOS, "127.0.0.1", "admin", "bench", port=port)
        for name, port in zip(names, ports, strict=True)
    ]

    with Fleet(targets, HostKeys(work / "known_hosts"), workers=WORKERS) as fleet:
        held = push.fetch(fleet, dict.fromkeys(names, ("running-config",)))
        hosts = tuple(
            plan_host(wanted[name], running, {})
            for name, running in held.items()
            if isinstance(running, Running)
        )
        plan = Plan(FORMAT, "", (), "", "", hosts, (Wave(tuple(names), "all"),))
        cpu, clock = time.process_time(), time.perf_counter()
        applied = push.apply(plan, fleet, wanted, {}, work=work)
        used = time.process_time() - cpu, time.perf_counter() - clock
    if applied.exit:
        raise SystemExit(f"bench.push: {applied.problems[0]}")
    return len(ports) / used[0], len(ports) / used[1]


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else ROUTERS
    directory = Path(tempfile.mkdtemp(prefix="hacc-bench-"))
    try:
        ours: list[tuple[float, float]] = []
        theirs: list[tuple[float, float]] = []
        with simulated(count, directory) as ports:
            keys = HostKeys(directory / "known_hosts")
            for port in ports:  # trust on first use is not what is measured
                keys.admit("bench", "127.0.0.1", port, 10)
            for _ in range(ROUNDS):
                theirs.append(measured(netmiko_push, ports[::NETMIKO_SHARE]))
                ours.append(measured(lambda port: our_push(port, keys), ports))
            keys.close()
        with simulated(count, directory) as ports:
            whole = whole_apply(ports, directory / "work")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    mine, other = (statistics.median(cpu for cpu, _ in rounds) for rounds in (ours, theirs))
    wall, other_wall = (statistics.median(w for _, w in rounds) for rounds in (ours, theirs))
    ratio = mine / other
    print(f"machine      {platform.processor() or platform.machine()}, {os.cpu_count()} cores,")
    print(f"             Python {platform.python_version()}; load {os.getloadavg()[0]:.1f}")
    print(f"work         {count} simulated IOS routers, {len(LINES)} lines each, {ROUNDS} rounds")
    print(f"ours         {mine:8.1f} routers/s per core   {wall:7.1f} routers/s")
    print(f"Netmiko      {other:8.1f} routers/s per core   {other_wall:7.1f} routers/s")
    print(f"whole apply  {whole[0]:8.1f} routers/s per core   {whole[1]:7.1f} routers/s")
    print(f"ratio        {ratio:8.1f} times   limit {LIMIT:g} times")
    return 0 if ratio >= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
