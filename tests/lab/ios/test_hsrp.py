"""Who is active among routers on one LAN, by configuration alone, and with the clock passed in."""

from __future__ import annotations

import pytest

from lab.ios import Device
from lab.ios.hsrp import Member, elect
from lab.ios.network import Network


def router(number: int, *lines: str, lan: str = "west") -> Device:
    device = Device(f"r{number}", interfaces={"GigabitEthernet0/1": lan, "GigabitEthernet0/2": ""})
    device.load(
        f"hostname r{number}\ninterface Gi0/1\n ip address 10.0.0.{number} 255.255.255.0\n"
        + "".join(f" {line}\n" for line in ("standby 1 ip 10.0.0.254", *lines))
        + "interface Gi0/2\n no shutdown\n"
    )
    return device


def states(network: Network, now: float) -> list[str]:
    return [
        network.role(device, "GigabitEthernet0/1", 1, now).state
        for device in network.devices.values()
    ]


def test_the_highest_priority_is_active_then_the_highest_address() -> None:
    network = Network([router(1, "standby 1 priority 110"), router(2), router(3)])
    assert states(network, 0.0) == ["Active", "Listen", "Standby"]


def test_a_better_router_waits_for_the_active_one_unless_it_preempts() -> None:
    first, second = router(1), router(2)
    network = Network([first, second])
    assert states(network, 0.0) == ["Standby", "Active"]
    first.merge("interface Gi0/1\n standby 1 priority 200", 1.0)
    assert states(network, 1.0) == ["Standby", "Active"]
    first.merge("interface Gi0/1\n standby 1 preempt", 2.0)
    assert states(network, 2.0) == ["Active", "Standby"]


def test_preemption_waits_for_its_delay() -> None:
    first, second = router(1, "standby 1 preempt delay minimum 30"), router(2)
    network = Network([first, second])
    states(network, 0.0)
    first.merge("interface Gi0/1\n standby 1 priority 200", 10.0)
    assert states(network, 10.0) == ["Standby", "Active"]
    assert network.next_deadline(11.0) == 40.0
    assert states(network, 39.9) == ["Standby", "Active"]
    assert states(network, 40.0) == ["Active", "Standby"]


@pytest.mark.parametrize(
    "break_it",
    [
        lambda device: device.merge("interface Gi0/1\n shutdown", 1.0),
        lambda device: device.merge("interface Gi0/1\n no ip address", 1.0),
        lambda device: device.merge("interface Gi0/1\n no standby 1", 1.0),
        lambda device: device.power_off(),
    ],
    ids=["shutdown", "no address", "no group", "power"],
)
def test_the_standby_takes_over(break_it: object) -> None:
    first, second = router(1, "standby 1 priority 200", "standby 1 preempt"), router(2)
    network = Network([first, second])
    assert states(network, 0.0) == ["Active", "Standby"]
    assert callable(break_it)
    break_it(first)
    assert network.role(second, "GigabitEthernet0/1", 1, 1.0).state == "Active"
    assert network.owners(1.0) == {"10.0.0.254": ["r2"]}


def test_a_tracked_object_lowers_the_priority() -> None:
    first = router(1, "standby 1 priority 105", "standby 1 track 7 decrement 20")
    first.merge("track 7 interface Gi0/2 line-protocol", 0.0)
    second = router(2, "standby 1 preempt")
    network = Network([first, second])
    assert states(network, 0.0) == ["Active", "Standby"]
    first.merge("interface Gi0/2\n shutdown", 1.0)
    assert states(network, 1.0) == ["Standby", "Active"]


def test_routers_that_do_not_hear_each_other_are_both_active() -> None:
    first, second = router(1), router(2, "standby 1 authentication md5 key-string other")
    network = Network([first, second])
    assert states(network, 0.0) == ["Active", "Active"]
    assert network.owners(0.0) == {"10.0.0.254": ["r1", "r2"]}
    assert states(Network([router(1), router(2, lan="east")]), 0.0) == ["Active", "Active"]


def test_an_election_of_nobody_elects_nobody() -> None:
    assert elect([], ("gone", "Gi0/1"), 0.0, 0.0).active is None
    lone = Member("r1", "Gi0/1", 1, "10.0.0.1", 0, False, 0.0)
    assert elect([lone], None, 0.0, 0.0).active == lone
