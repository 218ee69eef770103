"""Which members are proven to be on a LAN with us, by what, and who is a stranger beside them."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Address

import pytest

from hacc_agent.config import LanAddress
from hacc_agent.engine.discovery.layer2 import Adjacency, Layer2, Survey
from hacc_agent.engine.snmp.adjacency import Sighting
from tests.hacc_agent.engine.discovery.test_neighbours import MEMBER, at, site

US = Sighting("HACC1.example.net", "lan", "")
HALF = Sighting("ios2", "GigabitEthernet0/1", "198.18.1.32")
STRANGER = Sighting("switch9", "1", "198.18.1.77")
ELSEWHERE = Sighting("core-router", "1", "10.0.0.1")
NOWHERE = Sighting("phone", "1", "")


def silent(_: LanAddress) -> bool:
    return False


def found(layer2: Layer2) -> dict[str, Adjacency]:
    return {each.router: each for each in layer2.all(silent)}


def test_nobody_is_proven_before_anybody_was_asked() -> None:
    assert list(Layer2(site()).all(silent)) == [
        Adjacency(router, router != "ha1", "", "not asked yet", (), ())
        for router in ("ha1", "ios1", "ios2")
    ]


def test_an_advertisement_proves_it() -> None:
    told = Layer2(site()).all(lambda where: int(where.address) == MEMBER)
    assert next(told) == Adjacency("ha1", False, "advertisement", "", (), ())


SURVEYS = {
    "by-name": (Survey(1, "ios1", "CDP", (US,)), "CDP", ""),
    "by-address": (
        Survey(1, "ios1", "LLDP", (Sighting("localhost", "lan", "198.18.1.11"),)),
        "LLDP",
        "",
    ),
    "others-alone": (Survey(1, "ios1", "CDP", (HALF,)), "", "its CDP does not name this router"),
    "nobody": (Survey(1, "ios1", ""), "", "it has no neighbours by CDP or LLDP"),
    "silent": (
        Survey(1, "ios1", "", failure="no answer in time"),
        "",
        "no answer to SNMP: no answer in time",
    ),
}


@pytest.mark.parametrize("case", SURVEYS)
def test_what_is_proven_and_why_not(case: str) -> None:
    survey, proof, why = SURVEYS[case]
    layer2 = Layer2(site())
    layer2.surveyed(survey)
    assert (found(layer2)["ios1"].proof, found(layer2)["ios1"].why) == (proof, why)
    assert found(layer2)["ios2"].why == "not asked yet"


def test_strangers_are_those_on_our_lans_whom_nobody_knows_and_told_once() -> None:
    layer2 = Layer2(site())
    survey = Survey(1, "ios1", "CDP", (US, HALF, STRANGER, ELSEWHERE, NOWHERE))
    assert layer2.surveyed(survey) == [STRANGER]
    assert layer2.surveyed(survey) == []
    assert found(layer2)["ios1"].strangers == (STRANGER,)
    assert found(layer2)["ios1"].sees == ("hacc1", "ios2")
    assert layer2.surveyed(dataclasses.replace(survey, seen=(US,))) == []
    assert layer2.surveyed(survey) == [STRANGER]  # it was away


def test_an_address_of_the_cluster_makes_nobody_a_stranger() -> None:
    """A router whose name was changed by hand; the group's address of a pair."""
    layer2 = Layer2(site())
    renamed = Sighting("router", "lan", "198.18.1.12")
    virtual = Sighting("somebody", "1", str(IPv4Address("198.18.1.253")))
    assert layer2.surveyed(Survey(0, "", "LLDP", (renamed, virtual))) == []
    assert at(MEMBER).lan == "core"
