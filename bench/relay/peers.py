"""What stands beside ours: the relays in C, and nginx."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .deployed import FIRST_MEMBER, MEMBERS, RELAY, Deployed, Missing, running, wait_for
from .lan import ADDRESS, FRAME_MEMBER, RELAY_MAC, lan, member_macs

SOURCES = Path(__file__).parent


def compiled(place: Path) -> Path:
    """The folder with the programs in C. Raises `Missing` without a compiler."""
    if shutil.which("gcc") is None:
        raise Missing("no C compiler; type: apt-get install gcc libc6-dev")
    for name in ("relay", "generator"):
        source = SOURCES / f"{name}.c"
        subprocess.run(("gcc", "-O2", "-Wall", "-o", place / name, source), check=True)
    return place


@contextmanager
def c_relay(
    place: Path, port: int, programs: Path, *, segmented: bool = False
) -> Iterator[Deployed]:
    where = (str(RELAY), str(port), str(FIRST_MEMBER), str(MEMBERS))
    command = (str(programs / "relay"), "udp", *where, *(("gso",) if segmented else ()))
    log = place.with_suffix(".log")
    with running(command, log) as process:
        wait_for(process, log, "ready")
        yield Deployed("udp", where, (process.pid,))


@contextmanager
def c_relay_on_frames(place: Path, port: int, programs: Path) -> Iterator[Deployed]:
    del port  # always 434: a filter looks for it
    log = place.with_suffix(".log")
    with lan(place.name) as segment:
        where = ("h0", str(ADDRESS), str(FRAME_MEMBER), str(MEMBERS))
        command = (str(programs / "relay"), "frames", *where, member_macs())
        with running((*segment.relay, *command), log) as process:
            wait_for(process, log, "ready")
            target = ("s0", str(ADDRESS), RELAY_MAC, str(FRAME_MEMBER), str(MEMBERS))
            yield Deployed("frames", target, (process.pid,), segment.generator)


@contextmanager
def nginx(place: Path, port: int, programs: Path) -> Iterator[Deployed]:
    del programs
    module = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
    if shutil.which("nginx") is None or not module.exists():
        raise Missing("apt-get install nginx libnginx-mod-stream")
    place.mkdir()
    servers = "\n".join(f"    server {FIRST_MEMBER + n}:{port};" for n in range(MEMBERS))
    (place / "nginx.conf").write_text(
        f"""load_module {module};
daemon off; master_process off; worker_processes 1; pid {place}/pid; error_log {place}/error;
events {{ worker_connections 65536; }}
stream {{
  upstream members {{
{servers}
  }}
  server {{
    listen {RELAY}:{port} udp;
    proxy_pass members; proxy_requests 1; proxy_responses 1; proxy_timeout 1s;
  }}
}}
"""
    )
    log = place.with_suffix(".log")
    with running(("nginx", "-p", str(place), "-c", str(place / "nginx.conf")), log) as process:
        wait_for(process, log, "", 1)
        target = (str(RELAY), str(port), str(FIRST_MEMBER), str(MEMBERS))
        yield Deployed("udp", target, (process.pid,))
