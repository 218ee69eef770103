"""SNMP against a real snmpd on the loopback: version 2c, version 3, and each way to be refused."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from tasks.errors import Place
from tasks.model import Snmp
from tasks.secrets import SecretRef
from tasks.verify.observation import SnmpAnswer
from tasks.verify.snmp import Access, Silent, ask

CONFIGURATION = """\
agentaddress udp:127.0.0.1:{port}
sysName ha1.example.net
rocommunity readable
createUser hacc SHA "authentic-1" AES "private-22"
createUser plain SHA "authentic-1"
rouser hacc priv
rouser plain auth
"""


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    snmpd = shutil.which("snmpd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if snmpd is None:
        pytest.skip("snmpd is not installed")
    folder = tmp_path_factory.mktemp("snmpd")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    (folder / "snmpd.conf").write_text(CONFIGURATION.format(port=number))
    daemon = subprocess.Popen(
        [snmpd, "-f", "-C", "-c", str(folder / "snmpd.conf"), "-Lf", str(folder / "log")],
        env={"SNMP_PERSISTENT_DIR": str(folder / "state"), "MIBS": ""},
        stdin=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 20
        while isinstance(once(number, Access(2, community="readable")), Silent):
            assert daemon.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < end, "snmpd does not answer"
        yield number
    finally:
        daemon.terminate()
        daemon.wait(10)


def once(port: int, access: Access) -> SnmpAnswer | Silent:
    return ask({"ha1": ("127.0.0.1", access)}, port=port, timeout_s=0.5, retries=1)["ha1"]


V3 = {"user": "hacc", "auth": "authentic-1", "priv": "private-22"}


@pytest.mark.parametrize(
    "access", [Access(2, community="readable"), Access(3, **V3)], ids=["v2c", "v3-authPriv"]
)
def test_a_router_answers_with_its_name(port: int, access: Access) -> None:
    answer = once(port, access)
    assert isinstance(answer, SnmpAnswer)
    assert answer.system_name == "ha1.example.net"
    assert 0 <= answer.uptime_s < 3600


@pytest.mark.parametrize(
    ("access", "reason"),
    [
        (Access(2, community="wrong"), "the community is wrong"),
        (Access(3, **V3 | {"user": "nobody"}), "does not know this user"),
        (Access(3, **V3 | {"auth": "authentic-2"}), "the authentication key differs"),
        (Access(3, **V3 | {"priv": "private-23"}), "the privacy key differs"),
        (Access(3, **V3 | {"user": "plain"}), "does not offer authPriv to this user"),
    ],
    ids=["community", "user", "auth-key", "priv-key", "level"],
)
def test_each_refusal_says_what_differs(port: int, access: Access, reason: str) -> None:
    answer = once(port, access)
    assert isinstance(answer, Silent)
    assert reason in answer.reason


def test_a_silent_router_hides_no_other(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.2", port))
        answers = ask(
            {
                "mute": ("127.0.0.2", Access(3, **V3)),
                "ha1": ("127.0.0.1", Access(3, **V3)),
                "lost": ("no-such-host.invalid", Access(3, **V3)),
            },
            port=port,
            timeout_s=0.3,
            retries=1,
        )
    assert {host: type(answer) for host, answer in answers.items()} == {
        "mute": Silent,
        "ha1": SnmpAnswer,
        "lost": Silent,
    }


def test_access_opens_the_intent_s_references_and_shows_none() -> None:
    snmp = Snmp(3, None, "hacc", SecretRef("env:A"), SecretRef("env:P"), (), Place("west.yaml", 1))
    access = Access.of(snmp, {"env:A": "authentic-1", "env:P": "private-22"})
    assert access == Access(3, **V3)
    assert "authentic" not in repr(access)
    assert "private" not in repr(access)
