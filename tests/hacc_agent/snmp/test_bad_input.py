"""A controller that runs, and notifications that prove nothing: logged with a count, not obeyed."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import Any

from hacc_agent.engine.snmp import objects
from hacc_agent.engine.snmp.objects import dotted
from hacc_agent.logs import ALLOWANCE
from tests.hacc_agent.snmpd import ENVIRONMENT
from tests.loopback import Agent, cluster, status, until

STORM = 400
EVENT = "SNMP that is not believed"


def forged() -> bytes:
    """A coldStart, which of a stock member would mean that its bindings are gone: by net-snmp."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        sink.settimeout(30)
        where = f"127.0.0.1:{sink.getsockname()[1]}"
        words = ("snmptrap", "-v2c", "-c", "wrong", where, "", dotted(objects.COLD_START))
        subprocess.run(words, env=ENVIRONMENT, check=True, timeout=30, capture_output=True)
        return sink.recv(4096)


def said(agent: Agent) -> list[dict[str, Any]]:
    return [line for line in agent.said if line["event"] == EVENT]


def test_a_storm_of_forged_notifications_is_counted_and_moves_nobody(tmp_path: Path) -> None:
    trap = forged()
    with cluster(tmp_path, "hacc1") as west:
        agent = west["hacc1"]
        snmp = agent.config.snmp
        assert snmp is not None
        before = [(each["name"], each["state"]) for each in status(agent)["members"]]
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as half,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
        ):
            half.bind((f"{west.network}.31", 0))  # of the pair: ios1 itself
            stranger.bind((f"{west.network}.77", 0))

            def storm() -> None:
                for number in range(STORM):
                    half.sendto(trap, ("127.0.0.1", snmp.notification_port))
                    garbage = bytes([number & 0xFF]) * 60
                    stranger.sendto(garbage, ("127.0.0.1", snmp.notification_port))

            def told() -> bool:
                """All lines that there are for it at once."""
                if len(said(agent)) < ALLOWANCE:
                    storm()  # it may not listen yet
                return len(said(agent)) >= ALLOWANCE

            until(told)
            storm()
        until(lambda: any("times" in line for line in said(agent)))  # after `PERIOD_S` of peace
        assert [(each["name"], each["state"]) for each in status(agent)["members"]] == before
        assert agent.stop() == 0
        lines = said(agent)
        assert lines[0] | {"time": ""} == {
            "time": "",
            "level": "warning",
            "event": EVENT,
            "from": "west-ios",
            "what": "a notification with a wrong community",
        }
        whole = [line for line in lines if "times" not in line]
        assert ALLOWANCE <= len(whole) < STORM / 10
