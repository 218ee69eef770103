"""Many datagrams at once, by the rules of `alone`.

What is ordinary is done here by operations on columns: a request of a mobile node that has none
pending, and the reply to the one request that its mobile node has pending. Whatever else a batch
holds goes through `alone` afterwards, in its order: odd messages, and every datagram of a mobile
node that occurs twice in the batch. So datagrams of one mobile node keep their order; of different
ones it means nothing.

When admission or room come near their end, all requests of a batch go one by one: who is refused is
then decided in the order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...config import Assignment
from ...wire import LOW_32, MessageType, ReplyCode, RevocationSupportFlags
from ...wire.registry import INFINITE_LIFETIME
from ..batch import Batch, Outcome, outcome_of
from ..effects import Effect, Endpoint, Moment
from ..record import RECORD, Kind, Records, Trait
from ..table import Found
from .alone import Alone
from .ledger import ROOM
from .mail import Mail
from .reading import encapsulation
from .state import FOREVER, TIMEOUT, State
from .walk import Walk

FEW: Final = 6
"""Datagrams that are done sooner one by one than as columns."""

_TUNNELS: Final = np.array([encapsulation(flags) for flags in range(256)], np.uint8)
_LIFETIME: Final = 0xFFFF  # the lower half of the first word of either message
_NO_ROWS: Final = np.zeros(0, np.int64)
_NO_RECORDS: Final = np.zeros(0, RECORD)


class _Requests(NamedTuple):
    """Rows of a batch that go on, where to, and the records to be kept first."""

    records: Records
    rows: NDArray[Any]
    members: NDArray[Any]


class _Replies(NamedTuple):
    """Rows of a batch that go back, the requests that they answer, and the records."""

    records: Records
    rows: NDArray[Any]
    asked: Records
    links: NDArray[Any]


_NO_REQUESTS: Final = _Requests(_NO_RECORDS, _NO_ROWS, _NO_ROWS)
_NO_REPLIES: Final = _Replies(_NO_RECORDS, _NO_ROWS, _NO_RECORDS, _NO_ROWS)


class Columns:
    """Decides on batches."""

    def __init__(self, state: State, alone: Alone) -> None:
        self._alone = alone
        self._ledger = state.ledger
        self._table = state.ledger.table
        self._pending = state.ledger.pending
        self._slots = state.ledger.slots
        self._members = state.members
        self._admission = state.admission
        self._selection = state.selection
        self._counters = state.counters
        self._redirects = state.config.assignment is Assignment.REDIRECT

    def receive(self, batch: Batch, now: Moment) -> Outcome:
        if batch.count < FEW:
            return outcome_of(self._one_by_one(batch, range(batch.count), now))
        mail = Mail(batch, self._ledger)
        replies = self._replies(mail, now)
        requests = self._requests(mail, now)
        left = np.ones(batch.count, np.bool_)
        left[replies.rows] = left[requests.rows] = False
        alone = np.flatnonzero(left).tolist()
        return Outcome(
            records=np.concatenate((replies.records, requests.records)),
            to_member=requests.rows,
            member=requests.members,
            to_agent=replies.rows,
            address=replies.asked["source_address"],
            port=replies.asked["source_port"],
            link=replies.links,
            effects=tuple(self._one_by_one(batch, alone, now)) if alone else (),
        )

    def _one_by_one(self, batch: Batch, rows: Iterable[int], now: Moment) -> list[Effect]:
        effects: list[Effect] = []
        for row in rows:
            source = Endpoint(int(batch.address[row]), int(batch.port[row]), int(batch.link[row]))
            octets = batch.octets[row, : batch.length[row]].tobytes()
            effects += self._alone.receive(octets, source, now)
        return effects

    # -------------------------------------------------------------- requests

    def _requests(self, mail: Mail, now: Moment) -> _Requests:
        kinds = mail.walk.kind == MessageType.REGISTRATION_REQUEST
        rows = np.flatnonzero(
            kinds
            & mail.ordinary
            & ((mail.waiting | mail.waiting_by_name) == 0)
            & ((mail.home > 0) | mail.named)
            & (mail.length <= ROOM)
        )
        total = int(np.count_nonzero(kinds))
        if not len(rows) or not self._has_room(total):
            return _NO_REQUESTS
        numbers, names = self._introduce(mail, rows)
        bound = mail.bound[rows]
        held = self._table.rows[bound]
        slots = held["slot"].copy()
        members = self._slots.member_of[slots]
        known = bound > 0
        fits = known & self._members.loads.available[members]
        fits &= (numbers == held["nai"]) | (numbers == 0)
        self._admission.refill(now.steady)
        if not self._admission.fits(total, total - int(np.count_nonzero(fits))):
            return _NO_REQUESTS
        new = np.flatnonzero(~known)
        if len(new) and not self._redirects:
            which = rows[new]
            keys = np.where(mail.home[which] > 0, mail.home[which], mail.hashes[which])
            fits[new], slots[new], members[new] = self._choose(keys.tolist())
        rows, slots, members = rows[fits], slots[fits], members[fits]
        self._admit(members, known[fits])
        records = self._asked(mail, rows, now)
        records["slot"], records["nai"] = slots, numbers[fits]
        self._counters.relayed += len(rows)
        nobody = np.zeros(len(rows), np.uint32)
        found = None if mail.named.any() else Found(nobody, nobody, nobody)
        self._ledger.keep_rows(
            self._pending.put_rows(records, found),
            mail.link[rows],
            mail.walk.octets,
            rows,
            mail.length[rows],
        )
        return _Requests(np.concatenate((names, records)), rows, members)

    def _has_room(self, requests: int) -> bool:
        waiting = len(self._pending)
        return self._pending.room >= requests and self._table.room - waiting >= requests

    def _introduce(self, mail: Mail, rows: NDArray[Any]) -> tuple[NDArray[Any], Records]:
        """Numbers of the NAIs, 0 without one, and the NAME records that the log needs first."""
        numbers = np.zeros(len(rows), np.uint64)
        named = np.flatnonzero(mail.named[rows])
        if not len(named):
            return numbers, _NO_RECORDS
        which = rows[named]
        numbers[named], records = self._table.names.introduce_batch(
            mail.hashes[which], mail.names(which)
        )
        return numbers, records

    def _choose(self, keys: list[int]) -> tuple[list[bool], list[int], list[int]]:
        """Whether there is a member for each new mobile node; its slot; the member."""
        loads = self._members.weigh()
        chosen: list[tuple[bool, int, int]] = []
        for key in keys:
            member = self._selection.choose(key, loads)
            if member is None:
                chosen.append((False, 0, 0))
            else:
                loads.served[member] += 1
                chosen.append((True, self._slots.slot_for(member, key), member))
        fits, slots, members = map(list, zip(*chosen, strict=True))
        return fits, slots, members

    def _admit(self, members: NDArray[Any], known: NDArray[Any]) -> None:
        """Takes from the buckets what they were found to have."""
        requests = np.bincount(members)
        new = np.bincount(members[~known], minlength=len(requests))
        for member in np.flatnonzero(requests).tolist():
            self._admission.take(member, int(requests[member]), int(new[member]))

    def _asked(self, mail: Mail, rows: NDArray[Any], now: Moment) -> Records:
        """PENDING records of requests, but for slot and NAI."""
        walk = mail.walk
        words, flags = walk.words[rows], walk.octets[rows, 1]
        source = mail.address[rows]
        records = np.zeros(len(rows), RECORD)
        records["kind"] = Kind.PENDING
        records["flags"] = flags
        records["home_address"] = words[:, 1]
        records["care_of_address"] = words[:, 3]
        records["source_address"] = source
        records["source_port"] = mail.port[rows]
        records["lifetime"] = words[:, 0] & _LIFETIME
        records["expires"] = int(now.steady) + TIMEOUT
        records["identification"] = _joined(words[:, 4], words[:, 5])
        records["tunnel"] = _TUNNELS.take(flags)
        records["nonce"] = self._ledger.arrive_rows(len(rows))
        records["home_agent"] = words[:, 2]
        traits = np.where(source != words[:, 3], np.uint8(Trait.NAT), np.uint8(0))
        numbers = walk.windows(">u4")
        mobile_home, revocation = walk.mobile_home[rows], walk.revocation[rows]
        records["spi"] = np.where(mobile_home > 0, numbers[mobile_home + 2], 0)
        if revocation.any():
            records["revocation"] = np.where(revocation > 0, numbers[revocation + 4], 0)
            traits |= _informs(walk, revocation)
        records["traits"] = traits
        return records

    # -------------------------------------------------------------- replies

    def _replies(self, mail: Mail, now: Moment) -> _Replies:
        walk = mail.walk
        rows = np.flatnonzero(
            (walk.kind == MessageType.REGISTRATION_REPLY)
            & mail.ordinary
            & ((mail.waiting | mail.waiting_by_name) > 0)
        )
        if not len(rows):
            return _NO_REPLIES
        waiting, named, home = mail.waiting[rows], mail.named[rows], mail.home[rows]
        waiting = np.where(waiting > 0, waiting, mail.waiting_by_name[rows])
        asked = self._pending.rows[waiting]
        words, code = walk.words[rows], walk.octets[rows, 1]
        identification = _joined(words[:, 3], words[:, 4])
        sources = self._members.answers[self._slots.member_of[asked["slot"]]]
        accepted = (code == ReplyCode.ACCEPTED) & (home > 0)
        accepted &= (words[:, 0] & _LIFETIME > 0) & (asked["lifetime"] > 0)
        fits = accepted | (code > ReplyCode.ACCEPTED_ONE_BINDING)
        fits &= ~self._ledger.crowded[waiting]
        fits &= (identification ^ asked["identification"]) & np.uint64(LOW_32) == 0
        fits &= (sources == mail.address[rows][:, None]).any(axis=1)
        fits &= (asked["home_address"] == home) | (asked["home_address"] == 0)
        fits &= ~named | (waiting == mail.waiting_by_name[rows])
        binding = np.flatnonzero(accepted & fits)
        records = asked.copy()
        records["kind"] = Kind.SETTLED
        if len(binding):
            bound = self._bound(asked[binding], mail, rows[binding], now)
            put = self._put(bound, mail.bound[rows[binding]], bool(named.any()))
            records[binding] = bound
            fits[binding] = put
        done, links = waiting[fits], self._ledger.links[waiting[fits]]
        self._counters.accepted += int(np.count_nonzero(fits & accepted))
        self._counters.denied += int(np.count_nonzero(fits & ~accepted))
        self._pending.remove_rows(done)
        return _Replies(records[fits], rows[fits], asked[fits], links)

    def _bound(self, asked: Records, mail: Mail, rows: NDArray[Any], now: Moment) -> Records:
        """BINDING records that replies make of requests."""
        walk = mail.walk
        words = walk.words[rows]
        identification = _joined(words[:, 3], words[:, 4])
        lifetime = np.minimum(asked["lifetime"], words[:, 0] & _LIFETIME)
        traits = asked["traits"] & np.uint8(Trait.NAT)
        nonce = identification != asked["identification"]
        traits |= np.where(nonce, np.uint8(Trait.NONCE), np.uint8(0))
        traits |= np.where(asked["home_address"] == 0, np.uint8(Trait.DYNAMIC), np.uint8(0))
        revocation = walk.revocation[rows]
        if revocation.any():
            traits |= np.where(revocation > 0, np.uint8(Trait.REVOCABLE), np.uint8(0))
            traits |= _informs(walk, revocation) & asked["traits"]
        bound = asked
        bound["kind"] = Kind.BINDING
        bound["home_address"] = words[:, 1]
        bound["lifetime"] = lifetime
        bound["expires"] = np.where(
            lifetime == INFINITE_LIFETIME, FOREVER, lifetime + np.int64(int(now.steady))
        )
        bound["traits"] = traits
        bound["nonce"] = np.where(nonce, identification >> np.uint64(32), 0)
        bound["home_agent"] = words[:, 2]
        return bound

    def _put(self, bound: Records, rows: NDArray[Any], named: bool) -> NDArray[Any]:
        """Writes those into the table that concern no row but their own; which they are."""
        nobody = np.zeros(len(bound), np.uint32)
        found = self._table.look_up(bound) if named else Found(nobody, rows, nobody)
        ordinary = self._table.ordinary(bound, found)
        same = self._table.rows["care_of_address"][rows] == bound["care_of_address"]
        ordinary &= same | (rows == 0)
        self._table.put_rows(bound[ordinary], found.take(ordinary))
        return ordinary


def _joined(high: NDArray[Any], low: NDArray[Any]) -> NDArray[Any]:
    """Two words of 32 bits as one of 64."""
    joined: NDArray[Any] = high.astype(np.uint64) << np.uint64(32) | low
    return joined


def _informs(walk: Walk, places: NDArray[Any]) -> NDArray[Any]:
    """INFORM for each Revocation Support Extension with its I bit; the flags are 16 bits."""
    first = walk.flat.take(places + 2)
    inform = (places > 0) & (first & (RevocationSupportFlags.INFORM >> 8) > 0)
    return np.where(inform, np.uint8(Trait.INFORM), np.uint8(0))
