"""`hacc status` of running routers, and the live view that an intent has asked for."""

from __future__ import annotations

import json
import shlex
import sys
import time
from hashlib import sha256
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.commands.fleet import LabDesk
from tests.hacc_agent.api.served import certify

pytestmark = pytest.mark.lab

PATIENCE_S = 180.0  # of a busy machine until controllers follow each other again
TOKEN = "prometheus-of-the-lab-3f9c"
API = """
controllers:
  api:
    certificate: /etc/hacc-test/api.pem
    key: /etc/hacc-test/api.key
    tokens:
      - {name: prometheus, token: "env:HACC_TEST_API"}
"""
ASK = """
import ssl, sys, urllib.request
context = ssl.create_default_context(cafile="/etc/hacc-test/authority.pem")
asked = urllib.request.Request(sys.argv[1], headers={"authorization": "Bearer " + sys.argv[2]})
print(urllib.request.urlopen(asked, context=context, timeout=60).read().decode())
"""


def well(fleet: LabDesk) -> None:
    """Every controller follows or is followed, and every member is heard of: soon."""
    end = time.monotonic() + PATIENCE_S
    while (done := fleet.hacc("status")).code != 0:
        assert time.monotonic() < end, done
        time.sleep(0.5)


def test_the_status_of_a_cluster_that_is_well_and_of_one_that_is_not(fleet: LabDesk) -> None:
    fleet.hacc("verify").ends(0)
    well(fleet)
    (told,) = fleet.hacc("status", "--json").ends(0).value
    assert (told["cluster"], told["troubles"]) == ("west", [])
    assert set(told["controllers"]) == {"hacc1", "hacc2"}
    text = fleet.hacc("status").ends(0).out
    assert "hacc1" in text.splitlines()[0]
    assert "ha1" in text

    fleet.sh("hacc2", "systemctl stop hacc-agent")
    try:
        assert "hacc2: hacc-agent is not running" in fleet.hacc("status").ends(3).out
    finally:
        fleet.sh("hacc2", "systemctl start hacc-agent")
    well(fleet)


def test_an_intent_asks_for_the_live_view_and_has_it(fleet: LabDesk, tmp_path: Path) -> None:
    """From one key of the intent to an answer over TLS, and back to nothing."""
    model = fleet.hacc("render", "hacc1", "--json").ends(0).value["hacc1"]
    agent = next(text for path, text in model.items() if path.endswith("frr.conf"))
    address = agent.partition(" ospf router-id ")[2].split()[0]
    for host in ("hacc1", "hacc2"):
        certify(tmp_path, IPv4Address(address))
        fleet.sh(host, "mkdir -p /etc/hacc-test")
        for name in ("api.pem", "api.key", "authority.pem"):
            text = shlex.quote((tmp_path / name).read_text())
            fleet.sh(host, f"printf %s {text} >/etc/hacc-test/{name}")
    fleet.secrets["HACC_TEST_API"] = TOKEN
    before = fleet.intent.read_text()
    fleet.edit("\ncontrollers:\n", API)
    try:
        fleet.hacc("apply", "--yes").ends(0)
        fleet.hacc("plan", "--exit-code").ends(0)
        held = fleet.sh("hacc1", "cat /etc/hacc/api.toml")
        assert sha256(TOKEN.encode()).hexdigest() in held
        assert TOKEN not in held
        words = (f"https://{address}:8443/v1/status", TOKEN)
        asked = shlex.join((sys.executable, "-c", ASK, *words))
        told = json.loads(fleet.sh("hacc1", asked))
        assert (told["router"], told["cluster"]) == ("hacc1", "west")
        user = fleet.sh("hacc1", "ps -o user= -C hacc-agent-api").split()
        assert user == ["nobody"]
    finally:
        fleet.intent.write_text(before)
        fleet.hacc("apply", "--yes").ends(0)
    assert "hacc-agent-api" not in fleet.sh("hacc1", "ps -e -o comm=")
