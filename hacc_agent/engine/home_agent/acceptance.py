"""What an accepted request changes: records, as a function of the case alone (RFC 5944, 3.8.2.2)."""

from __future__ import annotations

import math
from typing import NamedTuple

from ...wire import RequestFlags
from ...wire.registry import INFINITE_LIFETIME
from ..record import STRUCT, Kind, Row, Trait, name_records
from .case import Case
from .replay import is_near

NEVER = 0xFFFFFFFF
"""When a binding of infinite lifetime expires: a second that the steady clock does not reach."""

_GRANTABLE = int(
    RequestFlags.SIMULTANEOUS
    | RequestFlags.DECAPSULATION
    | RequestFlags.MINIMAL
    | RequestFlags.GRE
    | RequestFlags.REVERSE_TUNNEL
)
_SIMULTANEOUS = int(RequestFlags.SIMULTANEOUS)
_BINDING, _CLOSED, _UNBOUND = int(Kind.BINDING), int(Kind.CLOSED), int(Kind.UNBOUND)
_pack = STRUCT.pack


class Acceptance(NamedTuple):
    """What is granted. Without records nothing changes: a retransmission, answered once more."""

    records: bytes
    home_address: int
    lifetime: int  # s
    nonce: int  # the one that the next request has to carry


def accept(case: Case, nonce: int) -> Acceptance:
    """Of a request that breaks no rule; `nonce` is a new one, not used under timestamps."""
    if case.retransmitted:
        return _repeated(case)
    return _registered(case, nonce) if case.lifetime else _deregistered(case, nonce)


def remember_nonce(case: Case, nonce: int) -> bytes:
    """Records of a nonce that a denial hands out, in every row of its mobile node or a new one."""
    association = case.association
    assert association is not None
    told = {"spi": association.spi, "nonce": nonce}
    if case.rows:
        rows = [row._replace(traits=row.traits | Trait.NONCE, **told) for row in case.rows]
        return b"".join(_pack(*row) for row in rows)
    hashed, records = _identity(case)
    return records + _pack(*_memory_of(case, case.home_address, hashed, Trait.NONCE, nonce))


def closed(row: Row, now: float, wall: float, tolerance: int) -> bytes:
    """Records of the end of a binding that its mobile node did not ask for.

    Its last request could be replayed as long as its timestamp is near our clock; after that, or
    under nonces, which are used up, the row may go (but not a nonce that is still to come).
    """
    ended = unbound(row.home_address, row.care_of_address, row.nai)
    if row.kind != _BINDING:
        return ended
    if row.traits & Trait.NONCE or is_near(row.identification, wall, tolerance):
        kept = row._replace(kind=_CLOSED, lifetime=0, expires=math.ceil(now) + _memory(tolerance))
        return ended + _pack(*kept)
    return ended


def unbound(home_address: int, care_of_address: int, nai: int) -> bytes:
    return _pack(*Row(_UNBOUND, 0, 0, home_address, care_of_address, nai=nai))


def _memory(tolerance: int) -> int:
    """Seconds that a used Identification counts: it may be ahead of our clock by the tolerance."""
    return 2 * tolerance


def _repeated(case: Case) -> Acceptance:
    """The reply that may have been lost, with no more lifetime than was left (3.8.2.2)."""
    same = (case.identification, case.care_of_address)
    row = next(row for row in case.rows if (row.identification, row.care_of_address) == same)
    left = row.lifetime
    if 0 < left < INFINITE_LIFETIME:
        left = max(0, min(left, row.expires - math.ceil(case.now.steady)))
    return Acceptance(b"", row.home_address, left, row.nonce)


def _identity(case: Case) -> tuple[int, bytes]:
    """Hash of the NAI that the mobile node is known by, and NAME records if it is new here."""
    nai = case.key[1]
    if nai is None:
        return 0, b""
    rows = case.rows
    if rows:
        return rows[0].nai, b""
    hashed = case.service.table.hash_nai(nai)
    return hashed, name_records(nai, hashed)


def _registered(case: Case, nonce: int) -> Acceptance:
    service, subscriber, association = case.service, case.subscriber, case.association
    assert subscriber is not None
    assert association is not None
    rows = case.rows
    hashed, records = _identity(case)
    known = rows[0].home_address if rows else 0
    home_address = case.home_address or known or subscriber.pool.choose()
    lifetime = min(case.lifetime, service.lifetime, subscriber.lifetime)
    flags = case.flags & _GRANTABLE
    if service.simultaneous_bindings == 1:
        flags &= ~_SIMULTANEOUS
    traits = 0
    if home_address in subscriber.pool:
        traits |= Trait.DYNAMIC
    if association.nonces:
        traits |= Trait.NONCE
    care_of_address = case.care_of_address
    for row in rows:
        if row.care_of_address == care_of_address:
            continue
        if not flags & _SIMULTANEOUS:
            records += unbound(row.home_address, row.care_of_address, row.nai)
        elif association.nonces:
            records += _pack(*row._replace(nonce=nonce))
    steady = math.ceil(case.now.steady)
    source = case.source
    records += _pack(
        _BINDING,
        flags,
        0,
        home_address,
        care_of_address,
        source.address,
        source.port,
        lifetime,
        NEVER if lifetime == INFINITE_LIFETIME else steady + lifetime,
        case.identification,
        hashed,
        association.spi,
        0,
        4,
        traits,
        0,
        nonce,
        case.granted_home_agent,
        0,
    )
    return Acceptance(records, home_address, lifetime, nonce)


def _deregistered(case: Case, nonce: int) -> Acceptance:
    """One care-of address, or all of them where it is the home address (RFC 5944, 3.8.2.2)."""
    association = case.association
    assert association is not None
    rows = case.rows
    hashed, records = _identity(case)
    home_address = case.home_address or (rows[0].home_address if rows else 0)
    care_of_address = case.care_of_address
    everything = care_of_address in (home_address, case.home_address)
    traits = Trait.NONCE if association.nonces else 0
    if rows:
        traits |= rows[0].traits & Trait.DYNAMIC
    if everything:
        if rows:
            records += unbound(home_address, 0, hashed)
    else:
        for row in rows:
            if row.care_of_address == care_of_address:
                records += unbound(home_address, care_of_address, hashed)
            elif association.nonces:
                records += _pack(*row._replace(nonce=nonce))
    records += _pack(*_memory_of(case, home_address, hashed, traits, nonce))
    return Acceptance(records, home_address, 0, nonce)


def _memory_of(case: Case, home_address: int, hashed: int, traits: int, nonce: int) -> Row:
    """What is kept of a mobile node without binding, until no replay can come any more."""
    association = case.association
    assert association is not None
    return Row(
        _CLOSED,
        home_address=home_address,
        care_of_address=case.care_of_address,
        source_address=case.source.address,
        source_port=case.source.port,
        expires=math.ceil(case.now.steady) + _memory(association.tolerance),
        identification=case.identification,
        nai=hashed,
        spi=association.spi,
        traits=traits,
        nonce=nonce,
        home_agent=case.granted_home_agent,
    )
