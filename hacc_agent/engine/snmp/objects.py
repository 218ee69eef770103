"""Names of the objects that this project reads, serves and is notified of.

Numbers are those of the MIB modules that each block names, with the module's own descriptors. A
name here stands for a column or a scalar, without its instance.
"""

from __future__ import annotations

from typing import Final

Oid = tuple[int, ...]
"""An object identifier."""

Value = int | bytes | Oid | None
"""Of an object: a number, octets (an IpAddress is four), a name; None when there is no such one."""


def oid(dotted: str) -> Oid:
    """From the notation with dots."""
    return tuple(map(int, dotted.split(".")))


def dotted(name: Oid) -> str:
    return ".".join(map(str, name))


def below(name: Oid, root: Oid) -> Oid | None:
    """What stands behind `root` in a name; None when it is no part of that tree."""
    return name[len(root) :] if name[: len(root)] == root else None


# SNMPv2-MIB (RFC 3418)
SYS_UP_TIME: Final = oid("1.3.6.1.2.1.1.3")
SNMP_TRAP_OID: Final = oid("1.3.6.1.6.3.1.1.4.1.0")
COLD_START: Final = oid("1.3.6.1.6.3.1.1.5.1")
LINK_DOWN: Final = oid("1.3.6.1.6.3.1.1.5.3")
LINK_UP: Final = oid("1.3.6.1.6.3.1.1.5.4")
AUTHENTICATION_FAILURE: Final = oid("1.3.6.1.6.3.1.1.5.5")

# IF-MIB (RFC 2863)
IF_INDEX: Final = oid("1.3.6.1.2.1.2.2.1.1")
IF_DESCR: Final = oid("1.3.6.1.2.1.2.2.1.2")

# MIP-MIB (RFC 2006)
MIP_MIB: Final = oid("1.3.6.1.2.1.44")
MIP_ENTITIES: Final = (*MIP_MIB, 1, 1, 1)
MIP_ENABLE: Final = (*MIP_MIB, 1, 1, 2)
MIP_ENCAPSULATION_SUPPORTED: Final = (*MIP_MIB, 1, 1, 3)
MIP_SEC_TOTAL_VIOLATIONS: Final = (*MIP_MIB, 1, 2, 2)
MIP_SEC_VIOLATION_ENTRY: Final = (*MIP_MIB, 1, 2, 3, 1)  # indexed by the violator's address
HA_MOBILITY_BINDING_ENTRY: Final = (*MIP_MIB, 1, 6, 3, 1, 1)  # indexed by MN, COA
HA_REGISTRATION: Final = (*MIP_MIB, 1, 6, 3)  # its scalars are below, by name
MIP_AUTH_FAILURE: Final = (*MIP_MIB, 2, 0, 1)

HA_REGISTRATION_SCALARS: Final = {
    "haRegistrationAccepted": 3,
    "haMultiBindingUnsupported": 4,
    "haReasonUnspecified": 5,
    "haAdmProhibited": 6,
    "haInsufficientResource": 7,
    "haMNAuthenticationFailure": 8,
    "haFAAuthenticationFailure": 9,
    "haIDMismatch": 10,
    "haPoorlyFormedRequest": 11,
    "haTooManyBindings": 12,
    "haUnknownHA": 13,
    "haRegRequestsReceived": 16,
    "haDeRegRequestsReceived": 17,
    "haRegRepliesSent": 18,
    "haDeRegRepliesSent": 19,
}

# CISCO-MOBILE-IP-MIB
CMI: Final = oid("1.3.6.1.4.1.9.9.174")
CMI_HA_REG: Final = (*CMI, 1, 2, 1)
CMI_HA_REG_TOTAL_MOBILITY_BINDINGS: Final = (*CMI_HA_REG, 1)
CMI_HA_REG_TOTAL_PROC_LOC_REGS: Final = (*CMI_HA_REG, 4)
CMI_HA_REG_MAX_PROC_LOC_IN_MIN_REGS: Final = (*CMI_HA_REG, 5)
CMI_HA_REG_PROC_LOC_IN_LAST_MIN_REGS: Final = (*CMI_HA_REG, 7)
CMI_HA_REG_REQUESTS_RECEIVED: Final = (*CMI_HA_REG, 14)
CMI_HA_REG_REQUESTS_DENIED: Final = (*CMI_HA_REG, 15)
CMI_HA_REG_REQUESTS_DISCARDED: Final = (*CMI_HA_REG, 16)
CMI_HA_MN_HA_AUTH_FAILURES: Final = (*CMI_HA_REG, 38)
CMI_HA_MN_AAA_AUTH_FAILURES: Final = (*CMI_HA_REG, 39)
CMI_HA_MAXIMUM_BINDINGS: Final = (*CMI_HA_REG, 40)
CMI_HA_SYSTEM_VERSION: Final = (*CMI, 1, 2, 4, 1)
CMI_HA_MAX_BINDINGS_NOTIF: Final = (*CMI, 0, 5)

# CISCO-PROCESS-MIB
CPM_CPU_TOTAL_5SEC_REV: Final = oid("1.3.6.1.4.1.9.9.109.1.1.1.1.6")

# CISCO-MEMORY-POOL-MIB: octets; pool 1 is the processor's
CISCO_MEMORY_POOL_NAME: Final = oid("1.3.6.1.4.1.9.9.48.1.1.1.2")
CISCO_MEMORY_POOL_USED: Final = oid("1.3.6.1.4.1.9.9.48.1.1.1.5")
CISCO_MEMORY_POOL_FREE: Final = oid("1.3.6.1.4.1.9.9.48.1.1.1.6")

# CISCO-ENHANCED-MEMPOOL-MIB: octets in 64 bits; indexed by physical entity and pool
CEMP_MEM_POOL_NAME: Final = oid("1.3.6.1.4.1.9.9.221.1.1.1.1.3")
CEMP_MEM_POOL_HC_USED: Final = oid("1.3.6.1.4.1.9.9.221.1.1.1.1.18")
CEMP_MEM_POOL_HC_FREE: Final = oid("1.3.6.1.4.1.9.9.221.1.1.1.1.20")

# CISCO-HSRP-MIB: indexed by ifIndex and group
C_HSRP_GRP_ENTRY: Final = oid("1.3.6.1.4.1.9.9.106.1.2.1.1")
C_HSRP_GRP_STANDBY_STATE: Final = (*C_HSRP_GRP_ENTRY, 15)
C_HSRP_STATE_CHANGE: Final = oid("1.3.6.1.4.1.9.9.106.2.0.1")

# CISCO-CDP-MIB: indexed by ifIndex and a number
CDP_CACHE_ENTRY: Final = oid("1.3.6.1.4.1.9.9.23.1.2.1.1")
CDP_CACHE_ADDRESS: Final = (*CDP_CACHE_ENTRY, 4)
CDP_CACHE_DEVICE_ID: Final = (*CDP_CACHE_ENTRY, 6)
CDP_CACHE_DEVICE_PORT: Final = (*CDP_CACHE_ENTRY, 7)
CDP_CACHE_PLATFORM: Final = (*CDP_CACHE_ENTRY, 8)

# LLDP-MIB (IEEE 802.1AB): indexed by a time, a port of ours, and a number; the entry of an address
# by its family, its length and the address itself, too
LLDP_REM_ENTRY: Final = oid("1.0.8802.1.1.2.1.4.1.1")
LLDP_REM_PORT_DESC: Final = (*LLDP_REM_ENTRY, 8)
LLDP_REM_SYS_NAME: Final = (*LLDP_REM_ENTRY, 9)
LLDP_REM_MAN_ADDR_IF_SUBTYPE: Final = oid("1.0.8802.1.1.2.1.4.2.1.3")

# HOST-RESOURCES-MIB (RFC 2790) and UCD-SNMP-MIB: what a Linux host has without an agent of ours
HR_PROCESSOR_LOAD: Final = oid("1.3.6.1.2.1.25.3.3.1.2")
MEM_TOTAL_REAL: Final = oid("1.3.6.1.4.1.2021.4.5")  # KiB, as the next ones
MEM_AVAIL_REAL: Final = oid("1.3.6.1.4.1.2021.4.6")
MEM_BUFFER: Final = oid("1.3.6.1.4.1.2021.4.14")
MEM_CACHED: Final = oid("1.3.6.1.4.1.2021.4.15")
