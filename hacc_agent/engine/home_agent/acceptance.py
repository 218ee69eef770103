"""What an accepted request changes: records, a function of the case alone (RFC 5944, 3.8.2.2)."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from ...wire import LOW_32, RequestFlags, RevocationSupport, RevocationSupportFlags
from ...wire.registry import INFINITE_LIFETIME
from ..effects import Moment
from ..networks import routed
from ..record import STRUCT, Kind, Row, Trait
from .case import Case
from .networks import acknowledge
from .replay import is_near
from .service import Service

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
_DYNAMIC, _NONCE, _NETWORKS = int(Trait.DYNAMIC), int(Trait.NONCE), int(Trait.NETWORKS)
_REVOCABLE, _INFORM = int(Trait.REVOCABLE), int(Trait.INFORM)
_pack = STRUCT.pack


class Acceptance(NamedTuple):
    """What is granted. Without records nothing changes: a retransmission, answered once more."""

    records: bytes
    home_address: int
    lifetime: int  # s
    nonce: int  # the one that the next request has to carry
    for_mobile: bytes = b""  # extensions of the reply, before the mobile node's authenticator
    for_foreign: bytes = b""  # and behind it


def accept(case: Case, nonce: int) -> Acceptance:
    """Of a request that breaks no rule; `nonce` is a new one, not used under timestamps."""
    if case.retransmitted:
        return _repeated(case)
    return _registered(case, nonce) if case.lifetime else _deregistered(case, nonce)


NONCE_MEMORY_S: Final = 120
"""Seconds that a nonce which was told is waited for. Who was denied may wait before the next
attempt, each time twice as long (RFC 5944, 3.6.3); with a nonce that is forgotten meanwhile nobody
would ever come in."""


def remember_nonce(case: Case, nonce: int) -> bytes:
    """Records of a nonce that a denial hands out, in every row of its mobile node or a new one."""
    association = case.association
    assert association is not None
    told = {"spi": association.spi, "nonce": nonce}
    if not case.rows and case.service.table.full:
        return b""
    if case.rows:
        rows = [row._replace(traits=row.traits | _NONCE, **told) for row in case.rows]
        until = math.ceil(case.now.steady) + _memory(association.tolerance, _NONCE)
        return b"".join(
            _pack(*row if row.kind == _BINDING else row._replace(expires=until)) for row in rows
        )
    hashed, records = _identity(case)
    return records + _pack(*_memory_of(case, case.home_address, hashed, _NONCE, nonce))


def forgotten_soon(case: Case) -> bool:
    """Whether a nonce that is told again has to be remembered anew, to be waited for as long.

    Half of the memory is long enough for the longest wait, so that whoever has a request of old
    to replay makes us write once a minute and not at each replay.
    """
    enough = math.ceil(case.now.steady) + NONCE_MEMORY_S // 2
    return all(row.kind != _BINDING and row.expires < enough for row in case.rows)


def closed(service: Service, row: Row, now: Moment) -> bytes:
    """Records of the end of a binding that its mobile node did not ask for.

    Its last request could be replayed as long as its timestamp is near our clock; after that the
    row may go. A nonce that is still to come is kept as long, for the sake of a quick return.
    """
    ended = unbound(row.home_address, row.care_of_address, row.nai)
    if row.kind != _BINDING:
        return ended
    tolerance = service.tolerance
    if row.traits & _NONCE or is_near(row.identification, now.wall, tolerance):
        ended += _pack(*remembered(row, math.ceil(now.steady) + _memory(tolerance, row.traits)))
    return ended


def remembered(row: Row, until: int) -> Row:
    """A binding that ended, as long as its last Identification counts."""
    return row._replace(kind=_CLOSED, lifetime=0, expires=until)


def unbound(home_address: int, care_of_address: int, nai: int) -> bytes:
    return _pack(*Row(_UNBOUND, 0, 0, home_address, care_of_address, nai=nai))


def _memory(tolerance: int, traits: int) -> int:
    """Seconds that a used Identification counts, or that a nonce can still come.

    A timestamp may be ahead of our clock by the tolerance.
    """
    return max(2 * tolerance, NONCE_MEMORY_S if traits & _NONCE else 0)


def _repeated(case: Case) -> Acceptance:
    """The reply that may have been lost, with no more lifetime than was left (3.8.2.2)."""
    same = (case.identification, case.care_of_address)
    row = next(row for row in case.rows if (row.identification, row.care_of_address) == same)
    left = row.lifetime
    if 0 < left < INFINITE_LIFETIME:
        left = max(0, min(left, row.expires - math.ceil(case.now.steady)))
    if not case.lifetime:
        return Acceptance(b"", row.home_address, 0, row.nonce)
    _, acknowledged = _networks(case, row.home_address)
    for_mobile, for_foreign = _told(case, acknowledged)
    return Acceptance(b"", row.home_address, left, row.nonce, for_mobile, for_foreign)


def _identity(case: Case) -> tuple[int, bytes]:
    """Hash of the NAI that the mobile node is known by, and NAME records if it is new here."""
    nai = case.key[1]
    if nai is not None and case.rows and case.rows[0].nai:
        return case.rows[0].nai, b""
    return case.service.table.names.introduce(nai) if nai is not None else (0, b"")


def _registered(case: Case, nonce: int) -> Acceptance:
    service, subscriber, association = case.service, case.subscriber, case.association
    assert subscriber is not None
    assert association is not None
    hashed, records = _identity(case)
    home_address = case.home_address or case.known_address or subscriber.pool.choose()
    rows, given_up = _of(case, home_address)
    records += given_up
    lifetime = min(case.lifetime, service.lifetime, subscriber.lifetime)
    flags = case.flags & _GRANTABLE
    if service.simultaneous_bindings == 1:
        flags &= ~_SIMULTANEOUS
    tunnel, support = case.tunnel, case.revocation_support
    traits = tunnel.traits
    if home_address in subscriber.pool:
        traits |= _DYNAMIC
    if association.nonces:
        traits |= _NONCE
    if support is not None:
        traits |= _REVOCABLE
        if support.flags & RevocationSupportFlags.INFORM:
            traits |= _INFORM
    routes, acknowledged = _networks(case, home_address)
    if acknowledged:
        traits |= _NETWORKS
    care_of_address = case.care_of_address
    for row in rows:
        if row.care_of_address == care_of_address:
            continue
        if row.kind == _CLOSED or not flags & _SIMULTANEOUS:
            records += unbound(row.home_address, row.care_of_address, row.nai)
        elif association.nonces:
            records += _pack(*row._replace(nonce=nonce))
    source = case.source
    records += _pack(
        _BINDING,
        flags,
        0,
        home_address,
        care_of_address,
        source.address,
        0 if tunnel.awaits_keepalive else source.port,
        lifetime,
        NEVER if lifetime == INFINITE_LIFETIME else math.ceil(case.now.steady) + lifetime,
        case.identification,
        hashed,
        association.spi,
        support.timestamp if support is not None else 0,
        tunnel.encapsulation,
        traits,
        tunnel.keepalive,
        nonce,
        case.granted_home_agent,
        0,
    )
    for_mobile, for_foreign = _told(case, acknowledged)
    return Acceptance(records + routes, home_address, lifetime, nonce, for_mobile, for_foreign)


def _of(case: Case, home_address: int) -> tuple[list[Row], bytes]:
    """The mobile node's rows of this address, and records that end those of other ones."""
    rows, records = [], b""
    for row in case.rows:
        if row.home_address in (0, home_address):
            rows.append(row)
        else:
            records += unbound(row.home_address, row.care_of_address, row.nai)
            if row.kind == _BINDING:  # what is only remembered may be another's by now
                records += withdrawn(case.service, row.home_address)
    return rows, records


def _networks(case: Case, home_address: int) -> tuple[bytes, bytes]:
    """Records of the mobile networks that come and go, extensions that acknowledge them."""
    subscriber = case.subscriber
    assert subscriber is not None
    held = case.service.mobile_networks
    if case.plain and not subscriber.mobile_networks and not len(held):
        return b"", b""
    granted, acknowledged = acknowledge(
        held, home_address, subscriber.mobile_networks, bool(subscriber.address), case.of_mobile
    )
    before = held.of(home_address)
    return (
        routed(home_address, before - granted, withdrawn=True)
        + routed(home_address, granted - before),
        acknowledged,
    )


def _told(case: Case, acknowledged: bytes) -> tuple[bytes, bytes]:
    """What else the reply says, to the mobile node and to its Foreign Agent (3.8.3.3 b and d)."""
    if case.plain:
        return acknowledged, b""
    tunnel, support = case.tunnel, case.revocation_support
    co_located = case.flags & RequestFlags.DECAPSULATION != 0
    for_mobile, for_foreign = acknowledged, b""
    if co_located:
        for_mobile += tunnel.reply
    else:
        for_foreign += tunnel.reply
    if support is not None:
        said = RevocationSupport(
            int(case.now.wall) & LOW_32, support.flags & RevocationSupportFlags.INFORM
        ).to_bytes()
        if case.foreign is None:
            for_mobile += said
        else:
            for_foreign += said
    return for_mobile, for_foreign


def _deregistered(case: Case, nonce: int) -> Acceptance:
    """One care-of address, or all of them where it is the home address (RFC 5944, 3.8.2.2)."""
    subscriber, association = case.subscriber, case.association
    assert subscriber is not None
    assert association is not None
    hashed, records = _identity(case)
    home_address = case.home_address or case.known_address
    rows, given_up = _of(case, home_address)
    records += given_up
    care_of_address = case.care_of_address
    everything = care_of_address == home_address
    traits = _NONCE if association.nonces else 0
    if home_address in subscriber.pool:
        traits |= _DYNAMIC
    if everything:
        if rows:
            records += unbound(home_address, 0, hashed)
    else:
        for row in rows:
            if row.kind == _CLOSED or row.care_of_address == care_of_address:
                records += unbound(home_address, row.care_of_address, hashed)
            elif association.nonces:
                records += _pack(*row._replace(nonce=nonce))
    if everything or not any(
        row.kind == _BINDING and row.care_of_address != care_of_address for row in rows
    ):
        records += withdrawn(case.service, home_address)
    if rows or not case.service.table.full:
        records += _pack(*_memory_of(case, home_address, hashed, traits, nonce))
    return Acceptance(records, home_address, 0, nonce)


def withdrawn(service: Service, home_address: int) -> bytes:
    """Records that nothing is routed to a home address any more."""
    held = service.mobile_networks
    return routed(home_address, held.of(home_address), withdrawn=True) if len(held) else b""


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
        expires=math.ceil(case.now.steady) + _memory(association.tolerance, traits),
        identification=case.identification,
        nai=hashed,
        spi=association.spi,
        traits=traits,
        nonce=nonce,
        home_agent=case.granted_home_agent,
    )
