"""Where a session may stand: user and enable mode, and every mode of configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mode:
    """A mode of configuration: what the prompt says, and the mode that it was entered from.

    A line that a mode does not know is tried in its parents, up to global configuration; that is
    how a pasted configuration leaves `interface` when `router ospf` comes.
    """

    prompt: str
    parent: str | None = "config"


MODES: Mapping[str, Mode] = {
    "config": Mode("config", None),
    "interface": Mode("config-if"),
    "vrf": Mode("config-vrf"),
    "vrf-af": Mode("config-vrf-af", "vrf"),
    "keychain": Mode("config-keychain"),
    "keychain-key": Mode("config-keychain-key", "keychain"),
    "ospf": Mode("config-router"),
    "bgp": Mode("config-router"),
    "mobile": Mode("config-router"),
    "mobile-router": Mode("mobile-router"),
    "mobile-networks": Mode("mobile-networks"),
    "acl-standard": Mode("config-std-nacl"),
    "acl-extended": Mode("config-ext-nacl"),
    "route-map": Mode("config-route-map"),
    "line": Mode("config-line"),
    "archive": Mode("config-archive"),
    "archive-log": Mode("config-archive-log-cfg", "archive"),
    "track": Mode("config-track"),
    "group-radius": Mode("config-sg-radius"),
    "radius-server": Mode("config-radius-server"),
    "control-plane": Mode("config-cp"),
    "redundancy": Mode("config-red"),
}


def prompt_of(mode: str, owner: str) -> str:
    """What stands in the parentheses; a subinterface says so."""
    if mode == "interface" and "." in owner:
        return "config-subif"
    return MODES[mode].prompt
