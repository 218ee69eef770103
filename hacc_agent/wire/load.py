"""What our routers say of themselves in an agent advertisement, for one another and nobody else.

A Normal Vendor/Organization Specific Extension (RFC 3115, 2.2): type 134, so whoever does not know
it skips it. Nobody has assigned us an enterprise number, so it is the one for documentation
(RFC 5612), and four octets of its value say whose it is:

    0        4         5      6       7         8        9         17         21       22
    | "HACC" | version | role | state | % of CPU | % free | cluster | bindings | length | name ...

Later versions may append fields: what stands behind the name is kept and not read. A cluster is
named by a digest, lest its name be told to everybody on the LAN; the digest proves nothing, and
nothing that is said here is obeyed (`engine.discovery`).
"""

from __future__ import annotations

import enum
import hashlib
import struct
from dataclasses import dataclass
from typing import Final

from .errors import Unencodable
from .tlv import pack
from .vendor import NormalVendor

ENTERPRISE: Final = 32473
"""For examples and documentation: RFC 5612, 2."""

VENDOR_TYPE: Final = 1
MARK: Final = b"HACC"
VERSION: Final = 1
DIGEST_OCTETS: Final = 8
LONGEST_NAME: Final = 64  # octets of UTF-8
UNKNOWN: Final = 255  # in place of a percentage

_FIXED: Final = struct.Struct(f"!4s5B{DIGEST_OCTETS}sIB")


class AgentRole(enum.IntEnum):
    CONTROLLER = 1
    HOME_AGENT = 2
    BACKUP = 3


class AgentState(enum.IntEnum):
    STANDBY = 1  # a controller that follows, a member that serves nothing
    ACTIVE = 2  # a controller that decides, a member that serves


def cluster_digest(cluster: str) -> bytes:
    return hashlib.blake2s(cluster.encode(), digest_size=DIGEST_OCTETS).digest()


def short_name(name: str) -> str:
    """As much of a router's name as there is room for."""
    return name.encode()[:LONGEST_NAME].decode("utf-8", "ignore")


@dataclass(frozen=True, slots=True)
class AgentLoad:
    """Who an agent is, and how it does."""

    cluster: bytes  # a digest of its name
    router: str
    role: AgentRole
    state: AgentState
    bindings: int
    cpu_percent: int | None = None  # None: unknown
    memory_free_percent: int | None = None
    version: int = VERSION
    more: bytes = b""  # fields of later versions: unread

    def extension(self) -> NormalVendor:
        """Raises `Unencodable`."""
        name = self.router.encode()
        if len(name) > LONGEST_NAME:
            raise Unencodable(f"a router's name of {len(name)} octets: {LONGEST_NAME} fit")
        if len(self.cluster) != DIGEST_OCTETS:
            raise Unencodable(f"a digest of {len(self.cluster)} octets")
        fixed = pack(
            _FIXED, MARK, self.version, self.role, self.state, _octet(self.cpu_percent),
            _octet(self.memory_free_percent), self.cluster, self.bindings, len(name),
        )  # fmt: skip
        return NormalVendor(ENTERPRISE, VENDOR_TYPE, fixed + name + self.more)

    @classmethod
    def of(cls, extension: NormalVendor) -> AgentLoad | None:
        """What one says, or None: it is somebody else's, or nobody can read it."""
        value = extension.value
        if (extension.vendor, extension.vendor_type) != (ENTERPRISE, VENDOR_TYPE):
            return None
        if len(value) < _FIXED.size or not value.startswith(MARK):
            return None
        _, version, role, state, cpu, free, cluster, bindings, length = _FIXED.unpack_from(value)
        end = _FIXED.size + length
        if not version or length > LONGEST_NAME or end > len(value):
            return None
        try:
            name = value[_FIXED.size : end].decode()
            made = cls(
                cluster, name, AgentRole(role), AgentState(state), bindings,
                _percent(cpu), _percent(free), version, value[end:],
            )  # fmt: skip
        except ValueError:
            return None
        # It is shown to people: nothing that could fool a terminal.
        return made if name.isprintable() and " " not in name else None


def _octet(percent: int | None) -> int:
    if percent is None:
        return UNKNOWN
    if not 0 <= percent <= 100:
        raise Unencodable(f"{percent} per cent")
    return percent


def _percent(octet: int) -> int | None:
    """Raises ValueError."""
    if octet == UNKNOWN:
        return None
    if octet > 100:
        raise ValueError(octet)
    return octet
