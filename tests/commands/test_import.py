"""`hacc import` from routers: what runs is proposed as an intent, and a plan of it is empty."""

from __future__ import annotations

import stat

import pytest

from tests.commands.fleet import LabDesk

pytestmark = pytest.mark.lab

PAIR = ("import", "ios1", "ios2", "--controller", "hacc1", "--controller", "hacc2")


def test_what_a_pair_runs_is_proposed_and_nothing_is_changed(fleet: LabDesk) -> None:
    before = fleet.states()
    told = fleet.hacc(*PAIR, "--json").ends(0).value
    assert told["problems"] == []
    assert told["not_expressed"] == {"ios1": [], "ios2": []}
    assert told["left_alone"] == {"ios1": [], "ios2": []}
    assert told["intent"]["home_agent"]["address"] == "198.19.0.1"
    assert fleet.states() == before


def test_what_is_no_intent_yet_says_why(fleet: LabDesk) -> None:
    """A mobile node without a security association: an intent must know its key."""
    node = "ip mobile host 198.19.97.9 virtual-network 198.19.64.0 255.255.192.0"
    fleet.on_console("ios1", node)
    try:
        told = fleet.hacc(*PAIR, "--json").ends(1)
    finally:
        fleet.on_console("ios1", f"no {node}")
    assert {"address": "198.19.97.9"} in told.value["intent"]["mobile_nodes"]
    assert len(told.value["problems"]) == 1
    assert "security" in told.value["problems"][0]


def test_a_proposal_is_written_once_and_its_secrets_are_their_owners(fleet: LabDesk) -> None:
    names = ("--name", "east", "--write", "--secrets", "east.env")
    written = fleet.inventory / "clusters" / "east.yaml"
    try:
        told = fleet.hacc(*PAIR, *names).ends(2)  # pools are called by their cluster
        assert "+ ip local pool east-example-net" in told.out
        assert written.read_text().splitlines()[1] == "cluster: east"
        secrets = fleet.place / "east.env"
        assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
        assert "export EAST_HSRP_KEY='hsrpKeyOf1Pair'\n" in secrets.read_text()
        assert "EAST_HSRP_KEY" in told.out
        fleet.hacc(*PAIR, *names).ends(1)
    finally:
        written.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ios1",), "two routers, a pair"),
        (("ios1", "ios1"), "two routers, a pair"),
        (("ios1", "ha1"), "an IOS router"),
        (("ios1", "ios3"), "no such host"),
    ],
)
def test_who_is_no_pair_is_refused(fleet: LabDesk, words: tuple[str, ...], said: str) -> None:
    told = fleet.hacc("import", *words).ends(1)
    assert said in told.err
