"""How fast lines reach IOS routers: ours beside Netmiko's own `send_config_set`.

    python -m bench.push

200 simulated routers in a process of their own; 100 lines to each. The login is Netmiko's in both
cases, so what is compared is what comes after it: send the lines, and know that every one was
taken. The measure is routers per second of *our* CPU, since the routers are other people's. Netmiko
gets a share of the routers, for its pace allows no more. In the same run, for the record: both with
the login, and a whole `apply`, with both fetches, the backup, the revert timer, the confirmation
and the saving.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netmiko import BaseConnection, ConnectHandler

from bench.machine import machine
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


def log_in(port: int, keys: Path) -> BaseConnection:
    return ConnectHandler(
        device_type="cisco_ios",
        host="127.0.0.1",
        port=port,
        username="admin",
        password="bench",
        ssh_strict=True,
        alt_host_keys=True,
        alt_key_file=str(keys),
    )


def netmiko_push(connection: BaseConnection) -> None:
    connection.send_config_set(LINES, error_pattern="% ")


def our_push(connection: BaseConnection) -> None:
    connection.write_channel("\n")  # the first prompt, which Netmiko's login has read
    terminal = Terminal("bench", connection.remote_conn)
    terminal.ask("configure terminal")
    for block in blocks(map(Typed, LINES)):
        for reply in terminal.ask(*block):
            if no := refusal(reply.text):
                raise AssertionError(no)
    terminal.leave_configuration()


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of our CPU and of the clock that one router takes, in the middle of many."""

    cpu: float
    clock: float


def in_parallel(work: Callable[[Any], Any], items: Sequence[Any]) -> tuple[list[Any], Pace]:
    cpu, clock = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        results = list(pool.map(work, items))
    count = len(items)
    return results, Pace((time.process_time() - cpu) / count, (time.perf_counter() - clock) / count)


def one_round(
    push_lines: Callable[[BaseConnection], None], ports: Sequence[int], keys: Path
) -> tuple[Pace, Pace]:
    """Login and lines."""
    connections, login = in_parallel(lambda port: log_in(port, keys), ports)
    _, lines = in_parallel(push_lines, connections)
    in_parallel(lambda connection: connection.disconnect(), connections)
    return login, lines


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


def _with_login(rounds: Sequence[tuple[Pace, Pace]]) -> list[Pace]:
    return [Pace(a.cpu + b.cpu, a.clock + b.clock) for a, b in rounds]


def _row(name: str, ours: Sequence[Pace], theirs: Sequence[Pace]) -> float:
    """Print the medians of both and their ratio; returns the ratio of CPU."""
    mine, other = (statistics.median(pace.cpu for pace in paces) for paces in (ours, theirs))
    wall, other_wall = (statistics.median(pace.clock for pace in paces) for paces in (ours, theirs))
    print(
        f"{name:<28}{1 / mine:>8.0f} ({1 / wall:.0f})".ljust(46)
        + f"{1 / other:>8.0f} ({1 / other_wall:.0f})".ljust(16)
        + f"{other / mine:>7.1f}"
    )
    return other / mine


def main() -> int:
    directory = Path(tempfile.mkdtemp(prefix="hacc-bench-"))
    try:
        ours: list[tuple[Pace, Pace]] = []
        theirs: list[tuple[Pace, Pace]] = []
        with simulated(ROUTERS, directory) as ports:
            keys = directory / "known_hosts"
            known = HostKeys(keys)
            for port in ports:  # trust on first use is not what is measured
                known.admit("bench", "127.0.0.1", port, 10)
            for _ in range(ROUNDS):
                theirs.append(one_round(netmiko_push, ports[::NETMIKO_SHARE], keys))
                ours.append(one_round(our_push, ports, keys))
        with simulated(ROUTERS, directory) as ports:
            whole = whole_apply(ports, directory / "work")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    print(
        f"{ROUTERS} simulated IOS routers, {len(LINES)} lines each, "
        f"medians of {ROUNDS} rounds, {WORKERS} workers"
    )
    print(f"{'routers/s per core (wall)':<28}{'ours':>16}{'Netmiko':>18}{'ratio':>8}")
    ratio = _row("lines", [lines for _, lines in ours], [lines for _, lines in theirs])
    _row("login and lines", _with_login(ours), _with_login(theirs))
    print(f"{'whole apply':<28}{whole[0]:>8.0f} ({whole[1]:.0f})")
    print(f"limit: lines at {LIMIT:g} times Netmiko's send_config_set")
    print(machine())
    return 0 if ratio >= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
