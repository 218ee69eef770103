"""One Registration Request, and what is found out about it while it is decided on.

What costs time is found out when a rule first asks for it: nobody looks into the table for a
request that does not prove who sent it, and extensions other than the NAI and the authentications
are made values of only in requests that have some.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from ...wire import (
    Challenge,
    ExtensionType,
    NotUnderstood,
    PoorlyFormed,
    RegistrationRequest,
    RequestFlags,
    RevocationSupport,
    WireError,
    parse,
    peek_nai,
    peek_request,
    peek_spi,
    verify,
)
from ...wire.extensions import Extension
from ...wire.messages import REQUEST
from ..effects import Answer, Endpoint, Moment, Verdict
from ..record import Kind, Row
from .associations import Association
from .replay import Freshness, judge
from .service import Service
from .tunnels import Tunnel, choose

# Names of this module: an attribute of an enumeration costs as much as the comparison with it.
_MOBILE_HOME = int(ExtensionType.MOBILE_HOME_AUTHENTICATION)
_FOREIGN_HOME = int(ExtensionType.FOREIGN_HOME_AUTHENTICATION)
_GENERALIZED = int(ExtensionType.GENERALIZED_AUTHENTICATION)
_GENERALIZED_HEADER = 8  # type, sub-type, 16 bits of length, SPI (RFC 4721, 5)
_TUNNELS = int(RequestFlags.MINIMAL | RequestFlags.GRE)
_DECAPSULATION = int(RequestFlags.DECAPSULATION)
_BINDING = int(Kind.BINDING)


def _dotted(address: int) -> bytes:
    return str(IPv4Address(address)).encode()


class Case:
    """What the rules of `decisions` look at."""

    __slots__ = (
        "_foreign_valid",
        "_freshness",
        "_mobile_valid",
        "_rows",
        "_tunnel",
        "answer",
        "association",
        "care_of_address",
        "challenge",
        "destination",
        "flags",
        "foreign",
        "foreign_at",
        "foreign_count",
        "generalized_at",
        "granted_home_agent",
        "home_address",
        "home_agent",
        "identification",
        "key",
        "lifetime",
        "mobile_at",
        "mobile_count",
        "nai",
        "nai_at",
        "now",
        "of_foreign",
        "of_mobile",
        "payload",
        "plain",
        "poorly_formed",
        "service",
        "source",
        "subscriber",
        "unreadable",
    )

    def __init__(
        self,
        service: Service,
        payload: bytes,
        source: Endpoint,
        destination: int,
        now: Moment,
        answer: Answer | None = None,
    ) -> None:
        self.service = service
        self.payload = payload
        self.source = source
        self.destination = destination
        self.now = now
        self.answer = answer
        self.poorly_formed = False
        self._rows: list[Row] | None = None
        self._freshness: Freshness | None = None
        self._mobile_valid: bool | None = None
        self._foreign_valid: bool | None = None
        self._tunnel: Tunnel | None = None
        self.of_mobile: tuple[Extension, ...] = ()
        self.of_foreign: tuple[Extension, ...] = ()
        self.challenge: Challenge | None = None
        try:
            fields, nai_at, authentications = peek_request(payload, 0, len(payload))
        except WireError:
            self.unreadable = True
            return
        self.unreadable = False
        (
            _,
            self.flags,
            self.lifetime,
            self.home_address,
            self.home_agent,
            self.care_of_address,
            self.identification,
        ) = fields
        self.nai_at = nai_at
        self.nai = peek_nai(payload, nai_at) if nai_at else None
        known = REQUEST.size + (2 + payload[nai_at + 1] if nai_at else 0)
        self.mobile_at = self.foreign_at = self.generalized_at = 0
        self.mobile_count = self.foreign_count = 0
        for at in authentications:
            kind = payload[at]
            if kind == _GENERALIZED:
                self.generalized_at = self.generalized_at or at
                known += 4 + (payload[at + 2] << 8 | payload[at + 3])
                continue
            known += 2 + payload[at + 1]
            if kind == _MOBILE_HOME:
                self.mobile_at = self.mobile_at or at
                self.mobile_count += 1
            elif kind == _FOREIGN_HOME:
                self.foreign_at = at
                self.foreign_count += 1
        # The association with the Foreign Agent on the way, if there is one.
        self.foreign = service.foreign_agent(source, self.care_of_address)
        # Nothing but a NAI and authenticators, and the usual tunnel: nearly all requests are so.
        self.plain = known == len(payload) and not self.flags & _TUNNELS
        if not self.plain:
            self._read_extensions()
        self.granted_home_agent = (
            self.home_agent
            if self.home_agent in service.addresses
            else service.home_agent_for(destination)
        )
        self._find_subscriber()

    def _read_extensions(self) -> None:
        """Sorts what is neither NAI nor authentication by who put it there.

        What stands before the Mobile-Home authenticator is the mobile node's. What stands behind
        is the Foreign Agent's, up to its own authenticator if it has to have one: nothing proves
        what comes later.
        """
        try:
            message = parse(self.payload)
        except PoorlyFormed:
            self.poorly_formed = True
            return
        except NotUnderstood:  # a non-skippable extension of a sub-type that nobody knows
            self.unreadable = True
            return
        assert isinstance(message, RegistrationRequest)
        extensions = message.extensions
        kinds = [extension.kind for extension in extensions]
        end = len(kinds)
        if self.foreign is not None:
            end = kinds.index(_FOREIGN_HOME) if _FOREIGN_HOME in kinds else 0
        proof = kinds.index(_MOBILE_HOME) if _MOBILE_HOME in kinds else len(kinds)
        self.of_mobile = extensions[:proof]
        self.of_foreign = extensions[proof:end]
        self.challenge = next((each for each in extensions if isinstance(each, Challenge)), None)

    def _find_subscriber(self) -> None:
        service = self.service
        nai = self.nai
        subscriber = service.directory.subscriber(self.home_address, nai)
        if subscriber is None and nai is None and self.home_address:
            # One whose home address was assigned to its NAI, and which sends the address alone.
            found = service.table.find(self.home_address)
            nai = service.table.nai(found) or None if found else None
            subscriber = service.directory.subscriber(0, nai)
        association: Association | None = None
        key: tuple[int, bytes | None] = (self.home_address, None)
        if subscriber is not None:
            if not subscriber.address:
                key = (0, nai)
            association = subscriber.association
            if association is None and service.learned:
                association = service.learned.get(key[1] or _dotted(self.home_address))
        self.subscriber, self.association, self.key = subscriber, association, key

    @property
    def name(self) -> bytes:
        """What the AAA server knows the mobile node by."""
        return self.key[1] or _dotted(self.home_address)

    @property
    def for_aaa(self) -> tuple[bytes, bytes, int]:
        """What the AAA server judges: octets covered, authenticator, SPI (RFC 4721, 6).

        All are empty without a Mobile-AAA authenticator: then its association is asked for alone.
        """
        at = self.generalized_at
        if not at:
            return b"", b"", 0
        proof = at + _GENERALIZED_HEADER
        end = at + 4 + (self.payload[at + 2] << 8 | self.payload[at + 3])
        return self.payload[:proof], self.payload[proof:end], peek_spi(self.payload, at)

    @property
    def mobile_valid(self) -> bool:
        """Whether the Mobile-Home authenticator proves the mobile node."""
        if self._mobile_valid is None:
            association, at = self.association, self.mobile_at
            self._mobile_valid = (
                association is not None
                and at > 0
                and peek_spi(self.payload, at) == association.spi
                and verify(self.payload, at, association.key)
            )
        return self._mobile_valid

    @property
    def proven(self) -> bool:
        """By its own authenticator; one that has none is proven by what the AAA server says."""
        if self.mobile_at:
            return self.mobile_valid
        return self.answer is not None and self.answer.verdict is Verdict.ACCEPTED

    @property
    def foreign_valid(self) -> bool:
        """Whether exactly one Foreign-Home authenticator is there, and proves the Foreign Agent.

        It covers what was there when the Foreign Agent passed the request on, the mobile node's
        own authenticator among it; so it stands behind that.
        """
        if self._foreign_valid is None:
            association, at = self.foreign, self.foreign_at
            self._foreign_valid = (
                association is not None
                and self.foreign_count == 1
                and at > self.mobile_at
                and peek_spi(self.payload, at) == association.spi
                and verify(self.payload, at, association.key)
            )
        return self._foreign_valid

    @property
    def rows(self) -> list[Row]:
        """What the table has of this mobile node."""
        rows = self._rows
        if rows is None:
            table = self.service.table
            rows = self._rows = [table.get(at) for at in table.rows_of(*self.key)]
        return rows

    @property
    def known_address(self) -> int:
        """The home address that it has by the table, 0 without one.

        One whose binding ended is remembered for a while, but is not its own any more once another
        mobile node has claimed it.
        """
        return next(
            (
                row.home_address
                for row in self.rows
                if row.home_address
                and (row.kind == _BINDING or not self.of_another(row.home_address))
            ),
            0,
        )

    def of_another(self, home_address: int) -> bool:
        """Whether another mobile node is bound to this home address."""
        table, own = self.service.table, self.key[1]
        holders = [
            at for at in table.rows_of(home_address) if int(table.rows["kind"][at]) == _BINDING
        ]
        return any((table.nai(at) or None) != own for at in holders)

    @property
    def bindings(self) -> list[Row]:
        return [row for row in self.rows if row.kind == _BINDING]

    @property
    def tunnel(self) -> Tunnel:
        """The tunnel that it gets, or why it gets none."""
        if self._tunnel is None:
            service = self.service
            nat = not service.relayed_by_udp and self.source.address != self.care_of_address
            self._tunnel = choose(service, self.flags, nat, self.of_mobile, self.of_foreign)
        return self._tunnel

    @property
    def revocation_support(self) -> RevocationSupport | None:
        """Whoever may ask to be told of revocations, if it did (RFC 3543, 4.2.1).

        That is a Foreign Agent that shares an association with us, or a mobile node that is its own
        foreign end; another mobile node may not, and what nothing protects does not count.
        """
        of: tuple[Extension, ...] = ()
        if self.plain:
            return None
        if self.foreign is not None:
            of = self.of_foreign if self.foreign_valid else ()
        elif self.flags & _DECAPSULATION and self.source.address == self.care_of_address:
            of = self.of_mobile
        return next((each for each in of if isinstance(each, RevocationSupport)), None)

    @property
    def nai_extension(self) -> bytes:
        """As it came: a reply has to say it again (RFC 2794, 3)."""
        at = self.nai_at
        return self.payload[at : at + 2 + self.payload[at + 1]] if at else b""

    @property
    def spi(self) -> int:
        """The one that the mobile node used, for the operator."""
        at = 0 if self.unreadable else self.mobile_at or self.generalized_at
        return peek_spi(self.payload, at) if at else 0

    @property
    def mobile(self) -> str:
        """Who it says it is, for the operator."""
        if self.unreadable:
            return ""
        if self.nai is not None:
            return self.nai.decode("utf-8", "backslashreplace")
        return _dotted(self.home_address).decode()

    @property
    def freshness(self) -> Freshness:
        if self._freshness is None:
            assert self.association is not None
            self._freshness = judge(
                self.association,
                self.identification,
                self.care_of_address,
                self.lifetime,
                self.rows,
                self.now.wall,
                self.service.not_before,
            )
        return self._freshness

    @property
    def retransmitted(self) -> bool:
        return self.freshness is Freshness.RETRANSMITTED
