"""Proofs of secrets, once they are open: a key that is too long is cut silently by some routers.

No message contains a key, nor its length: the length of a password helps who guesses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from ..errors import Place, Problem
from ..model import Peer, Subscriber
from ..secrets import KEY_OCTETS, KEY_WORDS, SecretRef, octets
from .fleet import Site, devices
from .service import associations


@dataclass(frozen=True, slots=True)
class KeyRule:
    """What a key of one use must be."""

    id: str
    use: str
    allowed: str
    fits: Callable[[str], bool]


def _mobility(clear: str) -> bool:
    key = octets(clear)
    return key is not None and len(key) == KEY_OCTETS


def _line(clear: str, low: int, high: int) -> bool:
    """One printable ASCII word: a blank ends a word of a configuration, `?` asks for help."""
    return (
        low <= len(clear) <= high
        and clear.isascii()
        and clear.isprintable()
        and not set(clear) & set(" ?\"'\\")
    )


# Lengths: MD5's block key on IOS (`key hex` takes 32 digits); `standby authentication md5
# key-string` up to 64; the authentication data of HSRP version 1 and of VRRP version 2 has 8
# octets (RFC 2281 section 5.1, RFC 2338 section 5.3.10); OSPF's key 16 (RFC 2328 section D.3);
# SNMPv3 passphrases at least 8 (RFC 3414 section 11.2).
KEYS = {
    rule.id: rule
    for rule in (
        KeyRule("mobility", "a mobility key", f"16 octets: {KEY_WORDS}", _mobility),
        KeyRule("hsrp-md5", "an HSRP MD5 key", "1 to 64 characters", lambda k: _line(k, 1, 64)),
        KeyRule("group-text", "a text password of a group", "1 to 8 characters",
                lambda k: _line(k, 1, 8)),
        KeyRule("ospf-md5", "an OSPF MD5 key", "1 to 16 characters", lambda k: _line(k, 1, 16)),
        KeyRule("community", "an SNMP community", "1 to 32 characters", lambda k: _line(k, 1, 32)),
        KeyRule("radius", "a RADIUS secret", "1 to 128 characters", lambda k: _line(k, 1, 128)),
        KeyRule("certificate", "a certificate", "PEM, as hacc pki writes it",
                lambda k: k.startswith("-----BEGIN CERTIFICATE-----\n")),
        KeyRule("private-key", "the key of a certificate", "PEM, as hacc pki writes it",
                lambda k: k.startswith("-----BEGIN PRIVATE KEY-----\n")),
        KeyRule("snmp-v3", "an SNMPv3 passphrase", "8 to 64 characters",
                lambda k: _line(k, 8, 64)),
    )
}  # fmt: skip


_ANY_TEXT = frozenset({"mobility", "certificate", "private-key"})  # what is not a word of a line


def uses(site: Site) -> Iterator[tuple[SecretRef, KeyRule, str, Place]]:
    """Every secret of the models, what it is used for, by whom, and where that was said."""
    for device in devices(site):
        for words, security in associations(device):
            yield security.key, KEYS["mobility"], words, security.place
        for group in device.groups:
            if (found := group.authentication) is not None:
                rule = KEYS["hsrp-md5" if found.method == "md5" else "group-text"]
                yield found.key, rule, f"group {group.name}", found.place
        if device.ospf.key is not None:
            yield device.ospf.key, KEYS["ospf-md5"], f"cluster {device.cluster}", device.ospf.place
        if device.radius is not None:
            yield device.radius.secret, KEYS["radius"], "the RADIUS server", device.radius.place
        if (link := device.link) is not None:
            words = f"the link of {device.host}"
            yield link.authority, KEYS["certificate"], words, link.place
            yield link.certificate, KEYS["certificate"], words, link.place
            yield link.key, KEYS["private-key"], words, link.place
        known: tuple[Subscriber | Peer, ...] = ()
        if (service := device.service) is not None:
            known = (*service.realms, *service.nodes, *service.foreign_agents)
        for asker in known:
            if asker.aaa is not None:
                yield asker.aaa, KEYS["radius"], "the RADIUS server", asker.place
        snmp = device.snmp
        words = f"cluster {device.cluster}"
        if snmp.community is not None:
            yield snmp.community, KEYS["community"], words, snmp.place
        for ref in (snmp.auth, snmp.priv):
            if ref is not None:
                yield ref, KEYS["snmp-v3"], words, snmp.place


def prove_keys(site: Site, opened: Mapping[str, str]) -> list[Problem]:
    """Every secret that does not fit its use. `opened` maps references to clear values."""
    found: dict[tuple[Place, str], Problem] = {}
    for ref, rule, words, place in uses(site):
        if not rule.fits(opened[ref.ref]):
            plain = "" if rule.id in _ANY_TEXT else ", without blanks, quotes, `?` and backslashes"
            message = f"{ref.ref} is not fit to be {rule.use}"
            found.setdefault(
                (place, message), Problem(place, words, message, allowed=rule.allowed + plain)
            )
    return list(found.values())
