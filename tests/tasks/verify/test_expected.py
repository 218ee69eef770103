"""What a cluster announces, and for which address of each prefix a router is asked."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from hypothesis import given
from hypothesis import strategies as st

from tasks.model import ClusterModel
from tasks.verify.expected import announcements, probe, probes

PREFIXES = st.builds(
    lambda address, length: IPv4Network((address & 0xFF, length), strict=False),
    st.integers(0, 255),
    st.integers(24, 32),
)


@given(PREFIXES, st.lists(PREFIXES, max_size=8))
def test_the_address_asked_is_in_the_prefix_and_in_no_longer_one(
    prefix: IPv4Network, others: list[IPv4Network]
) -> None:
    inner = [other for other in others if other != prefix and other.subnet_of(prefix)]
    free = [
        address
        for address in range(int(prefix[0]), int(prefix[-1]) + 1)
        if not any(IPv4Address(address) in other for other in inner)
    ]
    assert probe(prefix, others) == (IPv4Address(free[0]) if free else None)


def test_what_the_cluster_announces(cluster: ClusterModel) -> None:
    told = {str(one.prefix): (one.hosts, one.group) for one in announcements(cluster)}
    assert told == {
        "198.19.0.1/32": (("hacc1", "hacc2"), "west-core"),
        "198.19.64.0/18": (("hacc1", "hacc2"), "west-core"),
        "198.19.64.0/22": (("ha1",), None),
        "198.19.68.0/22": (("ha2",), None),
        "198.19.72.0/22": (("ha2",), None),
        "198.19.76.0/22": (("ios1", "ios2"), None),
    }
    assert all(one.place.file.endswith(".yaml") for one in announcements(cluster))


def test_the_home_network_is_asked_for_beyond_its_slices(cluster: ClusterModel) -> None:
    assert str(probes(cluster)[IPv4Network("198.19.64.0/18")]) == "198.19.80.0"
