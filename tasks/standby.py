"""What the HSRP speaker of a Linux router is told: an `HsrpConfig` from its model.

A controller whose agent is dead keeps nothing that the other one could take: its priority falls to
nothing, and it hands over to a standby that is better. And it is active on all of its LANs or on
none, since what is relayed comes in on one and goes out on another: each group watches the
interfaces of the others, and leaves with them.
"""

from __future__ import annotations

from hacc_agent.hsrp.config import Effect, Group, HsrpConfig, Object, Track, TrackKind

from .model import DeviceModel, RedundancyProtocol, Role, StandbyGroup
from .spelling import home_routes

AGENT = "agent"
IN_STEP_S = 600
"""s that a controller which is back waits at most for its agent to be in step: what takes longer,
with millions of bindings a minute, is a fault that an operator has to see."""

LOST_AGENT = 254  # more than any priority that a group is given: nothing is left of it


def speaks_hsrp(device: DeviceModel) -> bool:
    """Whether a router has a group that our speaker serves."""
    return any(group.protocol is RedundancyProtocol.HSRP for group in device.groups)


def hsrp_config(device: DeviceModel) -> HsrpConfig:
    """All that its speaker is told."""
    groups = [group for group in device.groups if group.protocol is RedundancyProtocol.HSRP]
    watched = {track.interface for group in groups for track in group.tracks}
    if len(groups) > 1:
        watched |= {group.port.name for group in groups}
    objects = [Object(name, TrackKind.INTERFACE, name) for name in sorted(watched)]
    if device.role is Role.CONTROLLER:
        objects.append(Object(AGENT, TrackKind.AGENT))
    return HsrpConfig(
        device.host, tuple(_group(device, group, groups) for group in groups), tuple(objects)
    )


def _group(device: DeviceModel, group: StandbyGroup, all_groups: list[StandbyGroup]) -> Group:
    secret = group.authentication
    own = group.port.name
    tracks = [Track(one.interface, Effect.DECREMENT, one.decrement) for one in group.tracks]
    tracks += [
        Track(other, Effect.SHUTDOWN)
        for other in dict.fromkeys(one.port.name for one in all_groups)
        if other != own
    ]
    if device.role is Role.CONTROLLER:
        tracks.append(Track(AGENT, Effect.HAND_OVER, LOST_AGENT))
    return Group(
        name=group.name,
        interface=own,
        version=group.version,
        group=group.group,
        address=group.address,
        priority=group.priority,
        preempt=True,
        preempt_minimum_s=group.preempt_delay_s,
        preempt_sync_s=IN_STEP_S if device.role is Role.CONTROLLER and device.link else 0,
        hello_ms=group.hello_ms,
        hold_ms=group.hold_ms,
        text=secret.key.token if secret is not None and secret.method == "text" else None,
        md5=secret.key.token if secret is not None and secret.method == "md5" else None,
        tracks=tuple(tracks),
        # Its relay takes frames from the interface itself (hacc_agent/hsrp/kernel.py).
        own_mac=device.role is Role.CONTROLLER,
        follows=tuple(address.ip for address in group.follows),
        announces=home_routes(device, group) if group.follows else (),
    )
