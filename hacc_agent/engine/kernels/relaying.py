"""The controller: what `cluster.alone` does, to plain datagrams and in machine code.

Plain are the request of a mobile node that has none pending, the very request again, and the reply
to the one request that its mobile node has pending. `relay` goes through a batch in its order and
returns the number of the first row that is not plain; up to there all is done, and of that row
nothing is.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...wire import LOW_32, MessageType, ReplyCode, RequestFlags, RevocationSupportFlags
from ...wire.messages import REPLY, REQUEST
from ...wire.registry import INFINITE_LIFETIME
from ..arrays import FREED, TOUCHED, NameArrays, TableArrays
from ..cluster.ledger import ROOM, WaitingArrays
from ..cluster.quick import (
    ACCEPTED,
    DENIED,
    DEREGISTERED,
    DUPLICATES,
    RECORDS,
    RELAYED,
    TO_AGENT,
    TO_MEMBER,
    Arguments,
    MailArrays,
    MemberArrays,
    OutArrays,
    Relaying,
    sample,
)
from ..cluster.reading import encapsulation
from ..cluster.state import FOREVER, TIMEOUT
from ..record import Kind, Trait
from ..slots import NO_SLOT
from .compile import CACHE, direct, kernel, part
from .names import (
    NOT_PLAIN,
    find_name,
    hash_nai,
    intern_name,
    is_introduced,
    number_of,
    write_name_records,
)
from .numbers import i8, is_later, u8
from .tables import find_address, look_up, put, remove
from .walking import REPLY_FORMS, REQUEST_FORMS, Places, walk, word16, word32, word64

__all__ = ["CACHE", "fit", "relay", "warm"]

_REQUEST: Final = int(MessageType.REGISTRATION_REQUEST)
_REPLY: Final = int(MessageType.REGISTRATION_REPLY)
_REQUEST_OCTETS: Final = REQUEST.size
_REPLY_OCTETS: Final = REPLY.size
_ONE_BINDING: Final = int(ReplyCode.ACCEPTED_ONE_BINDING)  # 0 and 1 accept, all others deny
_TELLS_NONCE: Final = int(ReplyCode.IDENTIFICATION_MISMATCH)  # which the reference remembers
_SIMULTANEOUS: Final = int(RequestFlags.SIMULTANEOUS)
_INFORMS: Final = int(RevocationSupportFlags.INFORM)
_CONSENT: Final = 64  # of the UDP Tunnel Reply Extension: assent is below (RFC 3519, 3.2.1)
_TUNNELS: Final = np.array([encapsulation(flags) for flags in range(256)], np.uint8)

_BINDING, _UNBOUND = int(Kind.BINDING), int(Kind.UNBOUND)
_PENDING, _SETTLED = int(Kind.PENDING), int(Kind.SETTLED)
_NAT, _REVOCABLE, _INFORM = int(Trait.NAT), int(Trait.REVOCABLE), int(Trait.INFORM)
_UDP_TUNNEL, _DYNAMIC, _NONCE = int(Trait.UDP_TUNNEL), int(Trait.DYNAMIC), int(Trait.NONCE)

# Of the fixed part of a request, and of a reply: offsets (RFC 5944, 3.3 and 3.4).
_FLAGS: Final = 1
_LIFETIME: Final = 2
_HOME: Final = 4
_HOME_AGENT: Final = 8
_CARE_OF: Final = 12
_REQUEST_IDENTIFICATION: Final = 16
_REPLY_IDENTIFICATION: Final = 12


@kernel
def relay(
    mail: MailArrays,
    first: int,
    count: int,
    table: TableArrays,
    pending: TableArrays,
    names: NameArrays,
    waiting: WaitingArrays,
    members: MemberArrays,
    out: OutArrays,
    second: int,
    places: bool,
) -> int:
    """The row from `first` on that is to be decided on alone; `count` when there is none.

    `second` is of the steady clock; `places` whether new mobile nodes may be placed here.
    """
    weighed = False  # whether `served` is of this moment
    for row in range(first, count):
        at = row * mail.stride
        end = at + mail.length[row]
        if end == at:
            return row
        if mail.octets[at] == _REPLY:
            if not _reply(mail, row, at, end, table, pending, names, waiting, members, out, second):
                return row
            weighed = False
        elif mail.octets[at] == _REQUEST:
            done, weighed = _request(
                mail, row, at, end, table, pending, names, waiting, members, out, second,
                places, weighed,
            )  # fmt: skip
            if not done:
                return row
        else:
            return row
    return count


def fit(*arguments: *Arguments) -> Relaying:
    """`relay` for arguments of these types."""
    return direct(relay, *arguments)


def warm() -> None:
    """Compiles or loads all that a controller calls."""
    fit(*sample())


# ------------------------------------------------------------------ requests


@part
def _request(
    mail: MailArrays,
    row: int,
    at: int,
    end: int,
    table: TableArrays,
    pending: TableArrays,
    names: NameArrays,
    waiting: WaitingArrays,
    members: MemberArrays,
    out: OutArrays,
    second: int,
    places: bool,
    weighed: bool,
) -> tuple[bool, bool]:
    """Whether it is done; and whether `served` is of this moment."""
    octets = mail.octets
    if end - at < _REQUEST_OCTETS or end - at > ROOM:
        return False, weighed
    found = walk(octets, at + _REQUEST_OCTETS, end, REQUEST_FORMS)
    home = word32(octets, at + _HOME)
    if not found.plain or (not home and not found.nai):
        return False, weighed
    hashed, cell = u8(0), 0
    if found.nai:
        hashed = hash_nai(names, octets, found.nai, found.nai_octets)
        cell = find_name(names, hashed, octets, found.nai, found.nai_octets)
    asked = find_address(pending, home) if home else 0
    if not asked and cell:
        asked = i8(pending.first_by_name[cell])
    if asked:
        return (
            _left(members, home, hashed, second) != NOT_PLAIN
            and _again(mail, row, at, home, cell, found, asked, pending, waiting, members, out),
            weighed,
        )
    bound = _bound(table, home, cell, found)
    if bound == NOT_PLAIN or not _room(table, pending):
        return False, weighed
    if bound:
        slot = i8(table.rows[bound].slot)
        member = i8(members.member_of[slot])
        if not members.available[member]:
            return False, weighed
        if not members.complete[member] and not is_later(
            word64(octets, at + _REQUEST_IDENTIFICATION), u8(table.rows[bound].identification)
        ):
            return False, weighed
    else:
        if not places:
            return False, weighed
        slot = _left(members, home, hashed, second)
        if slot == NOT_PLAIN:
            return False, weighed
        member = i8(members.member_of[slot]) if slot != NO_SLOT else -1
        if member < 0 or not members.available[member]:
            if not weighed:
                _weigh(table, pending, members)
                weighed = True
            member = _choose(members)
            if member < 0:
                return False, weighed
            key = u8(home) if home else hashed
            slot = i8(members.offered[member, i8(key % u8(members.offered.shape[1]))])
            if slot == NO_SLOT:  # the reference sees to it that this member is chosen no more
                return False, weighed
    if not members.listening[member] or not _admitted(members, member, not bound):
        return False, weighed
    if found.nai and not cell:
        cell = intern_name(names, hashed, octets, found.nai, found.nai_octets)
        if cell == NOT_PLAIN:
            return False, weighed
    place = out.numbers[RECORDS]
    if cell and not is_introduced(names, cell):
        place = write_name_records(names, cell, out.records, place)
    _write_request(mail, row, at, found, out, place, second)
    record = out.records[place]
    record.slot = slot
    record.nai = number_of(names, cell) if cell else u8(0)
    arrived = (waiting.arrivals[0] + 1) & LOW_32
    record.nonce = arrived
    kept = put(pending, names, 0, cell, out.records, place)
    if kept == NOT_PLAIN:
        return False, weighed
    waiting.arrivals[0] = arrived
    _keep(mail, row, at, waiting, kept)
    _take(members, member, not bound)
    members.served[member] += 1
    out.numbers[RECORDS] = place + 1
    out.numbers[RELAYED] += 1
    _to_member(out, row, member)
    return True, weighed


@part
def _again(
    mail: MailArrays,
    row: int,
    at: int,
    home: int,
    cell: int,
    found: Places,
    asked: int,
    pending: TableArrays,
    waiting: WaitingArrays,
    members: MemberArrays,
    out: OutArrays,
) -> bool:
    """The very request that is pending, from where it came: to the same member once more."""
    request = pending.rows[asked]
    octets = mail.octets
    same = bool(
        look_up(pending, home, cell) == asked
        and not waiting.crowded[asked]
        and waiting.lengths[asked]
        and (cell or not found.nai)
        and i8(request.care_of_address) == word32(octets, at + _CARE_OF)
        and request.identification == word64(octets, at + _REQUEST_IDENTIFICATION)
        and request.source_address == mail.address[row]
        and request.source_port == mail.port[row]
    )
    if not same:
        return False
    member = i8(members.member_of[request.slot])
    if not members.listening[member] or not members.complete[member]:
        return False
    if not _admitted(members, member, False):
        return False
    _take(members, member, False)
    attempts = waiting.attempts[asked]
    _keep(mail, row, at, waiting, asked)
    waiting.attempts[asked] = attempts
    out.numbers[DUPLICATES] += 1
    _to_member(out, row, member)
    return True


@part
def _bound(table: TableArrays, home: int, cell: int, found: Places) -> int:
    """The row of the mobile node's binding, 0 of a new one: `Ledger.slot_of`."""
    by_name = i8(table.first_by_name[cell]) if cell else 0
    if not home:
        # Whoever else has the address that it was assigned does not matter here.
        return NOT_PLAIN if by_name and table.next_by_name[by_name] else by_name
    by_address = find_address(table, home)
    if not by_address:
        return NOT_PLAIN if by_name else 0
    if table.next_by_address[by_address]:
        return NOT_PLAIN
    if found.nai and (not cell or i8(table.cell[by_address]) != cell):
        return NOT_PLAIN
    return by_address


@part
def _left(members: MemberArrays, home: int, hashed: int, second: int) -> int:
    """`Departures.slot_of`; NO_SLOT without one, NOT_PLAIN if another member has it by now."""
    departed = members.departed
    place = departed[home % len(departed)]
    if not home or place.key != u8(home) or place.until <= second:
        place = departed[i8(hashed % u8(len(departed)))]
        if not hashed or place.key != hashed or place.until <= second:
            return NO_SLOT
    return i8(place.slot) if members.member_of[place.slot] == place.member else NOT_PLAIN


@part
def _leave(members: MemberArrays, key: int, left: Any, second: int) -> None:
    """`Departures.remember`."""
    if key:
        place = members.departed[i8(key % u8(len(members.departed)))]
        place.key = key
        place.identification = u8(0) if left.traits & _NONCE else left.identification
        place.until = second + members.kept
        place.slot = left.slot
        place.member = members.member_of[left.slot]


@part
def _room(table: TableArrays, pending: TableArrays) -> bool:
    """Whether there is a row for the request, and one for what may come of it."""
    asking = pending.counters[TOUCHED] - pending.counters[FREED]
    holding = table.counters[TOUCHED] - table.counters[FREED]
    return bool(asking < len(pending.rows) - 1 and holding + asking < len(table.rows) - 1)


@part
def _weigh(table: TableArrays, pending: TableArrays, members: MemberArrays) -> None:
    """`Members.weigh`."""
    members.served[:] = 0
    for slot in range(len(members.member_of)):
        members.served[members.member_of[slot]] += table.slots[slot] + pending.slots[slot]


@part
def _choose(members: MemberArrays) -> int:
    """`LeastLoaded.choose`; -1 when there is none."""
    for spare in range(2):
        best, least = -1, 0.0
        for member in range(len(members.served)):
            if (
                members.backup[member] == (spare == 1)
                and members.available[member]
                and members.served[member] < members.capacity[member]
            ):
                load = members.base[member] + members.served[member] * members.slope[member]
                if best < 0 or load < least:
                    best, least = member, load
        if best >= 0:
            return best
    return -1


@part
def _admitted(members: MemberArrays, member: int, new: bool) -> bool:
    """Whether all buckets that it needs have a token (`Admission`)."""
    tokens, own = members.tokens, 2 + 2 * member
    return bool(
        tokens[0] >= 1
        and tokens[own] >= 1
        and (not new or (tokens[1] >= 1 and tokens[own + 1] >= 1))
    )


@part
def _take(members: MemberArrays, member: int, new: bool) -> None:
    tokens, own = members.tokens, 2 + 2 * member
    tokens[0] -= 1
    tokens[own] -= 1
    if new:
        tokens[1] -= 1
        tokens[own + 1] -= 1


@part
def _write_request(
    mail: MailArrays, row: int, at: int, found: Places, out: OutArrays, place: int, second: int
) -> None:
    """The PENDING record, but for slot, NAI and number."""
    octets, record = mail.octets, out.records[place]
    flags = i8(octets[at + _FLAGS])
    care_of, source = word32(octets, at + _CARE_OF), i8(mail.address[row])
    traits = _NAT if source != care_of else 0
    record.kind = _PENDING
    record.flags = flags
    record.home_address = word32(octets, at + _HOME)
    record.care_of_address = care_of
    record.source_address = source
    record.source_port = mail.port[row]
    record.lifetime = word16(octets, at + _LIFETIME)
    record.expires = second + TIMEOUT
    record.identification = word64(octets, at + _REQUEST_IDENTIFICATION)
    record.spi = word32(octets, found.mobile_home) if found.mobile_home else 0
    record.revocation = 0
    if found.revocation:
        record.revocation = word32(octets, found.revocation + 2)
        if word16(octets, found.revocation) & _INFORMS:
            traits |= _INFORM
    record.tunnel = _TUNNELS[flags]
    record.traits = traits
    record.keepalive = 0
    record.home_agent = word32(octets, at + _HOME_AGENT)
    record.reserved = 0


@part
def _keep(mail: MailArrays, row: int, at: int, waiting: WaitingArrays, kept: int) -> None:
    """What a pending row needs to be sent again, at its first attempt."""
    waiting.links[kept] = mail.link[row]
    waiting.attempts[kept] = 1
    waiting.crowded[kept] = False
    waiting.lengths[kept] = mail.length[row]
    for n in range(mail.length[row]):
        waiting.octets[kept, n] = mail.octets[at + n]


@part
def _to_member(out: OutArrays, row: int, member: int) -> None:
    place = out.numbers[TO_MEMBER]
    out.to_member[place] = row
    out.member[place] = member
    out.numbers[TO_MEMBER] = place + 1


# ------------------------------------------------------------------ replies


@part
def _reply(
    mail: MailArrays,
    row: int,
    at: int,
    end: int,
    table: TableArrays,
    pending: TableArrays,
    names: NameArrays,
    waiting: WaitingArrays,
    members: MemberArrays,
    out: OutArrays,
    second: int,
) -> bool:
    """Whether it is done."""
    octets = mail.octets
    if end - at < _REPLY_OCTETS:
        return False
    found = walk(octets, at + _REPLY_OCTETS, end, REPLY_FORMS)
    if not found.plain:
        return False
    home = word32(octets, at + _HOME)
    asked = _asked(octets, home, found, pending, names)
    if not asked or waiting.crowded[asked] or not waiting.lengths[asked]:
        return False
    request = pending.rows[asked]
    identification = word64(octets, at + _REPLY_IDENTIFICATION)
    if (identification ^ request.identification) & u8(LOW_32):
        return False
    if not _answers(members, i8(members.member_of[request.slot]), mail.address[row]):
        return False
    place = out.numbers[RECORDS]
    records = out.records
    if octets[at + _FLAGS] == _TELLS_NONCE:
        return False
    if octets[at + _FLAGS] > _ONE_BINDING:
        records[place] = request
        records[place].kind = _SETTLED
        out.numbers[DENIED] += 1
    else:
        cell = i8(pending.cell[asked])
        bound = look_up(table, home, cell) if home else NOT_PLAIN
        if bound == NOT_PLAIN:
            return False
        if bound and not _follows(table, bound, request):
            return False
        if request.lifetime and word16(octets, at + _LIFETIME):
            place = _accept(octets, at, found, table, names, request, bound, cell, out, second)
            if place == NOT_PLAIN:
                return False
        else:
            nonces = identification != request.identification
            _deregister(table, names, request, nonces, bound, home, members, out, second)
    address, port, link = request.source_address, request.source_port, waiting.links[asked]
    waiting.links[asked] = 0
    waiting.attempts[asked] = 0
    waiting.lengths[asked] = 0
    remove(pending, names, asked)
    out.numbers[RECORDS] = place + 1
    answer = out.numbers[TO_AGENT]
    out.to_agent[answer] = row
    out.address[answer] = address
    out.port[answer] = port
    out.link[answer] = link
    out.numbers[TO_AGENT] = answer + 1
    return True


@part
def _follows(table: TableArrays, bound: int, request: Any) -> bool:
    """Whether what is answered came after what the mobile node is bound by.

    Else it is the same request, answered once more, or one from before.
    """
    ahead = request.identification - table.rows[bound].identification
    nonces = table.rows[bound].traits & _NONCE
    return bool(ahead and (nonces or ahead < u8(1 << 63)))


@part
def _asked(
    octets: NDArray[Any], home: int, found: Places, pending: TableArrays, names: NameArrays
) -> int:
    """The one request of the mobile node that a reply is for; 0: there is none, or several."""
    by_address = find_address(pending, home) if home else 0
    asked = by_address
    if found.nai:
        hashed = hash_nai(names, octets, found.nai, found.nai_octets)
        cell = find_name(names, hashed, octets, found.nai, found.nai_octets)
        asked = i8(pending.first_by_name[cell]) if cell else 0
        if by_address and by_address != asked:
            return 0
    if not asked or pending.next_by_address[asked] or pending.next_by_name[asked]:
        return 0
    wanted = i8(pending.rows[asked].home_address)
    return asked if wanted == home or not wanted else 0


@part
def _answers(members: MemberArrays, member: int, address: int) -> bool:
    """Whether the member answers from this address."""
    for n in range(members.answers.shape[1]):
        if members.answers[member, n] == address and address:
            return True
    return False


@part
def _accept(
    octets: NDArray[Any],
    at: int,
    found: Places,
    table: TableArrays,
    names: NameArrays,
    request: Any,
    bound: int,
    cell: int,
    out: OutArrays,
    second: int,
) -> int:
    """Writes the binding; the place of its record, or NOT_PLAIN."""
    place = i8(out.numbers[RECORDS])
    records = out.records
    flags = i8(request.flags)
    if octets[at + _FLAGS] == _ONE_BINDING:
        flags &= ~_SIMULTANEOUS
    moved = bound and table.rows[bound].care_of_address != request.care_of_address
    if moved:
        if flags & _SIMULTANEOUS or table.rows[bound].traits & _REVOCABLE:
            return NOT_PLAIN
        left = records[place]
        records[place] = table.rows[bound]
        left.kind = _UNBOUND
        left.lifetime = 0
        left.expires = 0
        left.identification = 0
        place += 1
    identification = word64(octets, at + _REPLY_IDENTIFICATION)
    lifetime = min(i8(request.lifetime), word16(octets, at + _LIFETIME))
    traits = i8(request.traits) & _NAT
    keepalive = 0
    nonce = 0
    if found.revocation:
        traits |= _REVOCABLE
        if word16(octets, found.revocation) & _INFORMS:
            traits |= i8(request.traits) & _INFORM
    if found.tunnel_reply and octets[found.tunnel_reply + 1] < _CONSENT:
        traits |= _UDP_TUNNEL
        keepalive = word16(octets, found.tunnel_reply + 4)
    if identification != request.identification:
        traits |= _NONCE
        nonce = word32(octets, at + _REPLY_IDENTIFICATION)
    if not request.home_address:
        traits |= _DYNAMIC
    records[place] = request
    record = records[place]
    record.kind = _BINDING
    record.flags = flags
    record.home_address = word32(octets, at + _HOME)
    record.lifetime = lifetime
    record.expires = FOREVER if lifetime == INFINITE_LIFETIME else second + lifetime
    record.traits = traits
    record.keepalive = keepalive
    record.nonce = nonce
    record.home_agent = word32(octets, at + _HOME_AGENT)
    if moved:
        remove(table, names, bound)
        bound = 0
    if put(table, names, bound, cell, records, place) == NOT_PLAIN:
        return NOT_PLAIN
    out.numbers[ACCEPTED] += 1
    return place


@part
def _deregister(
    table: TableArrays,
    names: NameArrays,
    request: Any,
    nonces: bool,
    bound: int,
    home: int,
    members: MemberArrays,
    out: OutArrays,
    second: int,
) -> None:
    """The binding with its care-of address ends, or all of the mobile node."""
    place = out.numbers[RECORDS]
    everything = i8(request.care_of_address) == home
    out.records[place] = request
    record = out.records[place]
    record.kind = _UNBOUND
    record.home_address = home
    record.lifetime = 0
    record.expires = 0
    record.nonce = 0
    if nonces:
        record.traits |= _NONCE
    if everything:
        record.care_of_address = 0
    _leave(members, u8(home), record, second)
    _leave(members, u8(request.nai), record, second)
    if bound and (everything or table.rows[bound].care_of_address == request.care_of_address):
        remove(table, names, bound)
    out.numbers[DEREGISTERED] += 1
