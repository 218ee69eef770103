"""What a process can still do after it gave its rights up: tried in a child, for it is for good."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from hacc_agent import privileges

ROOT = Path(__file__).resolve().parents[2]
root_alone = pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")


def child(code: str) -> list[str]:
    done = subprocess.run(
        (sys.executable, "-c", textwrap.dedent(code)),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@root_alone
def test_only_what_is_kept_is_left_for_us_and_for_whom_we_start() -> None:
    found = child("""
        import subprocess
        from hacc_agent.privileges import Capability, drop, permitted
        drop([Capability.NET_RAW], None)
        print(sorted(permitted()))
        lines = open("/proc/self/status").read().splitlines()
        sets = ("CapInh", "CapEff", "CapBnd", "CapAmb")
        print(*[line.split()[1] for line in lines if line[:6] in sets])
        print([line.split()[1] for line in lines if line.startswith("NoNewPrivs")][0])
    """)
    raw = f"{1 << privileges.Capability.NET_RAW:016x}"
    assert found == ["[13]", "0" * 16, raw, raw, "0" * 16, "1"]


@root_alone
def test_another_user_keeps_what_is_kept_and_gets_nothing_back() -> None:
    nobody = pwd.getpwnam("nobody")
    found = child("""
        import os, pwd, socket
        from hacc_agent.privileges import Capability, drop, permitted
        drop([Capability.NET_BIND_SERVICE], pwd.getpwnam("nobody"))
        print(os.getuid(), os.geteuid(), os.getgid(), len(os.getgroups()), sorted(permitted()))
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind(("127.0.0.1", 733))
        for gone in (lambda: os.setuid(0), lambda: socket.socket(socket.AF_PACKET)):
            try:
                gone()
            except PermissionError:
                print("refused")
    """)
    user, group = str(nobody.pw_uid), str(nobody.pw_gid)
    assert found == [user, user, group, "1", "[10]", "refused", "refused"]


@root_alone
def test_what_was_not_there_is_not_asked_for() -> None:
    """A service manager has taken more than we would have."""
    assert child("""
        from hacc_agent.privileges import Capability, drop, permitted
        drop([Capability.NET_RAW], None)
        drop([Capability.NET_RAW, Capability.NET_ADMIN], None)
        print(sorted(permitted()))
    """) == ["[13]"]


def test_without_rights_there_is_nothing_to_give_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    assert privileges.account() is None, "a service manager has chosen who we are"
