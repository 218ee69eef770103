"""Does SNMP answer? One GET of sysName and sysUpTime, with the intent's version and keys.

Asked from the orchestrator and not on the router: the address, the path, the access rules and the
keys are what is being tested.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from pysnmp.error import PySnmpError
from pysnmp.hlapi.v3arch.asyncio import (
    USM_AUTH_HMAC96_SHA,
    USM_PRIV_CFB128_AES,
    CommunityData,
    ContextData,
    ObjectIdentity,
    ObjectType,
    SnmpEngine,
    UdpTransportTarget,
    UsmUserData,
    get_cmd,
)

from ..model import Snmp
from .observation import SnmpAnswer

SYS_UPTIME, SYS_NAME = "1.3.6.1.2.1.1.3.0", "1.3.6.1.2.1.1.5.0"  # SNMPv2-MIB (RFC 3418)

TIMEOUT_S = 1.0
RETRIES = 2


@dataclass(frozen=True, slots=True)
class Silent:
    """No usable answer, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Access:
    """What the intent says of SNMP with its secrets opened: keep it out of logs."""

    version: int
    community: str = field(default="", repr=False)
    user: str = ""
    auth: str = field(default="", repr=False)
    priv: str = field(default="", repr=False)

    @classmethod
    def of(cls, snmp: Snmp, opened: Mapping[str, str]) -> Access:
        """`opened` has the clear value of each reference."""

        def clear(ref: object) -> str:
            return opened[getattr(ref, "ref", "")] if ref is not None else ""

        return cls(
            snmp.version, clear(snmp.community), snmp.user or "", clear(snmp.auth), clear(snmp.priv)
        )

    def credentials(self) -> CommunityData | UsmUserData:
        if self.version == 2:
            return CommunityData(self.community, mpModel=1)
        return UsmUserData(
            self.user,
            authKey=self.auth,
            privKey=self.priv,
            authProtocol=USM_AUTH_HMAC96_SHA,
            privProtocol=USM_PRIV_CFB128_AES,
        )


# Nothing comes back for a wrong community, nor from net-snmp 5.9 for what it
# cannot decrypt, although RFC 3414 section 3.2 has a report for that.
_NO_ANSWER = {
    2: "no answer: snmpd is down, the path is closed, or the community is wrong",
    3: "no answer: snmpd is down, the path is closed, or the privacy key differs",
}

# What pysnmp calls it, and what it means to someone with a router in front of them.
_REASONS = {
    "unknownUserName": "the router does not know this user",
    "wrongDigest": "the authentication key differs",
    "decryptionError": "the privacy key differs",
    "unsupportedSecurityLevel": "the router does not offer authPriv to this user",
    "notInTimeWindow": "the router's clock of SNMP moved: ask again",
}


def ask(
    targets: Mapping[str, tuple[str, Access]],
    *,
    port: int = 161,
    timeout_s: float = TIMEOUT_S,
    retries: int = RETRIES,
) -> dict[str, SnmpAnswer | Silent]:
    """Ask all at once: host -> (address, access). A silent router costs the others no time."""
    if not targets:
        return {}
    return asyncio.run(_ask(targets, port, timeout_s, retries))


async def _ask(
    targets: Mapping[str, tuple[str, Access]], port: int, timeout_s: float, retries: int
) -> dict[str, SnmpAnswer | Silent]:
    engine = SnmpEngine()  # 70 ms to make: one for all
    try:
        answers = await asyncio.gather(
            *(
                _get(engine, (address, port), access, timeout_s, retries)
                for address, access in targets.values()
            )
        )
    finally:
        engine.close_dispatcher()
    return dict(zip(targets, answers, strict=True))


async def _get(
    engine: SnmpEngine, where: tuple[str, int], access: Access, timeout_s: float, retries: int
) -> SnmpAnswer | Silent:
    try:
        target = await UdpTransportTarget.create(where, timeout_s, retries)
        failed, status, _, rows = await get_cmd(
            engine,
            access.credentials(),
            target,
            ContextData(),
            *(ObjectType(ObjectIdentity(name)) for name in (SYS_NAME, SYS_UPTIME)),
            lookupMib=False,
        )
    except (PySnmpError, OSError) as error:
        return Silent(str(error))
    if failed:
        name = type(failed).__name__
        if name == "RequestTimedOut":
            return Silent(_NO_ANSWER[access.version])
        return Silent(_REASONS.get(name[:1].lower() + name[1:], str(failed)))
    if status:
        return Silent(f"it answers {status.prettyPrint()}")
    (_, name), (_, ticks) = rows
    return SnmpAnswer(str(name), int(ticks) / 100)
