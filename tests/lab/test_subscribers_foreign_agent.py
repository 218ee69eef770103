"""The Foreign Agent against RFC 5944, 2.3 and 3.7, RFC 2794 and RFC 3543."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hacc_agent.config import Algorithm
from hacc_agent.wire import (
    AgentAdvertisement,
    AgentFlags,
    Authentication,
    Challenge,
    EncapsulatingDelivery,
    ExtensionType,
    Key,
    MobilityAgent,
    NetworkAccessIdentifier,
    RegistrationReply,
    RegistrationRequest,
    RegistrationRevocation,
    ReplyCode,
    RequestFlags,
    RevocationAcknowledgement,
    RevocationFlags,
    authenticate,
    parse,
    parse_discovery,
    verify,
)
from lab.subscribers.association import Association
from lab.subscribers.foreign_agent import ADVERTISING_S, ForeignAgent, ToHomeAgent, ToVisitor
from lab.subscribers.visitors import PENDING_S
from tests.lab.registration import (
    CARE_OF,
    FOREIGN,
    HOME_ADDRESS,
    HOME_AGENT,
    MOBILE,
    at,
    kinds,
    reply,
)

VISITOR = 3
NAI = NetworkAccessIdentifier(b"mn1@example.net")


def agent(**changes: Any) -> ForeignAgent:
    return ForeignAgent(CARE_OF, **{"association": FOREIGN} | changes)


def asked(identification: int = 1 << 32 | 77, *, behind: bytes = b"", **changes: Any) -> bytes:
    """A request as a mobile node sends it; `behind` follows its authenticator."""
    fields = RegistrationRequest(
        RequestFlags(0), 600, HOME_ADDRESS, HOME_AGENT, CARE_OF, identification
    )
    octets = replace(fields, **changes).to_bytes()
    kind = ExtensionType.MOBILE_HOME_AUTHENTICATION
    return authenticate(octets, kind, MOBILE.spi, MOBILE.key) + behind


def relayed(foreign: ForeignAgent, octets: bytes, seconds: float = 0.0) -> bytes:
    """What goes on to the Home Agent."""
    (effect,) = foreign.request(octets, VISITOR, at(seconds))
    assert isinstance(effect, ToHomeAgent)
    assert effect.port == 434
    return effect.payload


def told(foreign: ForeignAgent, octets: bytes, seconds: float = 0.1) -> RegistrationReply:
    """What the visitor hears when these octets come from home."""
    (effect,) = foreign.receive(octets, int(HOME_AGENT), 434, at(seconds))
    assert isinstance(effect, ToVisitor)
    assert effect.visitor == VISITOR
    message = parse(effect.payload)
    assert isinstance(message, RegistrationReply)
    return message


def visit(foreign: ForeignAgent, *, seconds: float = 0.0, **changes: Any) -> None:
    """Register somebody."""
    sent = relayed(foreign, asked(**changes), seconds)
    assert told(foreign, reply(sent, foreign=FOREIGN), seconds).code == 0


def advertised(foreign: ForeignAgent) -> MobilityAgent:
    heard = parse_discovery(foreign.advertisement(at(0)))
    assert isinstance(heard, AgentAdvertisement)
    assert heard.agent is not None
    return heard.agent


# Advertising -----------------------------------------------------------------------------------


def test_2_1_1_an_advertisement_says_what_the_agent_offers() -> None:
    said = advertised(agent(lifetime=900))
    assert (said.care_of_addresses, said.lifetime, said.sequence) == ((CARE_OF,), 900, 0)
    assert AgentFlags.FOREIGN_AGENT | AgentFlags.REVERSE_TUNNEL in said.flags
    assert AgentFlags.HOME_AGENT not in said.flags


def test_2_3_2_the_sequence_rolls_over_to_256() -> None:
    foreign = agent()
    numbers = [advertised(foreign).sequence for _ in range(0x10002)]
    assert (numbers[0], numbers[0xFFFF], numbers[0x10000]) == (0, 0xFFFF, 256)


def test_rfc1256_an_agent_advertises_now_and_then() -> None:
    foreign = agent()
    assert foreign.handle_timer(at(0))[0]
    assert foreign.handle_timer(at(ADVERTISING_S - 1)) == (b"", [])
    assert foreign.handle_timer(at(ADVERTISING_S))[0]


def test_a_full_agent_says_that_it_is_busy() -> None:
    foreign = agent(pending_limit=1)
    relayed(foreign, asked())
    assert AgentFlags.BUSY in advertised(foreign).flags


# Relaying requests -----------------------------------------------------------------------------


def test_3_7_2_2_nothing_up_to_the_mobile_home_authenticator_is_changed() -> None:
    octets = asked(extensions=(NAI,))
    assert relayed(agent(association=None), octets) == octets


def test_3_7_2_2_with_a_key_the_agent_proves_itself() -> None:
    octets = asked()
    sent = relayed(agent(), octets)
    assert sent.startswith(octets)
    assert kinds(sent) == [32, 137, 34]
    assert verify(sent, len(sent) - 22, FOREIGN.key)


def test_3_7_2_2_a_deregistration_is_not_proved() -> None:
    assert kinds(relayed(agent(), asked(lifetime=0))) == [32]


def test_3_7_2_2_extensions_for_the_foreign_agent_are_removed() -> None:
    behind = EncapsulatingDelivery().to_bytes() + Challenge(b"1234").to_bytes()
    behind = authenticate(
        asked(behind=behind),
        ExtensionType.MOBILE_FOREIGN_AUTHENTICATION,
        0x300,
        Key(Algorithm.HMAC_MD5, b"z" * 16),
    )
    assert relayed(agent(association=None), behind) == asked()


def test_3_7_2_2_it_goes_to_whom_the_request_names() -> None:
    (effect,) = agent().request(asked(home_agent=IPv4Address("198.18.1.22")), VISITOR, at(0))
    assert isinstance(effect, ToHomeAgent)
    assert effect.address == int(IPv4Address("198.18.1.22"))


@pytest.mark.parametrize("field", ["0.0.0.0", "255.255.255.255"])
def test_rfc4433_who_has_no_home_agent_is_sent_to_the_one_configured(field: str) -> None:
    octets = asked(home_agent=IPv4Address(field), extensions=(NAI,))
    (effect,) = agent(home_agent=HOME_AGENT).request(octets, VISITOR, at(0))
    assert isinstance(effect, ToHomeAgent)
    assert effect.address == int(HOME_AGENT)
    assert effect.payload.startswith(octets)


# Refusing them ---------------------------------------------------------------------------------

UNKNOWN = asked()[:24]  # without any authenticator


@pytest.mark.parametrize(
    ("code", "octets"),
    [
        pytest.param(194, asked(home_agent=CARE_OF), id="3.7.2 our own address as Home Agent"),
        pytest.param(70, asked(flags=RequestFlags.RESERVED), id="3.7.2.1 x bit"),
        pytest.param(70, asked(flags=RequestFlags.VAN_JACOBSON), id="3.7.2.1 r bit"),
        pytest.param(70, UNKNOWN, id="3.6.1.3 no authorization-enabling extension"),
        pytest.param(
            77, asked(care_of_address=IPv4Address("198.18.9.9")), id="3.7.2.1 care-of address"
        ),
        pytest.param(69, asked(lifetime=1801), id="3.7.2.3 lifetime too long"),
        pytest.param(72, asked(flags=RequestFlags.GRE), id="3.4 GRE"),
        pytest.param(72, asked(flags=RequestFlags.MINIMAL), id="3.4 minimal encapsulation"),
        pytest.param(90, asked(home_agent=IPv4Address(0)), id="RFC 4433 nobody to send it to"),
        pytest.param(96, asked(home_address=IPv4Address(0)), id="RFC 2794 nobody at all"),
    ],
)
def test_a_request_is_refused(code: int, octets: bytes) -> None:
    (effect,) = agent(lifetime=1800).request(octets, VISITOR, at(0))
    assert isinstance(effect, ToVisitor)
    denial = parse(effect.payload)
    assert isinstance(denial, RegistrationReply)
    request = parse(octets)
    assert isinstance(request, RegistrationRequest)
    assert denial.code == code
    assert denial.lifetime == (1800 if code == 69 else request.lifetime)
    assert (denial.home_address, denial.home_agent, denial.identification) == (
        request.home_address,
        request.home_agent,
        request.identification,
    )


def test_3_7_2_1_a_co_located_care_of_address_is_the_nodes_own_affair() -> None:
    flags, care_of = RequestFlags.DECAPSULATION, IPv4Address("198.18.9.9")
    relayed(agent(), asked(flags=flags, care_of_address=care_of))


def test_3_7_1_beyond_its_limit_it_has_no_resources() -> None:
    foreign = agent(pending_limit=2)
    for number in (1, 2):
        relayed(foreign, asked(home_address=IPv4Address(number)))
    (effect,) = foreign.request(asked(home_address=IPv4Address(3)), VISITOR, at(0))
    assert effect.payload[1] == ReplyCode.FOREIGN_NO_RESOURCES


def test_3_7_2_a_visitor_hears_no_more_than_one_denial_a_second() -> None:
    foreign, wrong = agent(), asked(flags=RequestFlags.RESERVED)
    answers = [len(foreign.request(wrong, VISITOR, at(t))) for t in (0, 0.5, 0.99, 1.0, 1.5)]
    assert answers == [1, 0, 0, 1, 0]


@given(st.binary(max_size=100))
def test_octets_of_anybody_on_the_link_are_harmless(octets: bytes) -> None:
    for effect in agent().request(octets, VISITOR, at(0)):
        assert isinstance(effect, ToVisitor)  # a denial at most: they prove nothing


# Relaying replies ------------------------------------------------------------------------------


def test_3_7_3_2_what_is_proved_to_the_node_is_passed_on_and_the_rest_removed() -> None:
    foreign = agent()
    sent = relayed(foreign, asked())
    (effect,) = foreign.receive(reply(sent, foreign=FOREIGN), int(HOME_AGENT), 434, at(0.1))
    assert effect.payload == reply(sent)


def test_3_7_3_2_an_accepted_visitor_is_on_the_list_for_as_long() -> None:
    foreign = agent()
    sent = relayed(foreign, asked(flags=RequestFlags.REVERSE_TUNNEL))
    told(foreign, reply(sent, lifetime=300, foreign=FOREIGN), 2.0)
    (entry,) = foreign.visitors
    assert (entry.visitor, entry.home_address, entry.home_agent) == (
        VISITOR,
        int(HOME_ADDRESS),
        int(HOME_AGENT),
    )
    assert (entry.flags, entry.lifetime) == (RequestFlags.REVERSE_TUNNEL, 300)
    foreign.handle_timer(at(301.9))
    assert len(foreign.visitors) == 1  # it counts from the reply: longer than the node believes
    foreign.handle_timer(at(302.3))
    assert len(foreign.visitors) == 0


def test_3_7_3_2_its_own_limit_holds_for_the_list() -> None:
    foreign = agent(lifetime=700)
    told(foreign, reply(relayed(foreign, asked()), lifetime=65000, foreign=FOREIGN))
    assert [entry.lifetime for entry in foreign.visitors] == [700]


def test_3_7_3_2_a_deregistration_takes_the_entry_away() -> None:
    foreign = agent()
    visit(foreign)
    visit(foreign, identification=2 << 32 | 78, lifetime=0, seconds=5)
    assert len(foreign.visitors) == 0


def test_3_7_2_a_denied_renewal_leaves_the_entry_as_it_was() -> None:
    foreign = agent()
    visit(foreign)
    before = list(foreign.visitors)
    sent = relayed(foreign, asked(2 << 32 | 78), 5)
    assert told(foreign, reply(sent, 130, foreign=FOREIGN), 5.1).code == 130
    assert list(foreign.visitors) == before
    assert foreign.visitors.pending == 0


def test_3_7_2_the_entry_stays_while_a_new_request_waits() -> None:
    foreign = agent()
    visit(foreign)
    relayed(foreign, asked(2 << 32 | 78), 5)
    assert (len(foreign.visitors), foreign.visitors.pending) == (1, 1)


def test_rfc2794_two_visitors_without_an_address_are_told_apart_by_name() -> None:
    foreign, nobody = agent(), IPv4Address(0)
    names = [NetworkAccessIdentifier(b"mn%d@example.net" % n) for n in (1, 2)]
    sent = [
        relayed(foreign, asked(home_address=nobody, extensions=(name,))) for name in names
    ]  # with the same Identification, too
    for octets, last in zip(reversed(sent), (2, 1), strict=True):
        home = IPv4Address(f"198.19.64.{last}")
        told(foreign, reply(octets, home_address=home, foreign=FOREIGN))
    assert {entry.nai: entry.home_address & 0xFF for entry in foreign.visitors} == {
        b"mn1@example.net": 1,
        b"mn2@example.net": 2,
    }


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"identification": 5}, id="3.7.3.1 low 32 bits of another request"),
        pytest.param({"home_address": IPv4Address(5)}, id="3.7.3.1 another home address"),
    ],
)
def test_a_reply_to_nothing_that_was_asked_is_dropped(change: dict[str, Any]) -> None:
    foreign = agent()
    stray = reply(relayed(foreign, asked()), foreign=FOREIGN, **change)
    assert foreign.receive(stray, int(HOME_AGENT), 434, at(0.1)) == []
    assert foreign.counters["replies unexpected"] == 1
    assert foreign.visitors.pending == 1


STRANGER = Association(0x200, Key(Algorithm.HMAC_MD5, b"x" * 16))


@pytest.mark.parametrize(
    "foreign_key",
    [
        pytest.param(None, id="none"),
        pytest.param(STRANGER, id="another key"),
        pytest.param(Association(0x999, FOREIGN.key), id="another SPI"),
    ],
)
def test_3_7_3_1_an_unproven_reply_is_code_68(foreign_key: Association | None) -> None:
    foreign = agent()
    denial = told(foreign, reply(relayed(foreign, asked()), foreign=foreign_key))
    assert (denial.code, denial.extensions) == (68, ())
    assert len(foreign.visitors) == 0


def test_3_7_3_1_two_foreign_home_authenticators_are_one_too_many() -> None:
    foreign = agent()
    octets = reply(relayed(foreign, asked()), foreign=FOREIGN)
    assert told(foreign, octets + octets[-22:]).code == 68


def test_3_7_1_a_reply_to_a_deregistration_needs_no_proof_but_a_false_one_is_refused() -> None:
    foreign = agent()
    assert told(foreign, reply(relayed(foreign, asked(lifetime=0)))).code == 0
    sent = relayed(foreign, asked(lifetime=0))
    assert told(foreign, reply(sent, foreign=STRANGER)).code == 68


@pytest.mark.parametrize(
    ("code", "change"),
    [
        (98, {"home_agent": IPv4Address(0)}),
        (99, {"home_address": IPv4Address(0)}),
    ],
)
def test_rfc2794_a_reply_to_a_name_says_who_and_where(code: int, change: dict[str, Any]) -> None:
    foreign = agent()
    sent = relayed(foreign, asked(home_address=IPv4Address(0), extensions=(NAI,)))
    granted = {"home_address": IPv4Address("198.19.64.9")} | change
    assert told(foreign, reply(sent, foreign=FOREIGN, **granted)).code == code


def test_rfc2794_a_reply_to_a_name_repeats_it() -> None:
    foreign = agent()
    sent = relayed(foreign, asked(extensions=(NAI,)))
    nameless = reply(asked(), foreign=FOREIGN)
    assert NAI in parse(sent).extensions  # type: ignore[union-attr]  # it is a request
    assert told(foreign, nameless).code == ReplyCode.MISSING_NAI


@given(st.binary(max_size=100))
def test_octets_of_anybody_from_home_are_dropped(octets: bytes) -> None:
    foreign = agent()
    relayed(foreign, asked())
    assert foreign.receive(octets, 1, 434, at(0)) == []


# Waiting ---------------------------------------------------------------------------------------


def test_3_7_1_who_is_not_answered_within_7_s_hears_of_it() -> None:
    foreign = agent()
    relayed(foreign, asked())
    foreign.handle_timer(at(0))
    assert foreign.handle_timer(at(PENDING_S - 0.1)) == (b"", [])
    _, (effect,) = foreign.handle_timer(at(PENDING_S + 0.2))
    assert effect.payload[1] == ReplyCode.FOREIGN_TIMEOUT
    assert foreign.visitors.pending == 0


@pytest.mark.parametrize(
    ("icmp", "code"), [(0, 80), (1, 81), (3, 82), (13, 88)], ids=lambda n: str(n)
)
def test_3_7_3_an_icmp_error_becomes_a_code(icmp: int, code: int) -> None:
    foreign = agent()
    sent = relayed(foreign, asked())
    (effect,) = foreign.unreachable(sent, icmp, at(0.1))
    assert effect.payload[1] == code
    assert foreign.unreachable(sent, icmp, at(5)) == []  # it was settled


# Revocation ------------------------------------------------------------------------------------


def revocation(identifier: int = 9, association: Association = FOREIGN) -> bytes:
    message = RegistrationRevocation(
        RevocationFlags.HOME_AGENT, HOME_ADDRESS, HOME_AGENT, CARE_OF, identifier
    )
    kind = ExtensionType.FOREIGN_HOME_AUTHENTICATION
    return authenticate(message.to_bytes(), kind, association.spi, association.key)


def test_rfc3543_4_2_a_revoked_visitor_is_gone_and_home_hears_of_it() -> None:
    foreign = agent()
    visit(foreign)
    (effect,) = foreign.receive(revocation(), int(HOME_AGENT), 434, at(1))
    assert isinstance(effect, ToHomeAgent)
    answer = parse(effect.payload)
    assert isinstance(answer, RevocationAcknowledgement)
    assert (answer.home_address, answer.identifier) == (HOME_ADDRESS, 9)
    assert isinstance(answer.extensions[-1], Authentication)
    assert verify(effect.payload, len(effect.payload) - 22, FOREIGN.key)
    assert len(foreign.visitors) == 0


def test_rfc3543_5_1_an_older_revocation_comes_too_late() -> None:
    foreign = agent()
    assert foreign.receive(revocation(9), 1, 434, at(1))
    visit(foreign, seconds=2)
    assert foreign.receive(revocation(8), 1, 434, at(3)) == []
    assert len(foreign.visitors) == 1


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(revocation(association=STRANGER), id="another key"),
        pytest.param(revocation()[:-22], id="no authenticator"),
        pytest.param(revocation()[:-1], id="cut off"),
    ],
)
def test_rfc3543_who_cannot_prove_itself_revokes_nothing(octets: bytes) -> None:
    foreign = agent()
    visit(foreign)
    assert foreign.receive(octets, int(HOME_AGENT), 434, at(1)) == []
    assert len(foreign.visitors) == 1
