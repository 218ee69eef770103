"""Can this machine host a lab? Asked before anything is made, answered with what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from .errors import MachineUnfit

# Programs and the Debian packages that carry them.
PROGRAMS: Final = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "prlimit": "util-linux",
    "mount": "mount",
    "ip": "iproute2",
    "nft": "nftables",
    "sysctl": "procps",
    "openssl": "openssl",
    "perl": "perl-base",
    "/usr/sbin/sshd": "openssh-server",
    "/usr/lib/frr/zebra": "frr",
    "/usr/lib/frr/frr-reload.py": "frr-pythontools",
    "/usr/sbin/keepalived": "keepalived",
    "/usr/sbin/snmpd": "snmpd",
}
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# What unshare and the overlay need, tried in a namespace that is gone when the trial ends.
_TRIAL: Final = """
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work
mount -t overlay -o lowerdir=/etc,upperdir=/mnt/upper,workdir=/mnt/work overlay /etc
ip link add name trial type veth peer name trial2
ip link add name trialbr type bridge
"""


def check_machine() -> None:
    """Raise `MachineUnfit` with every reason at once."""
    if sys.platform != "linux":
        raise MachineUnfit(
            f"virtual routers are Linux namespaces; this is {sys.platform}",
            hint="run the lab in a Linux machine (a virtual one will do)",
        )
    missing = sorted(
        {package for program, package in PROGRAMS.items() if not shutil.which(program, path=_PATH)}
    )
    problems = [f"not installed: {', '.join(missing)}"] if missing else []
    hint = f"apt-get install --no-install-recommends {' '.join(missing)}" if missing else ""
    if os.geteuid() != 0:
        problems.append("virtual routers need root (network namespaces and mounts)")
        hint = f"{hint}; then run it again with sudo" if hint else "run it again with sudo"
    if problems:
        raise MachineUnfit(*problems, hint=hint)


def check_kernel() -> None:
    """Try, in a throw-away namespace, what a router is made of."""
    trial = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--fork", "--uts", "--ipc", "--mount-proc",
         "--kill-child=SIGKILL", "sh", "-ec", _TRIAL],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"PATH": _PATH},
    )  # fmt: skip
    if trial.returncode:
        why = " ".join(trial.stderr.split()) or f"exit code {trial.returncode}"
        inside = " (this is a container)" if Path("/.dockerenv").exists() else ""
        raise MachineUnfit(
            f"the kernel refuses what a virtual router is made of{inside}: {why}",
            hint="a container needs --privileged; a virtual machine needs nothing",
        )
