"""The cost of a message grows with its length and no faster, counted, not timed.

A hostile peer chooses how many extensions a datagram has. Each further extension of a kind has to
cost exactly what the one before it did: in instructions of the interpreter, and in octets that are
copied out of the message.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from ipaddress import IPv4Address
from types import FrameType
from typing import Any

import pytest

from hacc_agent.wire import (
    AgentAdvertisement,
    Authentication,
    Challenge,
    CriticalVendor,
    DynamicHomeAgent,
    DynamicHomeAgentSubtype,
    DynamicLayout,
    Extension,
    ExtensionType,
    GeneralizedAuthentication,
    NetworkAccessIdentifier,
    Padding,
    RegistrationRequest,
    RequestFlags,
    RouterAddress,
    UnknownExtension,
    parse,
    parse_discovery,
    peek_request,
)

ANYWHERE = IPv4Address("198.51.100.1")
EXTENSIONS: dict[str, Extension] = {
    "padding": Padding(),
    "empty": UnknownExtension(200, b""),
    "challenge": Challenge(bytes(255)),
    "nai": NetworkAccessIdentifier(b"mn@example.net"),
    "authentication": Authentication(ExtensionType.MOBILE_HOME_AUTHENTICATION, 256, bytes(16)),
    "generalized": GeneralizedAuthentication(1, 256, bytes(16)),
    "vendor": CriticalVendor(9, 1, bytes(40)),
    "dynamic": DynamicHomeAgent(DynamicHomeAgentSubtype.REQUESTED, ANYWHERE),
    "dynamic-short": DynamicHomeAgent(
        DynamicHomeAgentSubtype.REQUESTED, ANYWHERE, DynamicLayout.SHORT
    ),
}
READERS: dict[str, Callable[[bytes], object]] = {
    "parse": parse,
    "peek": lambda octets: peek_request(octets, 0, len(octets)),
}


def instructions(work: Callable[[], object]) -> int:
    """How many instructions of Python the work takes."""
    count = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    gc.disable()  # a collection in between calls back into whoever asked for it
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
        gc.enable()
    return count


class CountedOctets(bytes):
    """Octets that count how many of themselves were sliced out."""

    sliced = 0

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        if isinstance(found, bytes):
            self.sliced += len(found)
        return found


def request(*extensions: Extension) -> bytes:
    return RegistrationRequest(
        RequestFlags.REVERSE_TUNNEL, 300, ANYWHERE, ANYWHERE, ANYWHERE, 1, extensions
    ).to_bytes()


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("extension", EXTENSIONS)
def test_every_extension_costs_as_much_as_the_one_before(extension: str, reader: str) -> None:
    read = READERS[reader]

    def cost(count: int) -> int:
        octets = request(*[EXTENSIONS[extension]] * count)
        return instructions(lambda: read(octets))

    cost(1)  # what Python specializes on first use is not the message's cost
    assert cost(100) - cost(50) == cost(150) - cost(100) > 0


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_no_octet_is_copied_twice(extension: str) -> None:
    octets = CountedOctets(request(*[EXTENSIONS[extension]] * 100))
    parse(octets)
    assert octets.sliced <= len(octets)


def test_router_addresses_cost_as_much_as_the_ones_before() -> None:
    def cost(count: int) -> int:
        routers = (RouterAddress(ANYWHERE),) * count
        octets = AgentAdvertisement(routers, 1800).to_bytes()
        return instructions(lambda: parse_discovery(octets))

    cost(1)
    assert cost(100) - cost(50) == cost(150) - cost(100) > 0
