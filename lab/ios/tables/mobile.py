"""Mobile IP: `router mobile`, pools, and every `ip mobile` form that a Home Agent cluster needs.

Forms come from the command references of 12.4(15)XM and 12.3T and from published configurations.
Where only the name of a command is documented, its operands are carried as they are.
"""

from __future__ import annotations

from ..rules import mobile
from ..tree import Row
from .rows import block

_GATE = mobile.require_router
_OPTIONS = (
    "(aaa [load-sa [permanent]]|authorized-pool <authorized:word>|care-of-access <access:word>"
    "|lifetime <lifetime:3-65535>|skip-aaa-reauthentication)*"
)
_HOME = "(interface <name:if>|virtual-network <network:ip> <mask:mask>)"
_SPI = "(spi <spi:spi>|inbound-spi <inbound:spi> outbound-spi <outbound:spi>)"
_KEY = (
    "key (hex <hex:hex>|ascii <ascii:word>) (replay timestamp [<window:1-255>]"
    "|algorithm (md5 [mode prefix-suffix]|hmac-md5)|mode prefix-suffix|ignore-spi)*"
)


def _secure(peer: str) -> tuple[Row, ...]:
    """The security associations of one kind of peer: by range, by address, by NAI."""
    words = f"ip mobile secure {peer}"
    return (
        Row(
            f"{words} <low:ip> <high:ip> {_SPI} / {_KEY}",
            set=_GATE,
            key=f"{words} {{low}} {{high}} spi {{spi}} {{inbound}} {{outbound}}",
        ),
        Row(
            f"{words} <low:ip> {_SPI} / {_KEY}",
            set=_GATE,
            key=f"{words} {{low}} spi {{spi}} {{inbound}} {{outbound}}",
        ),
        Row(
            f"{words} nai <nai:word> {_SPI} / {_KEY}",
            set=_GATE,
            key=f"{words} nai {{nai}} spi {{spi}} {{inbound}} {{outbound}}",
        ),
    )


COMMANDS = (
    *block("config", 40, Row("router mobile", enters="mobile", unset=mobile.remove_router)),
    *block("mobile", 0, "distance / <distance:1-255>"),
    *block(
        "config",
        43,
        Row("ip local pool <pool:word> <low:ip> / [<high:ip>]", unset=mobile.remove_pool),
        Row("ip local pool <pool:word>", only_no=True, unset=mobile.remove_pool),
    ),
    *block(
        "config",
        50,
        Row(
            "ip mobile home-agent / (broadcast|care-of-access <access:word>"
            "|lifetime <lifetime:3-65535>|nat-detect|replay <replay:1-255>|reverse-tunnel-off"
            "|roam-access <roam:word>|strip-nai-realm|suppress-unreachable|local-timezone"
            "|unknown-ha <unknown:accept|deny>)*",
            set=_GATE,
        ),
        Row("ip mobile home-agent address / <address:ip>", set=_GATE),
        Row("ip mobile home-agent dynamic-address / <address:ip>", set=_GATE),
        Row("ip mobile home-agent accounting / <list:word>", set=_GATE),
        Row("ip mobile home-agent dfp-max-weight / <weight:1-100>", set=_GATE),
        Row("ip mobile home-agent host-config / <url:word>", set=_GATE),
        Row("ip mobile home-agent hotline / [<rest:line>]", set=_GATE),
        Row("ip mobile home-agent max-binding / <bindings:1-1000000>", set=_GATE),
        Row("ip mobile home-agent max-cps / <calls:1-100000>", set=_GATE),
        Row("ip mobile home-agent multi-path / [<rest:line>]", set=_GATE),
        Row("ip mobile home-agent reject-static-addr", set=_GATE),
        Row("ip mobile home-agent resync-sa / <seconds:1-65535>", set=_GATE),
        Row(
            "ip mobile home-agent revocation / (timeout <timeout:1-100>"
            "|retransmit <retransmit:0-100>|timestamp [<unit:=msec>])*",
            set=_GATE,
        ),
        Row("ip mobile home-agent revocation ignore <list:word>", set=_GATE),
        Row("ip mobile home-agent service-policy / <rest:line>", set=_GATE),
        Row(
            "ip mobile home-agent template tunnel <tunnel:0-2147483647> / [address <address:ip>]",
            set=_GATE,
        ),
        Row("ip mobile home-agent redundancy periodic-sync", set=_GATE),
        Row(
            "ip mobile home-agent redundancy <standby:word> / [virtual-network "
            "[address <address:ip>]] [mode active-standby]",
            set=_GATE,
        ),
        Row(
            "ip mobile home-agent standby <standby:word> / [virtual-network "
            "[address <address:ip>]]",
            key="ip mobile home-agent redundancy {standby}",
            set=mobile.set_redundancy,
        ),
        Row(
            "ip mobile virtual-network <network:ip> <mask:mask> / [address <address:ip>]",
            set=mobile.set_virtual_network,
            unset=mobile.remove_virtual_network,
        ),
        Row("ip mobile realm <realm:word> / <rest:line>", set=_GATE),
        Row(f"ip mobile host <low:ip> <high:ip> / {_HOME} {_OPTIONS}", set=mobile.set_host),
        Row(f"ip mobile host <low:ip> / {_HOME} {_OPTIONS}", set=mobile.set_host),
        Row(
            "ip mobile host nai <nai:word> / [static-address (<address:ip>"
            "|local-pool <static_pool:word>)] [address (<fixed:ip>|pool (local <pool:word>"
            "|dhcp-proxy-client [dhcp-server <server:ip>]))] "
            f"{_HOME} {_OPTIONS}",
            set=mobile.set_host,
        ),
        Row("ip mobile mobile-networks <low:ip> [<high:ip>]", enters="mobile-networks", set=_GATE),
        *_secure("host"),
        *_secure("home-agent"),
        *_secure("foreign-agent"),
        *_secure("visitor"),
        *_secure("proxy-host"),
        Row("ip mobile secure mn-aaa <rest:line>", set=_GATE),
        Row("ip mobile secure aaa-download <rest:line>", set=_GATE),
        Row(
            "ip mobile foreign-agent care-of <name:if> / [interface-only] [transmit-only]",
            set=_GATE,
        ),
        Row("ip mobile foreign-agent reg-wait / <seconds:5-600>", set=_GATE),
        Row(
            "ip mobile foreign-agent <what:local-timezone|reverse-tunnel|revocation> / "
            "[<rest:line>]",
            set=_GATE,
        ),
        Row("ip mobile registration-lifetime / <seconds:3-65535>", set=_GATE),
        Row("ip mobile prefix-length", set=_GATE),
        Row("ip mobile tunnel / <rest:line>", set=_GATE),
        Row("ip mobile nat traversal / [<rest:line>]", set=_GATE),
        Row("ip mobile bindupdate / [<rest:line>]", set=_GATE),
        Row("ip mobile radius disconnect", set=_GATE),
        Row("ip mobile cdma <rest:line>", set=_GATE),
        Row("ip mobile debug include username", set=_GATE),
        Row("ip mobile router", enters="mobile-router", set=_GATE),
    ),
    *block(
        "mobile-networks",
        0,
        "description / <text:line>",
        "network <network:ip> <mask:mask>",
        "register",
        "template tunnel / <tunnel:0-2147483647>",
    ),
    *block(
        "mobile-router",
        0,
        "address / <address:ip> <mask:mask>",
        "home-agent <agent:ip> / [priority <priority:0-255>]",
        "mobile-network <name:if>",
        "register <what:lifetime|extend|retransmit> / <rest:line>",
        "reverse-tunnel",
        "collocated single-tunnel",
        "multi-path / [<rest:line>]",
        "template tunnel / <tunnel:0-2147483647>",
        "tunnel mode / <rest:line>",
    ),
)
