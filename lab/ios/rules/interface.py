"""Interfaces: what may be made and removed, addresses that must not overlap, VRF moves.

The wording of refusals is that of IOS 15 where it is known; texts marked [R] are reconstructed.
"""

from __future__ import annotations

from ..edit import Edit, Refused
from ..names import VIRTUAL, kind_of, parent_of
from ..tree import Section


def number_of(address: str) -> int:
    """An IPv4 address as an integer. The grammar has seen to its form."""
    a, b, c, d = address.split(".")
    return int(a) << 24 | int(b) << 16 | int(c) << 8 | int(d)


def dotted(number: int) -> str:
    return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def prefix_of(mask: str) -> int:
    """255.255.255.0 -> 24."""
    return number_of(mask).bit_count()


def network_of(address: str, mask: str) -> str:
    return dotted(number_of(address) & number_of(mask))


def vrf_of(section: Section) -> str:
    for key in ("vrf forwarding", "ip vrf forwarding"):
        line = section.get(key)
        if line is not None:
            return line.args["vrf"]
    return ""


def addresses_of(section: Section) -> list[tuple[str, str]]:
    """(address, mask) of an interface: the primary one first."""
    primary = section.get("ip address")
    found = [(primary.args["ip"], primary.args["mask"])] if primary and "ip" in primary.args else []
    return found + [
        (line.args["ip"], line.args["mask"])
        for key, line in section.lines.items()
        if key.startswith("ip address ")
    ]


def enter(edit: Edit) -> None:
    """`interface X`: the hardware has what it has; software interfaces come into being."""
    name = edit.args["name"]
    if edit.old is None:
        base = parent_of(name) or name
        if kind_of(name) not in VIRTUAL and base not in edit.device.hardware:
            raise Refused("%Invalid interface type and number")
    edit.put()


def remove(edit: Edit) -> None:
    """`no interface X`."""
    name = edit.args["name"]
    if edit.old is None:
        raise Refused("%Invalid interface type and number")
    if name in edit.device.hardware:
        raise Refused("% Removal of physical interfaces is not permitted")
    if parent_of(name) is not None:
        edit.say(
            "% Not all config may be removed and may reappear after reactivating the sub-interface"
        )
    edit.drop()
    edit.device.touch_addresses()


def _overlap(edit: Edit, address: str, mask: str) -> None:
    network, wide = number_of(address), number_of(mask)
    vrf = vrf_of(edit.section)
    for line in edit.root.lines.values():
        body = line.body
        if body is None or body.mode != "interface" or body is edit.section:
            continue
        if vrf_of(body) != vrf:
            continue
        for other, other_mask in addresses_of(body):
            common = wide & number_of(other_mask)
            if network & common == number_of(other) & common:
                raise Refused(f"% {network_of(address, mask)} overlaps with {line.args['name']}")


def _usable(edit: Edit) -> tuple[str, str]:
    address, mask = edit.args["ip"], edit.args["mask"]
    number, wide = number_of(address), number_of(mask)
    if number >> 28 >= 14 or number >> 24 in (0, 127) or wide == 0:
        raise Refused(f"Not a valid host address - {address}")
    host = number & ~wide & 0xFFFFFFFF
    if wide < 0xFFFFFFFE and host in (0, ~wide & 0xFFFFFFFF):
        raise Refused(f"Bad mask /{bin(wide).count('1')} for address {address}")
    return address, mask


def set_address(edit: Edit) -> None:
    """The primary address overwrites in place. One that was secondary here is promoted."""
    address, mask = _usable(edit)
    _overlap(edit, address, mask)
    edit.section.drop(f"ip address {address} {mask} secondary")
    edit.put()
    edit.device.touch_addresses()


def set_secondary(edit: Edit) -> None:
    address, mask = _usable(edit)
    primary = edit.section.get("ip address")
    if primary is not None and primary.args.get("ip") == address:
        raise Refused("% Secondary can't be same as primary")
    _overlap(edit, address, mask)
    edit.put()
    edit.device.touch_addresses()


def unset_address(edit: Edit) -> None:
    """`no ip address` removes all; with an address, the primary one, and that one last."""
    section = edit.section
    secondaries = section.starting("ip address")
    if "ip" in edit.args:
        primary = section.get("ip address")
        if primary is None or primary.args.get("ip") != edit.args["ip"]:
            raise Refused("%Invalid address")  # [R]
        if len(secondaries) > 1:
            raise Refused("% Must delete secondary before primary")
    for line in secondaries:
        section.drop(line.key)
    edit.device.touch_addresses()


def unset_secondary(edit: Edit) -> None:
    edit.drop()
    edit.device.touch_addresses()


def _strip(edit: Edit, section: Section, why: str) -> None:
    """Moving an interface between VRFs takes its addresses, and what stands on them, away."""
    owner = section.owner
    assert owner is not None
    if addresses_of(section):
        edit.say(
            f"% Interface {owner.args['name']} IPv4 disabled and address(es) removed due to {why}"
        )
    for prefix in ("ip address", "standby"):
        for line in section.starting(prefix):
            section.drop(line.key)
    edit.device.touch_addresses()


def set_vrf(edit: Edit) -> None:
    """`vrf forwarding X`, new style or old: the old one only for a VRF of the old style."""
    vrf = edit.args["vrf"]
    style = "ip vrf" if edit.key.startswith("ip ") else "vrf definition"
    if edit.root.get(f"{style} {vrf}") is None:
        raise Refused(f"% VRF {vrf} does not exist or is not enabled for IPv4")  # [R]
    if vrf_of(edit.section) != vrf:
        _strip(edit, edit.section, f"enabling VRF {vrf}")
    for other in ("vrf forwarding", "ip vrf forwarding"):
        if other != edit.key:
            edit.section.drop(other)
    edit.put()


def unset_vrf(edit: Edit) -> None:
    old = edit.old
    if old is not None:
        edit.drop()
        _strip(edit, edit.section, f"disabling VRF {old.args['vrf']}")


def remove_vrf(edit: Edit) -> None:
    """`no vrf definition X` empties every interface in it."""
    if edit.old is None:
        raise Refused(f"% VRF {edit.args['vrf']} does not exist")  # [R]
    emptied = False
    for line in edit.root.lines.values():
        body = line.body
        if body is None or body.mode != "interface" or vrf_of(body) != edit.args["vrf"]:
            continue
        for prefix in ("vrf forwarding", "ip vrf forwarding", "ip address", "standby"):
            for inner in body.starting(prefix):
                emptied = emptied or prefix == "ip address"
                body.drop(inner.key)
    edit.drop()
    if emptied:
        edit.say(
            f"% IPv4 addresses from all interfaces in VRF {edit.args['vrf']} have been removed"
        )
    edit.device.touch_addresses()


def set_seen(edit: Edit) -> None:
    """A line without more to it that the neighbours notice: `shutdown`, `track`."""
    edit.put()
    edit.device.touch_addresses()


def unset_seen(edit: Edit) -> None:
    edit.drop()
    edit.device.touch_addresses()
