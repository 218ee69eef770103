"""Vendors' own extensions (RFC 3115), alike in messages on port 434 and in agent discovery.

Their values belong to the vendors. Nothing here opens one: they are kept, relayed and written.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

from . import tlv
from .errors import PoorlyFormed
from .registry import ExtensionType
from .tlv import Octets, pack

_CRITICAL = struct.Struct("!IH")
_NORMAL = struct.Struct("!HIH")


@dataclass(frozen=True, slots=True)
class CriticalVendor:
    """Critical Vendor/Organization Specific Extension, CVSE (RFC 3115, 2.1).

    Who knows the type but not the vendor denies the registration (codes 100, 101, 140, 141).
    """

    vendor: int  # SMI enterprise number
    vendor_type: int
    value: bytes
    reserved: int = 0
    kind: ClassVar = ExtensionType.CRITICAL_VENDOR

    def to_bytes(self) -> bytes:
        body = pack(_CRITICAL, self.vendor, self.vendor_type) + self.value
        return tlv.long(self.kind, self.reserved, body)

    @classmethod
    def decode(cls, data: Octets, at: int, body: int, end: int) -> CriticalVendor:
        if end - body < _CRITICAL.size:
            raise PoorlyFormed(f"extension 38 at octet {at}: length below {_CRITICAL.size}")
        vendor, vendor_type = _CRITICAL.unpack_from(data, body)
        return cls(vendor, vendor_type, bytes(data[body + _CRITICAL.size : end]), data[at + 1])


@dataclass(frozen=True, slots=True)
class NormalVendor:
    """Normal Vendor/Organization Specific Extension, NVSE: skipped by others (RFC 3115, 2.2)."""

    vendor: int
    vendor_type: int
    value: bytes
    reserved: int = 0
    kind: ClassVar = ExtensionType.NORMAL_VENDOR

    def to_bytes(self) -> bytes:
        fields = pack(_NORMAL, self.reserved, self.vendor, self.vendor_type)
        return tlv.short(self.kind, fields + self.value)

    @classmethod
    def decode(cls, data: Octets, _at: int, body: int, end: int) -> NormalVendor | None:
        if end - body < _NORMAL.size:
            return None
        reserved, vendor, vendor_type = _NORMAL.unpack_from(data, body)
        return cls(vendor, vendor_type, bytes(data[body + _NORMAL.size : end]), reserved)
