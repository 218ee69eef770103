"""The member: what `home_agent` decides, on plain registrations and in machine code.

Plain is a registration that nothing is wrong with and nothing is special about: an NAI at most, the
authenticator of a configured mobile node, that of its Foreign Agent if it has to have one; and in
the table at most one row of it. `serve` goes through a batch in its order, puts what is plain into
the table, and writes each reply over its request. It returns the first row that is not plain; up to
there all is done, and of that row nothing is.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...wire import ExtensionType, MessageType
from ...wire.messages import REPLY, REQUEST
from ...wire.registry import INFINITE_LIFETIME
from ..arrays import FREED, TOUCHED, IndexArrays, NameArrays, TableArrays
from ..home_agent.acceptance import NEVER
from ..home_agent.decisions import ALL_ZERO_ONE
from ..home_agent.quick import (
    ANYBODY,
    CODE,
    FORBIDDEN,
    GRANTED,
    HOME_AGENT,
    LATEST_LINK,
    OWN_ADDRESS,
    PORT,
    RECORDS,
    RELAYED_BY_UDP,
    REPLIES,
    REQUIRED,
    ROOM,
    Arguments,
    KnownArrays,
    MailArrays,
    OutArrays,
    RuleArrays,
    Serving,
    sample,
)
from ..home_agent.service import LAN, LAN_BITS
from ..record import Kind, Trait
from .compile import CACHE, direct, kernel, part
from .indexes import find_key
from .md5 import BLOCK, digest_key, hmac, is_written, write
from .names import NOT_PLAIN, find_name, hash_nai
from .numbers import i8, is_later, u4, u8
from .tables import hash_address, look_up, put, remove
from .walking import word16, word32, word64

__all__ = ["CACHE", "digest_key", "fit", "serve", "warm"]

_REQUEST: Final = int(MessageType.REGISTRATION_REQUEST)
_REPLY: Final = int(MessageType.REGISTRATION_REPLY)
_REQUEST_OCTETS: Final = REQUEST.size
_REPLY_OCTETS: Final = REPLY.size
_SHORTER: Final = _REQUEST_OCTETS - _REPLY_OCTETS
_NAI: Final = int(ExtensionType.NETWORK_ACCESS_IDENTIFIER)
_MOBILE_HOME: Final = int(ExtensionType.MOBILE_HOME_AUTHENTICATION)
_FOREIGN_HOME: Final = int(ExtensionType.FOREIGN_HOME_AUTHENTICATION)
_AT: Final = ord("@")
_PROOF_HEADER: Final = 6  # of an authentication extension: type, length, SPI
_PROOF: Final = _PROOF_HEADER + 16
_LOWEST, _HIGHEST = min(ALL_ZERO_ONE), max(ALL_ZERO_ONE)
_BINDING, _CLOSED, _UNBOUND = int(Kind.BINDING), int(Kind.CLOSED), int(Kind.UNBOUND)
_NAT, _DYNAMIC, _NETWORKS = int(Trait.NAT), int(Trait.DYNAMIC), int(Trait.NETWORKS)
_IN_IP: Final = 4  # Encapsulation.IP

# Of the fixed part of a request, and of a reply: offsets (RFC 5944, 3.3 and 3.4).
_FLAGS: Final = 1
_CODE: Final = 1
_LIFETIME: Final = 2
_HOME: Final = 4
_HOME_AGENT: Final = 8
_CARE_OF: Final = 12
_REQUEST_IDENTIFICATION: Final = 16
_REPLY_IDENTIFICATION: Final = 12


@kernel
def serve(
    mail: MailArrays,
    first: int,
    count: int,
    table: TableArrays,
    names: NameArrays,
    known: KnownArrays,
    rules: RuleArrays,
    out: OutArrays,
    second: int,
    clock: np.uint64,
    not_before: np.uint64,
) -> int:
    """Rows of a batch from `first` on; the first one that is not plain, or `count`.

    `second`: the steady clock's next whole second; `clock`: now as an Identification; `not_before`
    as of `Service`, 0 without one.
    """
    row = first
    while row < count and _register(
        mail, row, table, names, known, rules, out, second, u8(clock), u8(not_before)
    ):
        row += 1
    return row


def fit(*arguments: *Arguments) -> Serving:
    """`serve` for arguments of these types."""
    return direct(serve, *arguments)


def warm() -> None:
    """Compiles or loads all that a member calls."""
    fit(*sample())
    digest_key(np.zeros((1, 8), np.uint32), 0, np.zeros(BLOCK, np.uint8), np.zeros(16, np.uint32))


@kernel
def _register(
    mail: MailArrays,
    row: int,
    table: TableArrays,
    names: NameArrays,
    known: KnownArrays,
    rules: RuleArrays,
    out: OutArrays,
    second: int,
    clock: int,
    not_before: int,
) -> bool:
    """One request, if it is plain."""
    octets, numbers = mail.octets, rules.numbers
    at = row * mail.stride
    end = at + i8(mail.length[row])
    source, destination = i8(mail.address[row]), i8(mail.destination[row])
    if end - at < _REQUEST_OCTETS + _PROOF or octets[at] != _REQUEST:
        return False
    flags, asked = i8(octets[at + _FLAGS]), word16(octets, at + _LIFETIME)
    home, home_agent = word32(octets, at + _HOME), word32(octets, at + _HOME_AGENT)
    care_of = word32(octets, at + _CARE_OF)
    identification = word64(octets, at + _REQUEST_IDENTIFICATION)
    if (
        asked == 0
        or flags & numbers[FORBIDDEN]
        or flags & numbers[REQUIRED] != numbers[REQUIRED]
        or care_of in (_LOWEST, _HIGHEST)
        or not _is_own(rules, home_agent)
        or not _is_own(rules, destination)
        or not _is_followed(rules, source, destination, mail.link[row])
    ):
        return False

    # An NAI or none, the mobile node's authenticator, the Foreign Agent's or none, and the end.
    proof, nai_octets = at + _REQUEST_OCTETS, 0
    if octets[proof] == _NAI:
        nai_octets = i8(octets[proof + 1])
        proof += 2 + nai_octets
        if not nai_octets or proof + _PROOF > end:
            return False
    nai = at + _REQUEST_OCTETS + 2
    agent = _of(known.agents, table, care_of if numbers[RELAYED_BY_UDP] else source)
    if proof + (2 * _PROOF if agent else _PROOF) != end:
        return False

    # Who is it, and what has the table of it?
    who = _of(known.nodes, table, home)
    if who:
        held = look_up(table, home, 0)
    else:
        who = _of_realm(known, octets, nai, nai_octets)
        held = _by_name(table, names, octets, nai, nai_octets, home) if who else NOT_PLAIN
    if held == NOT_PLAIN or not known.plain[who] or not known.plain[agent]:
        return False
    if not _proves(known, who, _MOBILE_HOME, octets, at, proof, out.block):
        return False
    before = table.rows[held]
    spi, name = known.spi[who], u8(before.nai)
    near = min(identification - clock, clock - identification)
    if near > known.tolerance[who]:
        return False
    if not_before and not is_later(identification, not_before):
        return False
    if held:
        home = i8(before.home_address)
        if (before.kind != _BINDING and before.kind != _CLOSED) or before.traits & _NETWORKS:
            return False
        if before.spi == spi and not is_later(identification, u8(before.identification)):
            return False
    elif table.counters[TOUCHED] - table.counters[FREED] >= numbers[ROOM]:
        return False
    foreign = proof + _PROOF
    if agent and not _proves(known, agent, _FOREIGN_HOME, octets, at, foreign, out.block):
        return False
    traits = _DYNAMIC if _is_dynamic(known, who, home) else 0
    if held and traits != before.traits & _DYNAMIC:
        return False  # the pools have to be told
    if not numbers[RELAYED_BY_UDP] and source != care_of:
        traits |= _NAT

    # It is granted: the table, the records.
    cell = i8(table.cell[held])
    lifetime = min(asked, known.lifetime[who])
    place = out.numbers[RECORDS]
    if held and i8(before.care_of_address) != care_of:
        _end(out, place, home, i8(before.care_of_address), name)
        remove(table, names, held)
        held = 0
        place += 1
    record = out.records[place]
    record.kind = _BINDING
    record.flags = flags & numbers[GRANTED]
    record.slot = 0
    record.home_address = home
    record.care_of_address = care_of
    record.source_address = source
    record.source_port = mail.port[row]
    record.lifetime = lifetime
    record.expires = NEVER if lifetime == INFINITE_LIFETIME else second + lifetime
    record.identification = identification
    record.nai = name
    record.spi = spi
    record.revocation = 0
    record.tunnel = _IN_IP
    record.traits = traits
    record.keepalive = 0
    record.nonce = 0
    record.home_agent = home_agent
    record.reserved = 0
    put(table, names, held, cell, out.records, place)
    out.numbers[RECORDS] = place + 1

    # The reply, in the order of RFC 5944, 3.8.3.3, where the request stood.
    octets[at] = _REPLY
    octets[at + _CODE] = numbers[CODE]
    _write16(octets, at + _LIFETIME, lifetime)
    _write32(octets, at + _HOME, home)
    _write32(octets, at + _REPLY_IDENTIFICATION, i8(identification >> u8(32)))
    _write32(octets, at + _REPLY_IDENTIFICATION + 4, i8(identification & u8(0xFFFFFFFF)))
    for octet in range(at + _REQUEST_OCTETS, proof):
        octets[octet - _SHORTER] = octets[octet]
    _prove(known, who, _MOBILE_HOME, octets, at, proof - _SHORTER, out.block)
    if agent:
        _prove(known, agent, _FOREIGN_HOME, octets, at, foreign - _SHORTER, out.block)
    mail.length[row] -= _SHORTER
    number = out.numbers[REPLIES]
    out.numbers[REPLIES] += 1
    out.replies[number] = row
    out.address[number], out.port[number] = source, mail.port[row]
    out.source[number] = destination
    if destination == numbers[HOME_AGENT]:
        if mail.link[row]:
            out.numbers[LATEST_LINK] = i8(mail.link[row])
        if not numbers[RELAYED_BY_UDP]:  # `Service.way_back`
            out.address[number], out.port[number] = destination, numbers[PORT]
            out.source[number] = _own_address(rules, mail.link[row])
    return True


# ------------------------------------------------------------------ who may


@part
def _is_own(rules: RuleArrays, address: int) -> bool:
    for each in rules.addresses:  # noqa: SIM110  numba knows no generators in `any`
        if i8(each) == address:
            return True
    return False


@part
def _is_followed(rules: RuleArrays, source: int, destination: int, link: int) -> bool:
    """`not Service.from_overtaken`."""
    if rules.numbers[ANYBODY] or destination != rules.numbers[HOME_AGENT]:
        return True
    neighbour = u8(source) if rules.numbers[RELAYED_BY_UDP] else u8(link) >> u8(LAN_BITS)
    for each in rules.followed:  # noqa: SIM110  as above
        if each == neighbour:
            return True
    return False


@part
def _own_address(rules: RuleArrays, link: int) -> int:
    """`Service.own_address`."""
    lan = i8(u8(link) & u8(LAN))
    if link and lan < len(rules.interfaces):
        return i8(rules.interfaces[lan])
    return i8(rules.numbers[OWN_ADDRESS])


@part
def _of(index: IndexArrays, table: TableArrays, address: int) -> int:
    """Number of the association that an address has; 0: none."""
    return find_key(index, hash_address(table, address), u4(address))


@part
def _of_realm(known: KnownArrays, octets: NDArray[Any], nai: int, length: int) -> int:
    """Number of the association that an NAI's realm has; 0: none by these very octets."""
    at = nai + length - 1
    while at >= nai and octets[at] != _AT:
        at -= 1
    if at < nai:
        return 0
    size = nai + length - at
    for realm in range(len(known.realm_octets)):
        if known.realm_octets[realm] == size:
            same = True
            for n in range(size):
                same = same and known.realms[realm, n] == octets[at + n]
            if same:
                return i8(known.realm_number[realm])
    return 0


@part
def _by_name(
    table: TableArrays, names: NameArrays, octets: NDArray[Any], nai: int, length: int, home: int
) -> int:
    """The one row of an NAI, which has a home address, and no other one than is asked for."""
    cell = find_name(names, hash_nai(names, octets, nai, length), octets, nai, length)
    row = i8(table.first_by_name[cell])
    if not row or table.next_by_name[row] or table.next_by_address[row]:
        return NOT_PLAIN
    address = i8(table.rows[row].home_address)
    return row if address and home in (0, address) else NOT_PLAIN


@part
def _is_dynamic(known: KnownArrays, who: int, home: int) -> bool:
    """Whether a home address is one of those that its subscriber's pool assigns."""
    for n in range(len(known.range_number)):
        if known.range_number[n] == who and known.ranges[n, 0] <= home <= known.ranges[n, 1]:
            return True
    return False


# ------------------------------------------------------------------ octets


@part
def _proves(
    known: KnownArrays,
    who: int,
    kind: int,
    octets: NDArray[Any],
    begin: int,
    at: int,
    block: NDArray[Any],
) -> bool:
    """Whether the extension at this offset is an authenticator of this association, and holds."""
    if octets[at] != kind or octets[at + 1] != _PROOF - 2:
        return False
    if word32(octets, at + 2) != known.spi[who]:
        return False
    digest = hmac(known.states, who, octets, begin, at + _PROOF_HEADER - begin, block)
    return is_written(digest, octets, at + _PROOF_HEADER)


@part
def _prove(
    known: KnownArrays,
    who: int,
    kind: int,
    octets: NDArray[Any],
    begin: int,
    at: int,
    block: NDArray[Any],
) -> None:
    """Writes such an extension."""
    octets[at], octets[at + 1] = kind, _PROOF - 2
    _write32(octets, at + 2, known.spi[who])
    digest = hmac(known.states, who, octets, begin, at + _PROOF_HEADER - begin, block)
    write(digest, octets, at + _PROOF_HEADER)


@part
def _end(out: OutArrays, place: int, home: int, care_of: int, name: int) -> None:
    """`acceptance.unbound`."""
    words = out.records.view(np.uint64)
    for n in range(8):
        words[8 * place + n] = u8(0)
    record = out.records[place]
    record.kind = _UNBOUND
    record.home_address = home
    record.care_of_address = care_of
    record.nai = name
    record.tunnel = _IN_IP


@part
def _write16(octets: NDArray[Any], at: int, number: int) -> None:
    octets[at], octets[at + 1] = number >> 8, number & 0xFF


@part
def _write32(octets: NDArray[Any], at: int, number: int) -> None:
    for n in range(4):
        octets[at + n] = number >> 8 * (3 - n) & 0xFF
