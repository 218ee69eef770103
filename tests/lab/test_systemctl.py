"""The router's systemctl means what systemd's means, as far as an orchestrator relies on it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from lab.faults import Fault, FaultKind
from lab.lab import Lab
from tests.lab.labs import until

pytestmark = pytest.mark.lab

NOTIFIER = """\
import os, socket, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(os.environ["NOTIFY_SOCKET"])
s.send(b"STATUS=at your service")
while not os.path.exists("/run/may-be-ready"):
    time.sleep(0.01)
s.send(b"READY=1")
time.sleep(600)
"""


def systemctl(lab: Lab, *words: str) -> subprocess.CompletedProcess[str]:
    return lab.run("r1", "systemctl", *words)


def shown(lab: Lab, unit: str, name: str) -> str:
    return systemctl(lab, "show", "-p", name, "--value", unit).stdout.strip()


@pytest.fixture
def probe(trio: Lab) -> Iterator[Lab]:
    """r1, with room for a unit called probe."""
    yield trio
    systemctl(trio, "disable", "--now", "probe")
    systemctl(trio, "reset-failed", "probe")  # forget its starts, which are limited to 5 in 10 s
    trio.run("r1", "sh", "-c", "rm -rf /etc/systemd/system/probe.service* /run/may-be-ready")
    systemctl(trio, "daemon-reload")


def unit(lab: Lab, service: str, *, name: str = "probe.service") -> None:
    text = f"[Unit]\nDescription=A probe\n[Service]\n{service}\n"
    text += "[Install]\nWantedBy=multi-user.target\n"
    lab.run("r1", "sh", "-c", f"cat > /etc/systemd/system/{name}", text_in=text)


def test_it_says_what_it_is(trio: Lab) -> None:
    assert "not systemd" in systemctl(trio, "--version").stdout
    assert (
        trio.run("r1", "sh", "-c", "command -v systemctl").stdout == "/usr/local/sbin/systemctl\n"
    )


def test_start_stop_and_what_is_active(probe: Lab) -> None:
    unit(probe, "ExecStart=/bin/sleep 600")
    assert systemctl(probe, "is-active", "probe").returncode == 3
    assert systemctl(probe, "start", "probe").returncode == 0
    done = systemctl(probe, "is-active", "probe")
    assert (done.returncode, done.stdout) == (0, "active\n")
    pid = shown(probe, "probe", "MainPID")
    assert probe.run("r1", "cat", f"/proc/{pid}/comm").stdout == "sleep\n"
    assert systemctl(probe, "restart", "probe").returncode == 0
    assert shown(probe, "probe", "MainPID") != pid
    assert systemctl(probe, "stop", "probe").returncode == 0
    assert probe.run("r1", "pgrep", "-x", "sleep").returncode == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("start", "no-such-unit"), 5),
        (("is-active", "no-such-unit"), 3),
        (("is-enabled", "no-such-unit"), 1),
        (("status", "no-such-unit"), 4),
        (("reload", "keepalived"), 1),
        (("isolate", "rescue.target"), 1),
        (("start",), 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_refusals_have_a_text_and_the_code_of_systemd(
    trio: Lab, words: tuple[str, ...], code: int
) -> None:
    done = systemctl(trio, *words)
    assert done.returncode == code
    assert done.stderr or done.stdout
    assert "Traceback" not in done.stderr


def test_enable_makes_the_links_and_now_starts(probe: Lab) -> None:
    unit(probe, "ExecStart=/bin/sleep 600")
    assert systemctl(probe, "is-enabled", "probe").stdout == "disabled\n"
    done = systemctl(probe, "enable", "--now", "probe")
    assert done.returncode == 0
    link = "/etc/systemd/system/multi-user.target.wants/probe.service"
    assert f"Created symlink {link}" in done.stderr
    assert systemctl(probe, "is-enabled", "probe").stdout == "enabled\n"
    assert systemctl(probe, "is-active", "probe").returncode == 0
    systemctl(probe, "disable", "--now", "probe")
    assert systemctl(probe, "is-enabled", "probe").returncode == 1
    assert systemctl(probe, "is-active", "probe").stdout == "inactive\n"


def test_what_is_enabled_starts_at_boot(mended: Lab) -> None:
    unit(mended, "ExecStart=/bin/sleep 600", name="boots.service")
    systemctl(mended, "enable", "boots")
    assert systemctl(mended, "is-active", "boots").returncode == 3
    mended.break_(Fault(FaultKind.POWER, ("r1",)))
    mended.mend()
    assert systemctl(mended, "is-active", "boots").returncode == 0
    systemctl(mended, "disable", "--now", "boots")
    mended.run("r1", "ip", "addr", "add", "198.18.1.1/24", "dev", "lan")


def test_a_drop_in_counts_after_daemon_reload(probe: Lab) -> None:
    unit(probe, "ExecStart=/bin/sleep 600\nEnvironment=GREETING=one")
    systemctl(probe, "start", "probe")
    drop_in = "mkdir -p /etc/systemd/system/probe.service.d; cat > $_/10-more.conf"
    more = "[Service]\nExecStart=\nExecStart=/bin/sleep 601\nEnvironment=GREETING=two\n"
    probe.run("r1", "bash", "-c", drop_in, text_in=more)
    assert systemctl(probe, "daemon-reload").returncode == 0
    assert systemctl(probe, "restart", "probe").returncode == 0
    pid = shown(probe, "probe", "MainPID")
    environment = probe.run("r1", "cat", f"/proc/{pid}/environ").stdout.split("\0")
    assert "GREETING=two" in environment
    assert probe.run("r1", "cat", f"/proc/{pid}/cmdline").stdout.split("\0")[1] == "601"
    assert "10-more.conf" in systemctl(probe, "cat", "probe").stdout


def test_a_notify_service_is_active_when_it_says_so(probe: Lab) -> None:
    probe.run("r1", "sh", "-c", "cat > /etc/probe.py", text_in=NOTIFIER)
    unit(probe, "Type=notify\nExecStart=/usr/bin/python3 /etc/probe.py")
    starting = probe.popen("r1", "systemctl", "start", "probe")
    with starting:
        until(lambda: shown(probe, "probe", "StatusText") == "at your service")
        assert shown(probe, "probe", "ActiveState") == "activating"
        assert starting.poll() is None
        probe.run("r1", "touch", "/run/may-be-ready")
        assert starting.wait(10) == 0
    assert shown(probe, "probe", "ActiveState") == "active"


def test_a_service_that_dies_before_it_is_ready_has_failed(probe: Lab) -> None:
    unit(probe, "Type=notify\nExecStart=/bin/sh -c 'echo no such key >&2; exit 7'")
    done = systemctl(probe, "start", "probe")
    assert done.returncode == 1
    assert "Job for probe.service failed" in done.stderr
    assert systemctl(probe, "is-failed", "probe").returncode == 0
    assert "no such key" in probe.run("r1", "journalctl", "-u", "probe").stdout
    assert "no such key" in systemctl(probe, "status", "probe").stdout


@pytest.mark.parametrize(
    ("policy", "signal", "returns"),
    [("on-failure", "KILL", True), ("on-failure", "TERM", False), ("always", "TERM", True),
     ("no", "KILL", False)],
)  # fmt: skip
def test_restart_policies(probe: Lab, policy: str, signal: str, returns: bool) -> None:
    unit(probe, f"Restart={policy}\nRestartSec=50ms\nExecStart=/bin/sleep 600")
    systemctl(probe, "start", "probe")
    pid = shown(probe, "probe", "MainPID")
    systemctl(probe, "kill", "-s", signal, "probe")
    if returns:
        until(lambda: shown(probe, "probe", "NRestarts") == "1")
        until(lambda: shown(probe, "probe", "ActiveState") == "active")
        assert shown(probe, "probe", "MainPID") not in (pid, "0")
    else:
        wanted = "inactive" if signal == "TERM" else "failed"
        until(lambda: shown(probe, "probe", "ActiveState") == wanted)
        assert shown(probe, "probe", "NRestarts") == "0"


def test_stop_ends_every_process_of_the_service(probe: Lab) -> None:
    unit(probe, "ExecStart=/bin/sh -c 'setsid sleep 611 & setsid sleep 612 & exec sleep 613'")
    systemctl(probe, "start", "probe")
    until(lambda: len(probe.run("r1", "pgrep", "-f", "^sleep 61").stdout.split()) == 3)
    systemctl(probe, "stop", "probe")
    assert probe.run("r1", "pgrep", "-f", "^sleep 61").returncode == 1


def test_user_directories_and_environment_are_those_of_the_unit(probe: Lab) -> None:
    unit(
        probe,
        "User=frr\nRuntimeDirectory=probe\nStateDirectory=probe\nEnvironmentFile=-/etc/default/none\n"
        'Environment=A=1 "B=two words"\nAmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW\n'
        "ExecStart=/bin/sleep 600",
    )
    assert systemctl(probe, "start", "probe").stderr == ""
    pid = shown(probe, "probe", "MainPID")
    status = probe.run("r1", "cat", f"/proc/{pid}/status").stdout
    ambient = next(int(x.split()[1], 16) for x in status.splitlines() if x.startswith("CapAmb"))
    assert ambient == 1 << 12 | 1 << 13
    owner = probe.run("r1", "stat", "-c", "%U", "/run/probe", "/var/lib/probe", f"/proc/{pid}")
    assert owner.stdout.split() == ["frr", "frr", "frr"]
    environment = probe.run("r1", "cat", f"/proc/{pid}/environ").stdout.split("\0")
    assert {"A=1", "B=two words", "USER=frr", "STATE_DIRECTORY=/var/lib/probe"} <= set(environment)


def test_the_stock_units_of_the_daemons_start_reload_and_stop(trio: Lab) -> None:
    keepalived = (
        "vrrp_instance X {\n interface lan\n virtual_router_id 5\n priority 100\n advert_int 1\n}\n"
    )
    trio.run("r1", "sh", "-c", "cat > /etc/keepalived/keepalived.conf", text_in=keepalived)
    trio.run("r1", "sh", "-c", "echo 'rocommunity lab' > /etc/snmp/snmpd.conf")
    for name in ("keepalived", "snmpd"):
        started = systemctl(trio, "enable", "--now", name)
        assert started.returncode == 0, started.stderr
        assert systemctl(trio, "is-active", name).stdout == "active\n"
        assert systemctl(trio, "reload-or-restart", name).returncode == 0
        assert systemctl(trio, "disable", "--now", name).returncode == 0
        assert trio.run("r1", "pgrep", "-x", name).returncode == 1
    assert systemctl(trio, "start", "nftables").returncode == 0
    assert systemctl(trio, "is-active", "nftables").returncode == 0
    rules = "flush ruleset\ntable inet mine { }\n"
    trio.run("r1", "sh", "-c", "cat > /etc/nftables.conf", text_in=rules)
    assert systemctl(trio, "reload", "nftables").returncode == 0
    assert trio.run("r1", "nft", "list", "tables").stdout == "table inet mine\n"


def test_frr_reload_applies_what_has_changed_and_starts_new_daemons(trio: Lab) -> None:
    before = trio.run("r1", "pgrep", "-x", "zebra").stdout
    config = "hostname r1\nip route 198.19.8.0/21 Null0\nrouter bgp 65001\n"
    trio.run("r1", "sh", "-c", "cat > /etc/frr/frr.conf", text_in=config)
    trio.run("r1", "sed", "-i", "s/^bgpd=no/bgpd=yes/", "/etc/frr/daemons")
    reloaded = systemctl(trio, "reload-or-restart", "frr")
    assert reloaded.returncode == 0, reloaded.stderr
    assert "blackhole 198.19.8.0/21" in trio.run("r1", "ip", "route").stdout
    assert trio.run("r1", "pgrep", "-x", "bgpd").returncode == 0
    assert trio.run("r1", "pgrep", "-x", "zebra").stdout == before


def test_a_timer_outlives_the_one_who_armed_it_and_can_be_disarmed(trio: Lab) -> None:
    run = ("systemd-run", "--on-active=1s", "--unit")
    assert trio.run("r1", *run, "revert", "/bin/sh", "-c", "touch /run/reverted").returncode == 0
    assert trio.run("r1", *run, "other", "/bin/sh", "-c", "touch /run/other").returncode == 0
    again = trio.run("r1", *run, "revert", "/bin/true")
    assert again.returncode == 1
    assert "already exists" in again.stderr
    assert systemctl(trio, "is-active", "revert.timer").returncode == 0
    assert systemctl(trio, "stop", "other.timer").returncode == 0
    assert systemctl(trio, "stop", "other.timer").returncode == 5  # nobody disarms twice unseen
    until(lambda: trio.run("r1", "test", "-e", "/run/reverted").returncode == 0)
    assert trio.run("r1", "test", "-e", "/run/other").returncode == 1
    assert systemctl(trio, "is-active", "revert.timer").returncode == 3


@pytest.mark.parametrize("word", ["", "two words", "a\nb\n", "$HOME %n 'q' \"", "{", "ü→"])
def test_words_arrive_as_they_were_typed(trio: Lab, word: str) -> None:
    out = f"/run/word-{word.encode().hex()}"
    write = ("/bin/sh", "-c", f'printf "<%s>" "$1" >{out}', "sh", word)
    done = trio.run("r1", "systemd-run", "--unit", f"w{word.encode().hex()}", *write)
    assert done.returncode == 0, done.stderr
    until(lambda: trio.run("r1", "cat", out).stdout == f"<{word}>")


def test_a_router_without_its_init_says_so(trio: Lab) -> None:
    hidden = ("unshare", "-m", "sh", "-c", "mount -t tmpfs t /run/systemd; exec systemctl status")
    done = trio.run("r1", *hidden)
    assert done.returncode == 1
    assert "Failed to connect to the init of this virtual router: No such file" in done.stderr


def test_a_request_that_is_nonsense_does_not_hurt_pid_1(trio: Lab) -> None:
    send = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/systemd/lab.sock');"
        "s.send({!r}); s.shutdown(1); print(s.recv(999))"
    )
    for nonsense in (b"\n", b"[]\n", b"{}\n", b"\xff\xfe\n", b'{"verb": "run"}\n', b"x" * 70000):
        trio.run("r1", "python3", "-c", send.format(nonsense))
    assert systemctl(trio, "is-active", "ssh").returncode == 0
