"""Cisco IOS and IOS XE: how it writes its lines. What they are stands in `ios_rows`."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..tree import Grammar
from . import Table, ios_names
from .ios_rows import CONTEXTS
from .sealing import TYPED, VALUE, Sealer

# --- how lines are written ------------------------------------------------------------------------

_GROUP_0 = re.compile(
    r"standby (?=(?:ip|priority|preempt|timers|authentication|name|track|follow|mac-address)\b)"
)
_INTERFACE_WORD = re.compile(
    r"(?<![\w-])(?P<before>(?:passive-|source-)?interface|(?:update-|tunnel |ntp )?source"
    r"|unnumbered) (?P<name>[A-Za-z][A-Za-z-]* ?\d[\d/.:]*)(?= |$)"
)
_HOST_WILDCARD = re.compile(r" ([0-9.]{7,15}) 0\.0\.0\.0(?= |$)")
_FREE_TEXT = ("description ", "remark ", "banner ", "hostname ", "username ", "set ")
_REWRITES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(r" (RO|RW)(?= |$)"), lambda found: found[0].lower()),
    (re.compile(r"^(snmp-server host \S+) (?:traps )?(?:version 1 )?"), r"\1 "),
    (re.compile(r"(?<= spi )(?:0x)?0*([0-9A-Fa-f]+)"), lambda found: found[1].upper()),
    (re.compile(r" subnets(?= |$)(.*)"), r"\1 subnets"),
)


def canonical(line: str) -> str:
    """One way to write a line, of the many that mean the same."""
    if line.startswith(_FREE_TEXT):
        return line
    text = " ".join(line.split()) if "  " in line else line
    if text.startswith("standby "):
        text = _GROUP_0.sub("standby 0 ", text).replace(" authentication text ", " authentication ")
        return text.removesuffix(" decrement 10") if " track " in text else text
    if text.startswith(("permit ", "deny ")):
        return _entry(text)
    if "interface" in text or "source" in text or "unnumbered" in text:
        text = _INTERFACE_WORD.sub(
            lambda found: f"{found['before']} {ios_names.canonical(found['name'])}", text
        )
    if text.startswith(("snmp-server ", "ip mobile ", "redistribute ")):
        for pattern, replacement in _REWRITES:
            text = pattern.sub(replacement, text)
    return text


_MOBILE_IP = re.compile(r" eq 434(?= |$)")  # the one port that lists of ours name; shown by name


def _entry(text: str) -> str:
    """An access list's entry. Of one host: `A` in a standard list, `host A` in an extended one."""
    if " eq 434" in text and text.split(" ", 2)[1] == "udp":
        text = _MOBILE_IP.sub(" eq mobile-ip", text)
    if " host " not in text and " 0.0.0.0" not in text:
        return text
    text = text.replace("0.0.0.0 255.255.255.255", "any")
    words = text.split()
    if len(words) < 4 or (words[-1] == "log" and len(words) < 5):
        return text.replace(" host ", " ").replace(" 0.0.0.0", "")
    return _HOST_WILDCARD.sub(r" host \1", text)


def _list_header(number: str) -> str:
    """Lists 1-99 and 1300-1999 are standard, the others that IP knows are extended."""
    value = int(number)
    standard = value < 100 or 1300 <= value < 2000
    return f"ip access-list {'standard' if standard else 'extended'} {number}"


# --- secrets: which word, see `sealing` ---------------------------------------------------------

_SECRETS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"^standby \d* ?authentication md5 key-string (?P<s1>{TYPED})",
        rf"^standby \d* ?authentication (?:text )?(?!md5 |text )(?P<s1>{VALUE})",
        rf"^snmp-server community (?P<s1>{VALUE})",
        r"^snmp-server user \S+ \S+ v3 (?:encrypted )?auth \S+ "
        rf"(?P<s1>{VALUE})(?: priv (?:aes \d+|3des|des(?:56)?) (?P<s2>{VALUE}))?",
        rf"^snmp-server host \S+ (?:(?:traps|informs) )?version 2c (?P<s1>{VALUE})",
        rf"^snmp-server host \S+ (?:(?:traps|informs) )?(?:version 1 )?(?!version )(?P<s1>{VALUE})",
        rf"^ip mobile secure .* key (?P<s1>{TYPED})",
        rf"^ip ospf message-digest-key \d+ md5 (?P<s1>{TYPED})",
        rf"^ntp authentication-key \d+ md5 (?P<s1>{VALUE}(?: 7)?)",
        rf"^(?:enable|username .*) (?:secret|password) (?P<s1>{TYPED})",
        rf"^crypto isakmp key (?P<s1>{TYPED})",
        # Whatever else may follow a word that announces a secret: better one sealed too much.
        r"(?:^|[ -])(?:password|secret|key-string|pre-shared-key|authentication-key|server-key"
        rf"|psk) (?P<s1>{TYPED})",
        rf"^(?:tacacs-server|radius-server) (?:.* )?key (?P<s1>{TYPED})",
        rf"^key (?P<s1>[07] {VALUE})$",
    )
)

_SECRET_HINT = re.compile(r"key|secret|password|authentication|snmp-server|md5|psk")
_FURNITURE = re.compile(
    r"Building configuration\.\.\.|Current configuration.*|end|version [\d.]+\w*"
    r"|boot-(?:start|end)-marker|exit-(?:address-family|vrf|service)|exit|ntp clock-period \d+"
)
_VOLATILE = re.compile(
    r"Building configuration\.\.\.|Current configuration.*|ntp clock-period \d+"
    r"|! (?:Last configuration change|NVRAM config last updated|No configuration change).*"
)

TABLE = Table(
    grammar=Grammar(
        furniture=_FURNITURE,
        initials=frozenset("BCevbn"),
        volatile=_VOLATILE,
        block=re.compile(r"banner (?:motd|login|exec|incoming|slip-ppp|prompt-timeout) "
                         r"(?P<mark>\^C|\S)"),
    ),
    contexts=CONTEXTS,
    sealer=Sealer(_SECRET_HINT, _SECRETS),
    canonical=canonical,
    settled={
        "interface": frozenset(("no ip address", "shutdown", "duplex auto", "speed auto",
                                "negotiation auto", "media-type rj45")),
    },
    port=ios_names.is_port,
    numbered_list=re.compile(r"access-list (?P<list>\d+) (?P<entry>.+)"),
    list_header=_list_header,
    entry_number=re.compile(r"\d+ (?=permit|deny|remark)"),
)  # fmt: skip
