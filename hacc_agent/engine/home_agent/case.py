"""One Registration Request, and what is found out about it while it is decided on.

What costs time is found out when a rule first asks for it: nobody looks into the table for a
request that does not prove who sent it, and extensions other than the NAI and the authentications
are made values of only in requests that have some.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from ...wire import (
    ExtensionType,
    NotUnderstood,
    PoorlyFormed,
    WireError,
    parse,
    peek_nai,
    peek_request,
    peek_spi,
    verify,
)
from ...wire.extensions import Extension
from ...wire.messages import REQUEST
from ..effects import Endpoint, Moment
from ..record import Kind, Row
from .associations import Association, Subscriber
from .replay import Freshness, judge
from .service import Service

# Names of this module: an attribute of an enumeration costs as much as the comparison with it.
_MOBILE_HOME = int(ExtensionType.MOBILE_HOME_AUTHENTICATION)
_FOREIGN_HOME = int(ExtensionType.FOREIGN_HOME_AUTHENTICATION)
_GENERALIZED = int(ExtensionType.GENERALIZED_AUTHENTICATION)
_BINDING = int(Kind.BINDING)


class Case:
    """What the rules of `decisions` look at."""

    __slots__ = (
        "_extensions",
        "_foreign",
        "_foreign_valid",
        "_freshness",
        "_rows",
        "association",
        "authentications",
        "care_of_address",
        "destination",
        "flags",
        "foreign_at",
        "foreign_count",
        "generalized_at",
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
        "payload",
        "poorly_formed",
        "service",
        "source",
        "subscriber",
        "unreadable",
    )

    def __init__(
        self, service: Service, payload: bytes, source: Endpoint, destination: int, now: Moment
    ) -> None:
        self.service = service
        self.payload = payload
        self.source = source
        self.destination = destination
        self.now = now
        self.poorly_formed = False
        self._rows: list[Row] | None = None
        self._freshness: Freshness | None = None
        self._foreign_valid: bool | None = None
        self._extensions: tuple[Extension, ...] = ()
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
        if known != len(payload):
            self._read_extensions()
        self._find_subscriber()
        self._foreign = service.foreign_agent(source, self.care_of_address)

    def _read_extensions(self) -> None:
        try:
            message = parse(self.payload)
        except PoorlyFormed:
            self.poorly_formed = True
        except NotUnderstood:  # a non-skippable extension of a sub-type that nobody knows
            self.unreadable = True
        else:
            self._extensions = getattr(message, "extensions", ())

    def _find_subscriber(self) -> None:
        service = self.service
        nai = self.nai
        if nai is None and self.home_address:
            # One whose home address was assigned to its NAI, and which sends the address alone.
            found = service.table.find(self.home_address, None)
            nai = service.table.nai(found) or None if found else None
        subscriber: Subscriber | None = service.directory.subscriber(self.home_address, nai)
        association: Association | None = None
        key: tuple[int, bytes | None] = (self.home_address, None)
        if subscriber is not None:
            association = subscriber.association
            if not subscriber.address:
                key = (0, nai)
                if association is None and nai is not None:
                    association = service.learned.get(nai)
        self.subscriber, self.association, self.key = subscriber, association, key

    @property
    def foreign(self) -> Association | None:
        """The association with the Foreign Agent on the way, if there is one."""
        return self._foreign

    @property
    def mobile_valid(self) -> bool:
        """Whether the Mobile-Home authenticator proves the mobile node."""
        association, at = self.association, self.mobile_at
        return (
            association is not None
            and at > 0
            and peek_spi(self.payload, at) == association.spi
            and verify(self.payload, at, association.key)
        )

    @property
    def foreign_valid(self) -> bool:
        """Whether exactly one Foreign-Home authenticator is there, and proves the Foreign Agent.

        It covers what was there when the Foreign Agent passed the request on, the mobile node's
        own authenticator among it; so it stands behind that.
        """
        if self._foreign_valid is None:
            association, at = self._foreign, self.foreign_at
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
            rows = []
            at = table.find(*self.key)
            while at:
                rows.append(table.get(at))
                at = table.following(at)
            self._rows = rows
        return rows

    @property
    def bindings(self) -> list[Row]:
        return [row for row in self.rows if row.kind == _BINDING]

    @property
    def nai_extension(self) -> bytes:
        """As it came: a reply has to say it again (RFC 2794, 3)."""
        at = self.nai_at
        return self.payload[at : at + 2 + self.payload[at + 1]] if at else b""

    @property
    def spi(self) -> int:
        """The one that the mobile node used, for the operator."""
        return (
            0 if self.unreadable or not self.mobile_at else peek_spi(self.payload, self.mobile_at)
        )

    @property
    def mobile(self) -> str:
        """Who it says it is, for the operator."""
        if self.unreadable:
            return ""
        if self.nai is not None:
            return self.nai.decode("utf-8", "backslashreplace")
        return str(IPv4Address(self.home_address))

    @property
    def granted_home_agent(self) -> int:
        """For the reply's Home Agent field: the request's, if that is ours (RFC 5944, 3.8.3.2)."""
        service = self.service
        if self.home_agent in service.addresses:
            return self.home_agent
        if self.destination in service.addresses and self.destination != service.home_agent_address:
            return self.destination
        return service.assigned

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
            )
        return self._freshness

    @property
    def retransmitted(self) -> bool:
        return self.freshness is Freshness.RETRANSMITTED
