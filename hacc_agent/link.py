"""TLS between the cluster's routers, served from the daemon's own loop without ever waiting.

Both ends prove who they are: a certificate of the cluster's own authority (`hacc pki`), whose
alternative name is `hacc://CLUSTER/ROUTER`. No name of the outside world is trusted, and an
authority that was used for two clusters by mistake does not join them, since the name says which.
TLS 1.3 alone: all our peers are ourselves.

What is spoken over a connection, the log or a member's health, both ends agree on in the handshake
(ALPN, RFC 7301): there is one port, and neither has to guess from the first octets.

All sockets are in one epoll, and that is itself a descriptor that the daemon's epoll waits for:
`fileno`, `handle` when it is readable, `next_deadline`. A turn is bounded, so that a standby which
takes a state of millions of bindings costs the packets between two turns a millisecond at most.
"""

from __future__ import annotations

import enum
import errno
import math
import os
import select
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Final, Protocol

from .config import Link as Files
from .config import certificate_uri
from .standby import LinkBroken

PIECE: Final = 256 << 10  # octets read in a turn
HANDSHAKE: Final = 5.0  # s until both ends have to know each other
CONNECTIONS: Final = 64  # at once; who comes then is turned away
UNKNOWN: Final = 16  # of them before they have proven who they are
AT_ONCE: Final = 64  # conversations that time has come for and that one turn serves
BLOCKED: Final = 0.1  # s until one is looked at again whose socket takes nothing


class Language(enum.StrEnum):
    """What is spoken, by its name in the handshake."""

    LOG = "hacc-log"  # `standby`
    MEMBER = "hacc-member"  # `memberlink`


class LinkError(Exception):
    """The link cannot be set up: says which file or address, and why."""


class Talk(Protocol):
    """One end of a conversation: `standby.Feed`, `standby.Follow`, `memberlink.Watch`."""

    closing: bool

    def receive(self, octets: bytes, now: float) -> None: ...

    def take(self, now: float) -> bytes: ...

    def next_deadline(self) -> float: ...

    def silent(self, now: float) -> bool: ...


class Say(Protocol):
    """Tells an event; how often is the business of who writes it down."""

    def __call__(self, event: str, sender: str = "", **fields: str | int) -> None: ...


def _context(files: Files, purpose: int) -> ssl.SSLContext:
    context = ssl.SSLContext(purpose)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # the name is in the alternative name, see `peer_name`
    context.verify_mode = ssl.CERT_REQUIRED
    for path in (files.authority, files.certificate, files.key):
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise LinkError(f"{path}: {_words(error)}; `hacc pki issue` makes it") from None
    try:
        context.load_verify_locations(files.authority)
    except ssl.SSLError as error:
        raise LinkError(f"{files.authority}: no certificate authority: {_words(error)}") from None
    try:
        context.load_cert_chain(files.certificate, files.key)
    except ssl.SSLError as error:
        raise LinkError(f"{files.certificate}: does not fit {files.key}: {_words(error)}") from None
    return context


@dataclass(slots=True, eq=False)
class _Connection:
    """A socket on its way from an address to a conversation."""

    socket: socket.socket
    sender: str  # its address, for what is said about it
    opened: float
    start: Callable[[str, float], Talk] | None  # once we know whom it is with
    closed: Callable[[str], None] | None  # of those that we dialled: why
    language: str = ""  # empty: not agreed on yet
    wanted: str = ""  # who it has to be; empty: whoever of the cluster
    name: str = ""  # who it is; empty until it was proven
    talk: Talk | None = None
    unsent: bytes = b""  # TLS takes a refused piece again only as it was
    events: int = 0

    @property
    def dialled(self) -> bool:
        return self.closed is not None


class Link:
    """All connections of this router. Nothing here raises but the constructor and `listen`."""

    def __init__(
        self,
        cluster: str,
        names: Iterable[str],
        files: Files,
        say: Say,
    ) -> None:
        """Of routers called `names`, ours among them."""
        self._names = {certificate_uri(cluster, name): name for name in names}
        self._files = files
        self._say = say
        self._answers: dict[str, tuple[Callable[[str, float], Talk], Callable[[Talk], None]]] = {}
        self._load(files)
        self._epoll = select.epoll()
        self._listeners: dict[int, socket.socket] = {}
        self._connections: dict[int, _Connection] = {}
        self._due = math.inf  # no conversation has anything to do by itself before

    def _load(self, files: Files) -> None:
        server = _context(files, ssl.PROTOCOL_TLS_SERVER)
        server.num_tickets = 0  # nobody resumes: the name is proven anew each time
        server.set_alpn_protocols(list(self._answers))
        clients = {}
        for language in Language:
            clients[language] = _context(files, ssl.PROTOCOL_TLS_CLIENT)
            clients[language].set_alpn_protocols([language])
        self._server, self._clients = server, clients

    def serve(
        self,
        language: Language,
        answer: Callable[[str, float], Talk],
        left: Callable[[Talk], None],
    ) -> None:
        """`answer` begins to talk with a router that calls; `left`: that has ended."""
        self._answers[language] = answer, left
        self._server.set_alpn_protocols(list(self._answers))

    def reload(self) -> None:
        """Take renewed certificates; conversations go on. Raises `LinkError`, keeping the old."""
        self._load(self._files)

    def listen(self, addresses: Iterable[IPv4Address]) -> None:
        for address in addresses:
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind((str(address), self._files.port))
                listener.listen(CONNECTIONS)
            except OSError as error:
                listener.close()
                raise LinkError(
                    f"{address} port {self._files.port} (TCP): {_words(error)}"
                ) from None
            self._listeners[listener.fileno()] = listener
            self._epoll.register(listener.fileno(), select.EPOLLIN)

    def dial(
        self,
        name: str,
        address: IPv4Address,
        start: Callable[[str, float], Talk],
        closed: Callable[[str], None],
        now: float,
        language: Language = Language.LOG,
    ) -> None:
        """Begin a conversation with this router; `closed` is told why it ended, or never began."""
        dialled = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        refusal = dialled.connect_ex((str(address), self._files.port))
        connection = _Connection(dialled, str(address), now, start, closed, language, name)
        self._connections[dialled.fileno()] = connection
        self._due = min(self._due, now + HANDSHAKE)
        self._epoll.register(dialled.fileno(), select.EPOLLOUT)
        connection.events = select.EPOLLOUT
        if refusal not in (0, errno.EINPROGRESS):
            self._end(connection, os.strerror(refusal).lower())

    def fileno(self) -> int:
        return self._epoll.fileno()

    def handle(self, now: float) -> None:
        """One turn: whatever is ready, and deadlines that have passed."""
        for descriptor, events in self._epoll.poll(0):
            if descriptor in self._listeners:
                self._accept(self._listeners[descriptor], now)
            elif descriptor in self._connections:
                self._advance(self._connections[descriptor], events, now)
        if now >= self._due:
            self._keep_time(now)

    def _keep_time(self, now: float) -> None:
        """What conversations have to do by themselves; what is left is due at once."""
        left, due = AT_ONCE, math.inf
        for connection in list(self._connections.values()):
            deadline = self._deadline(connection)
            if now >= deadline and left:
                left -= 1
                self._remind(connection, now)
                deadline = self._deadline(connection)
                if deadline <= now:
                    deadline = now + BLOCKED
            due = min(due, deadline)
        self._due = due

    def _remind(self, connection: _Connection, now: float) -> None:
        if connection.talk is None:
            self._end(connection, "it does not answer")
        elif connection.talk.silent(now):
            self._end(connection, "it has become silent")
        else:
            self._send(connection, now)

    def _deadline(self, connection: _Connection) -> float:
        if connection.socket.fileno() < 0:
            return math.inf
        if connection.talk is None:
            return connection.opened + HANDSHAKE
        return connection.talk.next_deadline()

    def flush(self, now: float, language: Language = Language.LOG) -> None:
        """Give what is new to every conversation of these, as far as its socket takes it."""
        for connection in list(self._connections.values()):
            if (
                connection.language == language
                and connection.talk is not None
                and not connection.events & select.EPOLLOUT
            ):
                self._send(connection, now)

    def next_deadline(self) -> float | None:
        return self._due if self._connections else None

    def end(self, talk: Talk, why: str) -> None:
        """Hang up."""
        for connection in list(self._connections.values()):
            if connection.talk is talk:
                self._end(connection, why)

    def close(self) -> None:
        for connection in list(self._connections.values()):
            connection.closed = None
            self._drop(connection)
        for listener in self._listeners.values():
            listener.close()
        self._epoll.close()

    # ------------------------------------------------------------------ one connection

    def _accept(self, listener: socket.socket, now: float) -> None:
        for _ in range(UNKNOWN):
            try:
                accepted, (address, _) = listener.accept()
            except OSError:  # nobody any more; or the caller has already left
                return
            unknown = sum(not each.name for each in self._connections.values())
            if unknown >= UNKNOWN or len(self._connections) >= CONNECTIONS:
                accepted.close()
                self._say("turned away: too many connections", address)
                continue
            accepted.setblocking(False)
            connection = _Connection(accepted, address, now, None, None)
            try:
                self._wrap(connection, self._server)
            except OSError:  # it has left while it waited
                connection.socket.close()
                continue
            self._connections[connection.socket.fileno()] = connection
            self._due = min(self._due, now + HANDSHAKE)
            connection.events = select.EPOLLIN
            self._epoll.register(connection.socket.fileno(), select.EPOLLIN)

    def _wrap(self, connection: _Connection, context: ssl.SSLContext) -> None:
        plain = connection.socket
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.socket = context.wrap_socket(
            plain, server_side=context is self._server, do_handshake_on_connect=False
        )

    def _advance(self, connection: _Connection, events: int, now: float) -> None:
        try:
            if not isinstance(connection.socket, ssl.SSLSocket):
                failed = connection.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if failed:
                    raise OSError(failed, os.strerror(failed))
                self._wrap(connection, self._clients[Language(connection.language)])
            if connection.talk is None:
                self._shake_hands(connection, now)
            if connection.talk is not None and events & ~select.EPOLLOUT:
                self._receive(connection, connection.talk, now)
        except ssl.SSLWantReadError:
            self._wait_for(connection, select.EPOLLIN)
            return
        except ssl.SSLWantWriteError:
            self._wait_for(connection, select.EPOLLOUT)
            return
        except (OSError, LinkBroken) as error:
            self._end(connection, _words(error))
            return
        self._send(connection, now)

    def _shake_hands(self, connection: _Connection, now: float) -> None:
        assert isinstance(connection.socket, ssl.SSLSocket)
        connection.socket.do_handshake()
        name = self._who(connection.socket.getpeercert() or {})
        if connection.wanted and name != connection.wanted:
            raise LinkBroken(f"its certificate is for {name!r} and not for {connection.wanted!r}")
        language = connection.socket.selected_alpn_protocol()
        if connection.start is None and language in self._answers:
            connection.language = language
            connection.start, _ = self._answers[language]
        if connection.start is None or connection.language != language:
            raise LinkBroken("it does not speak what we do")
        connection.name = name
        connection.talk = connection.start(name, now)
        self._due = min(self._due, connection.talk.next_deadline())

    def _who(self, certificate: Mapping[str, Any]) -> str:
        """Which router of this cluster a certificate of our authority stands for."""
        alternatives = [value for _, value in certificate.get("subjectAltName", ())]
        for value in alternatives:
            if value in self._names:
                return self._names[value]
        stands_for = ", ".join(alternatives) or "nobody"
        raise LinkBroken(f"its certificate is for {stands_for}, which is no router of this cluster")

    def _receive(self, connection: _Connection, talk: Talk, now: float) -> None:
        assert isinstance(connection.socket, ssl.SSLSocket)
        received: list[bytes] = []
        octets, over = 0, False
        try:
            while octets < PIECE or connection.socket.pending():
                piece = connection.socket.recv(PIECE)
                if not piece:
                    over = True
                    break
                received.append(piece)
                octets += len(piece)
        except ssl.SSLWantReadError:
            pass
        except OSError as error:
            if not received:
                raise
            over = True
            talk.receive(b"".join(received), now)  # REFUSED may be among it, and says more
            raise LinkBroken(_words(error)) from None
        if received:
            talk.receive(b"".join(received), now)
        if over:
            raise LinkBroken("it has hung up")

    def _send(self, connection: _Connection, now: float) -> None:
        """As much as the socket takes, but no more than a piece in a turn."""
        talk = connection.talk
        assert talk is not None
        sent = 0
        try:
            while sent < PIECE:
                connection.unsent = connection.unsent or talk.take(now)
                if not connection.unsent:
                    if talk.closing:
                        self._end(connection, "")
                    else:
                        self._wait_for(connection, select.EPOLLIN)
                    return
                count = connection.socket.send(connection.unsent)
                connection.unsent = connection.unsent[count:]
                sent += count
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except (OSError, LinkBroken) as error:
            self._end(connection, _words(error))
            return
        self._wait_for(connection, select.EPOLLIN | select.EPOLLOUT)

    def _wait_for(self, connection: _Connection, events: int) -> None:
        if connection.events != events:
            self._epoll.modify(connection.socket.fileno(), events)
            connection.events = events

    def _end(self, connection: _Connection, why: str) -> None:
        if connection.socket.fileno() not in self._connections:
            return
        who = connection.name or connection.wanted or "somebody"
        self._drop(connection)
        if connection.closed is not None:
            connection.closed(why)
            return
        if connection.talk is not None:
            _, left = self._answers[connection.language]
            left(connection.talk)
        if why:
            self._say(f"the link with {who} is down", connection.sender, why=why)

    def _drop(self, connection: _Connection) -> None:
        del self._connections[connection.socket.fileno()]
        connection.socket.close()  # leaves the epoll with it


def _words(error: Exception) -> str:
    """Why, for people: OpenSSL's reasons are names of constants."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or str(error)).replace('_', ' ').lower()}"
    if isinstance(error, OSError):
        return (error.strerror or os.strerror(error.errno or errno.EIO)).lower()
    return str(error)
