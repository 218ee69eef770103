"""Bindings that come from another Home Agent, by way of a controller, and those that go to one.

What a controller transfers is what it knows: BINDING records with names. It comes while requests of
the same mobile nodes come, and may be older than what was accepted of them here a moment ago. So
nothing older takes the place of something newer, or a request of before could be replayed:

    here                          what comes is            what is done
    nothing                                                it is put
    rows, all older                                        it takes their place; beside them if S
    the very same request                                  ours stays: it may know a tunnel's port
    a newer row with S            with S, elsewhere        it is put beside ours
    a newer row                                            ours stays
    no binding, but a nonce                                it is put, and our nonce is the next one

Which is newer: under timestamps the Identification says it (RFC 5944, 5.7.1). Nonces are in no
order, so there it is the time of the grant, in whole seconds, and of equals ours: a nonce that was
used must not come back. A nonce that we told somebody who was denied says nothing about bindings:
it may have been a stranger who repeats an old request.

Of mobile nodes that left before the failover nothing comes, since a controller only remembers who
served them (`cluster.departures`); their last requests could be replayed to whoever took over.
What is here of a mobile node need not be the latest either: its reply may have been lost, and
another one have served it since. Therefore a Home Agent accepts no timestamp of before its last
takeover, or before it was emptied, but the very one that it has accepted: it answers 133, and who
is alive tries again at once with the time that he was told. What a clock that is ahead said before
the mobile node left, the controller drops.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Final

import numpy as np

from ...wire import RequestFlags
from ...wire.registry import INFINITE_LIFETIME
from ..networks import routed
from ..record import NETWORK, OCTETS, RECORD, STRUCT, Kind, Network, Records, Row, Trait
from ..table import Table
from .acceptance import NEVER, unbound, withdrawn
from .replay import later
from .service import Service

_SIMULTANEOUS: Final = int(RequestFlags.SIMULTANEOUS)
_NONCE: Final = int(Trait.NONCE)
_BINDING: Final = int(Kind.BINDING)


def taken_over(table: Table, records: bytes, ahead: float, now: float) -> tuple[bytes, int]:
    """Records, to be applied, of what is to be had from a transfer; bindings left out for room.

    `ahead`: s that our steady clock is ahead of the sender's; `now`, by ours.
    """
    log = np.frombuffer(records, RECORD)
    named, bound = log[log["kind"] == Kind.NAME], log[log["kind"] == Kind.BINDING].copy()
    ending = bound["expires"] != NEVER
    shifted = bound["expires"][ending].astype(np.int64) + round(ahead)
    bound["expires"][ending] = np.clip(shifted, 0, NEVER - 1)
    bound = bound[bound["expires"] > now]
    table.apply(named)  # so that rows can be found by them
    found = table.look_up(bound)
    new = (found.by_address == 0) & (found.by_name == 0)
    put = bound[new][: table.room]
    parts = [put.tobytes()]
    # Those that are here already are few: who registered since the failover, one by one.
    for values in bound[~new].tolist():
        parts += _merged(table, Row._make(values))
    taken = b"".join(parts)
    return named.tobytes() + taken if taken else b"", int(np.count_nonzero(new)) - len(put)


def networks_of(service: Service, records: bytes, taken: bytes) -> bytes:
    """Records, to be applied, of the mobile networks behind those that a transfer brings."""
    log, found = np.frombuffer(records, RECORD), np.frombuffer(taken, RECORD)
    said = np.flatnonzero(log["kind"] == Kind.NETWORK).tolist()
    if not said:
        return b""
    homes = set(found["home_address"][found["kind"] == Kind.BINDING].tolist())
    routes: dict[int, set[IPv4Network]] = {}
    for at in said:
        told = Network._make(NETWORK.unpack_from(records, at * OCTETS))
        network = IPv4Network((told.network, told.prefix_length))
        if told.home_address in homes and not service.mobile_networks.held_by_others(
            network, told.home_address
        ):
            routes.setdefault(told.home_address, set()).add(network)
    return b"".join(routed(home, networks) for home, networks in sorted(routes.items()))


def given_up(service: Service, records: bytes) -> bytes:
    """Records, to be applied, that end all that is here of the mobile nodes of a transfer."""
    table = service.table
    log = np.frombuffer(records, RECORD)
    bound = log[log["kind"] == Kind.BINDING]
    found = table.look_up(bound)
    ended: Records = bound[(found.by_address | found.by_name) != 0]
    routes = ended["home_address"][ended["traits"] & Trait.NETWORKS != 0].tolist()
    for field in ended.dtype.names or ():
        if field not in ("home_address", "nai"):
            ended[field] = 0
    ended["kind"] = Kind.UNBOUND
    return ended.tobytes() + b"".join(withdrawn(service, home) for home in routes)


def _rows(table: Table, values: Row) -> list[Row]:
    """Ours of its mobile node; one that has a new address here left the other one behind."""
    number = table.names.numbered(values.nai) if values.nai else 0
    nai = table.names.octets(number) if number else None
    found = table.rows_of(values.home_address, nai)
    if nai is not None:
        found = [*dict.fromkeys((*found, *table.rows_of(0, nai)))]
    return [table.get(row) for row in found]


def _merged(table: Table, values: Row) -> Iterator[bytes]:
    rows = _rows(table, values)
    holders = [table.get(row) for row in table.rows_of(values.home_address)]
    if any(row.kind == _BINDING and row.nai not in (0, values.nai) for row in holders):
        return  # the address is somebody else's here
    told = [row for row in rows if row.kind == Kind.CLOSED and row.traits & values.traits & _NONCE]
    if told:
        values = values._replace(nonce=told[0].nonce)
    newer = [row for row in rows if row not in told and not _newer(values, row)]
    beside = values.flags & _SIMULTANEOUS
    if newer:
        elsewhere = all(
            row.kind == _BINDING
            and row.flags & _SIMULTANEOUS
            and row.care_of_address != values.care_of_address
            for row in newer
        )
        if not (beside and elsewhere):
            return
    for row in rows:
        if row not in newer and not (beside and row.kind == _BINDING):
            yield unbound(row.home_address, row.care_of_address, row.nai)
    yield STRUCT.pack(*values)


def _newer(one: Row, other: Row) -> bool:
    """Whether the mobile node said `one` after `other`."""
    if (one.traits | other.traits) & _NONCE:
        return _granted(one) > _granted(other)
    return later(one.identification, other.identification)


def _granted(row: Row) -> int:
    """s of the steady clock; of one that never ends, and of one that is only remembered, late."""
    if row.kind != _BINDING or row.lifetime == INFINITE_LIFETIME:
        return row.expires
    return row.expires - row.lifetime
