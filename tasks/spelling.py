"""How a platform spells a value: what templates may call, since they do no arithmetic.

IOS writes a Security Parameter Index in hexadecimal without a prefix, a duration of a standby
group in seconds or as `msec N`, and a home network by the interface or the prefix that it is.
keepalived takes seconds with a fraction. A sysctl key's dots become slashes where an interface's
name may hold a dot itself (sysctl(8)).
"""

from __future__ import annotations

import contextlib
from ipaddress import IPv4Address, IPv4Network

from .model import (
    TRACKS,
    Algorithm,
    DeviceModel,
    HomeAgentService,
    MobileNode,
    Realm,
    Replay,
    SecurityAssociation,
    StandbyGroup,
    Track,
)

IOS_LIFETIME_S = 36000  # the default of `ip mobile home-agent`; not shown by the router
IOS_REPLAY_S = 7  # the default of IOS and of RFC 5944 section 5.7.1; not shown by the router


def spi(value: int) -> str:
    """The SPI as IOS reads and shows it: hexadecimal digits."""
    return f"{value:x}"


def standby_time(milliseconds: int) -> str:
    """One time of `standby N timers`: whole seconds as such, anything else as `msec N`."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"msec {milliseconds}" if rest else str(seconds)


def seconds(milliseconds: int) -> str:
    """Seconds with the fraction that is needed: 200 is 0.2, 1000 is 1."""
    whole, rest = divmod(milliseconds, 1000)
    return f"{whole}.{rest:03d}".rstrip("0") if rest else str(whole)


def own_addresses(model: DeviceModel) -> tuple[IPv4Address, ...]:
    """Every address that packets of a router's own may come from, as far as it is known."""
    found = [port.address.ip for port in model.ports]
    with contextlib.suppress(ValueError):  # a name is where SSH answers, and no more is known
        found.append(IPv4Address(model.management))
    return tuple(dict.fromkeys((*found, model.router_id)))


def pattern(realm: str) -> str:
    """A realm in a regular expression: letters, digits, `-` and dots (`values.RealmName`)."""
    return realm.replace(".", "[.]")


def prefix(network: IPv4Network) -> str:
    """A prefix as IOS writes it: network and mask."""
    return f"{network.network_address} {network.netmask}"


def home_link(service: HomeAgentService, network: IPv4Network) -> str:
    """Where a home network is, in the words of `ip mobile host`."""
    for physical in service.physical_networks:
        if physical.prefix == network:
            return f"interface {physical.port.name}"
    return f"virtual-network {prefix(network)}"


def association(security: SecurityAssociation) -> str:
    """The tail of every `ip mobile secure` line: SPI, key, replay protection, algorithm.

    IOS knows replay protection by timestamps only; where nonces are asked for the default stands.
    """
    replay = ""
    if security.replay is Replay.TIMESTAMP and security.tolerance_s != IOS_REPLAY_S:
        replay = f" replay timestamp {security.tolerance_s}"
    algorithm = {
        Algorithm.HMAC_MD5: "hmac-md5",
        Algorithm.MD5_PREFIX_SUFFIX: "md5 mode prefix-suffix",
    }[security.algorithm]
    key = security.key.hex_token
    return f"spi {spi(security.spi)} key hex {key}{replay} algorithm {algorithm}"


def seen_association(security: SecurityAssociation) -> bool:
    """Whether `association` has the one form that was seen in a router's configuration."""
    plain = security.replay is not Replay.TIMESTAMP or security.tolerance_s == IOS_REPLAY_S
    return plain and security.algorithm is Algorithm.HMAC_MD5


def home_agent_options(lifetime_s: int, tolerance_s: int) -> str:
    """What follows `ip mobile home-agent`; what the router has anyway is not shown by it."""
    lifetime = f" lifetime {lifetime_s}" if lifetime_s != IOS_LIFETIME_S else ""
    replay = f" replay {tolerance_s}" if tolerance_s != IOS_REPLAY_S else ""
    return lifetime + replay


def own_lifetime(service: HomeAgentService, served: Realm | MobileNode) -> str:
    """The lifetime of a host line where it is not the Home Agent's own, else nothing."""
    return f" lifetime {served.lifetime_s}" if served.lifetime_s != service.lifetime_s else ""


def standby_defaults(group: StandbyGroup) -> bool:
    """Whether a group has the timers of RFC 2281 section 5.3, which a router does not show."""
    return (group.hello_ms, group.hold_ms) == (3000, 10000)


def tracks(model: DeviceModel) -> tuple[Track, ...]:
    """The objects that a router's groups track, each once, by number."""
    found = {track.number: track for group in model.groups for track in group.tracks}
    return tuple(found[number] for number in sorted(found))


def track_numbers() -> range:
    """The objects that are ours, whether this router tracks by them or not."""
    return TRACKS


def other_tracks(group: StandbyGroup) -> tuple[Track, ...]:
    """What keepalived must be told to track: it watches a group's own interface anyway."""
    return tuple(track for track in group.tracks if track.interface != group.port.name)


def home_routes(model: DeviceModel, group: StandbyGroup) -> tuple[IPv4Network, ...]:
    """The prefixes for which the active router of a group needs a route of its own to announce.

    The virtual Home Agent address is announced as the address that it is, and a home network that
    is a LAN of this router is connected already.
    """
    have = {address.network for address in group.follows}
    have |= {port.address.network for port in model.ports}
    return tuple(network for network in group.announces if network not in have)
