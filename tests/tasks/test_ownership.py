"""Which lines a pattern owns."""

from __future__ import annotations

import pytest

from tasks.ownership import Ownership


def owns(pattern: str, *path: str) -> bool:
    """Whether a line, after the headers of its sections, is owned; and never against `may`."""
    owned = Ownership((pattern,)).top
    *headers, line = path
    for header in headers:
        owned = owned.below(header)
    assert owned.may(line) or not owned.owns(line)
    return owned.owns(line)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("router mobile", ["router mobile"]),
        ("ip route * * Null0 tag 434", ["ip route 10.0.0.0 255.0.0.0 Null0 tag 434"]),
        ("ip mobile **", ["ip mobile home-agent address 10.0.0.1"]),
        ("ip mobile **", ["ip mobile"]),
        ("ip address 10.0.0.1 **", ["ip address 10.0.0.1 255.255.255.0 secondary"]),
        ("interface Gi0/1 / standby **", ["interface Gi0/1", "standby 1 ip 10.0.0.1"]),
        ("vrf * / **", ["vrf A", "address-family ipv4", "route-target export 1:1"]),
        ("ip local pool west-* **", ["ip local pool west-example-net 10.0.0.1 10.0.0.9"]),
        ("ip local pool west-* **", ["ip local pool west-a"]),
        ("route-map hacc-* * * / **", ["route-map hacc-nodes permit 10", "match tag 434"]),
        ("a *.b*c d", ["a x.bc d"]),
        ("hacc-* on", ["hacc-feature on"]),
    ],
)
def test_a_pattern_owns(pattern: str, path: list[str]) -> None:
    assert owns(pattern, *path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("router mobile", ["router mobile x"]),
        ("ip address 10.0.0.1 **", ["ip address 10.0.0.12 255.255.255.0"]),
        ("ip address 10.0.0.1 **", ["ip address"]),
        ("ip route * * Null0 tag 434", ["ip route 10.0.0.0 255.0.0.0 Null0 tag 4341"]),
        ("interface Gi0/1 / standby **", ["interface Gi0/1"]),
        ("interface Gi0/1 / standby **", ["interface Gi0/10", "standby 1 ip 10.0.0.1"]),
        ("ip local pool west-* **", ["ip local pool western 10.0.0.1 10.0.0.9"]),
        ("ip local pool west-* **", ["ip local pool theirs west-a"]),
        ("ip local pool west-* **", ["ip local pool north-west-a 10.0.0.1"]),
        ("route-map hacc-* * * / **", ["route-map hacc-nodes permit 10"]),
        ("a *.b*c d", ["a xbc d"]),
        ("redistribute * route-map hacc-*", ["redistribute ospf 1 route-map hacc-x"]),
    ],
)
def test_a_pattern_does_not_own(pattern: str, path: list[str]) -> None:
    assert not owns(pattern, *path)
