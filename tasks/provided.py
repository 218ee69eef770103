"""An inventory that somebody else keeps: any of Nornir's plugins, in the place of `hosts.yaml`.

`inventory/nornir.yaml` is the part of Nornir's own configuration that names it:

    inventory:
      plugin: NetBoxInventory2              # by its entry point, or `package.module:Class`
      options: {nb_url: "https://netbox.example", nb_token: "env:NB_TOKEN"}

Options may be references to secrets. What the plugin says of a host is what `hosts.yaml` would
say, its groups and defaults applied; files beside it add to that, and what they say counts: so
logins are references in `defaults.yaml`, and a NetBox need not know what a LAN is called here.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from nornir.core.inventory import Host
from nornir.core.inventory import Inventory as NornirInventory
from nornir.core.plugins.inventory import InventoryPluginRegister

from . import yamlmarks
from .errors import HaccError, Place, Problem
from .inventory import nearest
from .opening import open_all
from .secrets import SecretRef, redact

FILE: Final = "nornir.yaml"
_KEYS: Final = ("plugin", "options")


class ProvidedError(HaccError):
    """The plugin gave no inventory. Nothing was touched."""


@dataclass(frozen=True, slots=True)
class Provided:
    """What a plugin says, as plain values."""

    hosts: yamlmarks.Mapping = field(hash=False)  # as `hosts.yaml` would say them, without lines

    @property
    def text(self) -> str:
        """For a digest: the same inventory gives the same text."""
        return json.dumps(self.hosts, sort_keys=True, default=str)


def provided(root: Path, text: str, environ: Mapping[str, str]) -> Provided:
    """Ask the plugin that `nornir.yaml` names. Raises HaccError, with its name."""
    file = str(root / FILE)
    data, problems = yamlmarks.loads(text, file)
    section = data.get("inventory")
    if not problems and not isinstance(section, yamlmarks.Mapping):
        problems.append(
            Problem(data.place, "inventory", "missing", "{plugin: NAME, options: {...}}")
        )
    if problems or not isinstance(section, yamlmarks.Mapping):
        raise ProvidedError(problems)
    name, options = section.get("plugin"), section.get("options") or {}
    problems += [
        Problem(section.at(key), f"inventory.{key}", "unknown key", hint=nearest(key, _KEYS))
        for key in section
        if key not in _KEYS
    ]
    if not isinstance(name, str):
        problems.append(
            Problem(section.at("plugin"), "inventory.plugin", f"found {name!r}", "a plugin's name")
        )
    if not isinstance(options, dict):
        place = section.at("options")
        problems.append(Problem(place, "inventory.options", f"found {options!r}", "a mapping"))
    if problems:
        raise ProvidedError(problems)
    assert isinstance(name, str)  # or there are problems
    place = section.at("plugin")
    plugin = _plugin(name, place)
    refs = {key: ref for key, value in options.items() if (ref := SecretRef.parse(value))}
    values = open_all(dict.fromkeys(refs.values(), section.at("options")), root, environ)
    opened = {key: values[ref.ref] for key, ref in refs.items()}
    try:
        inventory = plugin(**{**options, **opened}).load()
        return Provided(yamlmarks.unwritten(_hosts(inventory), f"{file} ({name})"))
    except Exception as error:  # whatever a plugin of somebody else's raises
        said = redact((str(error).strip().splitlines() or [""])[0], values)
        raise ProvidedError(
            Problem(
                place,
                name,
                f"the inventory plugin failed: {type(error).__name__}: {said}",
                hint="nothing was touched; try it alone: InitNornir(inventory={...})",
            )
        ) from error


def _plugin(name: str, place: Place) -> Any:
    try:
        if ":" in name:
            module, _, attribute = name.partition(":")
            return getattr(importlib.import_module(module), attribute)
        InventoryPluginRegister.auto_register()
        return InventoryPluginRegister.get_plugin(name)
    except Exception as error:  # of the import of a plugin, which may be any
        known = InventoryPluginRegister.available
        raise ProvidedError(
            Problem(
                place,
                "inventory.plugin",
                f"no plugin {name!r}: {error}",
                hint=f"pip install it; {nearest(name, known)}" if known else "pip install it",
            )
        ) from error


def _hosts(inventory: object) -> dict[str, dict[str, Any]]:
    if not isinstance(inventory, NornirInventory):
        raise TypeError(f"it gave {type(inventory).__name__}, not an Inventory")
    return {str(name): _host(str(name), host) for name, host in inventory.hosts.items()}


def _host(name: str, host: object) -> dict[str, Any]:
    """A host as `hosts.yaml` would say it. Nornir's attributes inherit by themselves."""
    if not isinstance(host, Host):
        raise TypeError(f"{name} is {type(host).__name__}, not a Host")
    said = {
        "hostname": host.hostname,
        "port": host.port,
        "username": host.username,
        "password": host.password,
        "platform": host.platform,
    }
    return {
        **{key: value for key, value in said.items() if value is not None},
        "groups": [group.name for group in host.extended_groups()],
        "data": dict(host.extended_data()),
    }
