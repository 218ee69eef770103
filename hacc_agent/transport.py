"""How datagrams come in and go out: what the daemon drives, whatever carries them.

Two kinds exist (DESIGN, "frames"): whole Ethernet frames on the LAN (`frames`), and plain UDP here,
for machines without CAP_NET_RAW and for tests on loopback. With plain UDP a member sees requests
come from the controller's own address, so it cannot tell a NAT, and a stock IOS member is not
served; everything else is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .config import AgentConfig, LanAddress, Role
from .datagrams import Alone, Datagrams, Traffic
from .engine.batch import Batch, Replies
from .engine.effects import Endpoint
from .logs import address_text

Columns = NDArray[Any]


class Ring(Protocol):
    """Where datagrams come in. `batch`, `destination` and `alone` are what came last."""

    batch: Batch
    destination: Columns  # u4[ring]: the address that each datagram was sent to, host order
    alone: list[Alone]  # what no row of the batch holds
    full: bool  # with what came last: more may wait

    def fileno(self) -> int: ...

    def receive(self) -> bool:
        """Reads what waits, a ring of it at most; whether anything came."""
        ...


class Transport(Protocol):
    """Rows of a ring leave at once; `send` and `relay` collect, and leave with `flush`."""

    rings: tuple[Ring, ...]

    def relay_rows(self, ring: Ring, rows: Columns, member: Columns) -> None:
        """Rows to members, unchanged, each to the member of this place in the configuration."""
        ...

    def answer_rows(
        self, ring: Ring, rows: Columns, address: Columns, port: Columns, link: Columns
    ) -> None:
        """Rows to who asked, from the virtual Home Agent address."""
        ...

    def reply_rows(self, ring: Ring, replies: Replies) -> None:
        """Rows over which our own replies are written, by the neighbour that each came from."""
        ...

    def relay(self, payload: bytes, source: Endpoint, member: int) -> None: ...

    def send(self, payload: bytes, destination: Endpoint, source: int) -> None: ...

    def flush(self) -> None: ...

    def watches(self) -> Iterator[tuple[int, Callable[[], None]]]:
        """Descriptors beside the rings, and what to do when they are readable."""
        ...

    def keep_house(self, steady: float) -> None:
        """Once a second; s of the steady clock."""
        ...

    def reconfigure(self, config: AgentConfig) -> None:
        """Members may be others; the router's own addresses are the same."""
        ...

    def known_as(self, addresses: Sequence[LanAddress]) -> frozenset[int]:
        """How what another router passes on shows that it comes from it: `HomeAgent.follow`.

        Nothing, when that is not known yet.
        """
        ...

    def traffic(self) -> Iterator[tuple[str, Traffic]]:
        """What went through, by the name of the socket."""
        ...

    def dropped(self) -> int:
        """Datagrams that the kernel dropped since nobody fetched them in time."""
        ...

    def close(self) -> None: ...


@contextmanager
def about(what: str) -> Iterator[None]:
    """An OSError from here on tells, as its `filename`, what it is about."""
    try:
        yield
    except OSError as error:
        error.filename = what
        raise


class PlainUdp:
    """Sockets on the router's own addresses, and on the virtual one where it is a controller."""

    def __init__(self, config: AgentConfig) -> None:
        """Opens the sockets. Raises OSError, its `filename` the address that it is about."""
        self._port = config.port
        self._virtual = int(config.home_agent_address)
        own = [int(lan.address.ip) for lan in config.lans]
        addresses = list(dict.fromkeys(own))
        if config.role is Role.CONTROLLER:
            # Requests come to the virtual address; members answer to the one that they were
            # asked from, which is our own, so that several controllers can share a member.
            addresses = list(dict.fromkeys([self._virtual, *own]))
        self._sockets: dict[int, Datagrams] = {}
        try:
            for address in addresses:
                with about(f"{address_text(address)}:{config.port} (UDP)"):
                    self._sockets[address] = Datagrams(address, config.port)
        except BaseException:
            self.close()
            raise
        self.rings: tuple[Ring, ...] = tuple(self._sockets.values())
        self._own = self._sockets[own[0]]
        self._answers = self._sockets.get(self._virtual, self._own)
        self._waiting: dict[int, list[tuple[bytes, Endpoint]]] = {}
        self.reconfigure(config)

    def reconfigure(self, config: AgentConfig) -> None:
        lans = [lan.name for lan in config.lans]
        places = [place_of(member.addresses, lans) for member in config.members]
        self._members = np.array([address for _, address in places], np.uint32)

    def known_as(self, addresses: Sequence[LanAddress]) -> frozenset[int]:
        """It sends from its own addresses."""
        return frozenset(int(at.address) for at in addresses)

    def relay_rows(self, ring: Ring, rows: Columns, member: Columns) -> None:
        ports = np.full(len(rows), self._port)
        self._send_rows(self._own, ring, rows, self._members[member], ports)

    def answer_rows(
        self,
        ring: Ring,
        rows: Columns,
        address: Columns,
        port: Columns,
        link: Columns,  # noqa: ARG002  plain UDP goes by routing
    ) -> None:
        self._send_rows(self._answers, ring, rows, address, port)

    def reply_rows(self, ring: Ring, replies: Replies) -> None:
        # A socket is bound to one address of ours, and what it receives was sent to that.
        assert isinstance(ring, Datagrams)
        self._send_rows(ring, ring, replies.rows, replies.address, replies.port)

    def _send_rows(
        self, through: Datagrams, ring: Ring, rows: Columns, address: Columns, port: Columns
    ) -> None:
        assert isinstance(ring, Datagrams)
        through.sender.send(ring.bases[rows], ring.batch.length[rows], address, port)

    def relay(
        self,
        payload: bytes,
        source: Endpoint,  # noqa: ARG002  plain UDP does not keep it
        member: int,
    ) -> None:
        self.send(payload, Endpoint(int(self._members[member]), self._port), self._own.address)

    def send(self, payload: bytes, destination: Endpoint, source: int) -> None:
        through = source if source in self._sockets else self._own.address
        self._waiting.setdefault(through, []).append((payload, destination))

    def flush(self) -> None:
        if self._waiting:
            waiting, self._waiting = self._waiting, {}
            for source, datagrams in waiting.items():
                self._sockets[source].sender.send_all(datagrams)

    def watches(self) -> Iterator[tuple[int, Callable[[], None]]]:
        return iter(())

    def keep_house(self, steady: float) -> None:
        pass

    def traffic(self) -> Iterator[tuple[str, Traffic]]:
        for address, found in self._sockets.items():
            yield f"{address_text(address)}:{self._port}", found.traffic

    def dropped(self) -> int:
        return sum(ring.dropped() for ring in self._sockets.values())

    def close(self) -> None:
        for opened in self._sockets.values():
            opened.close()


def place_of(addresses: Sequence[LanAddress], lans: Sequence[str]) -> tuple[int, int]:
    """On which LAN of ours, and with which address, a router is reached; (0, 0): it is not."""
    return next(
        ((lans.index(at.lan), int(at.address)) for at in addresses if at.lan in lans), (0, 0)
    )
