"""What `fetch.sh` printed, as a value."""

from __future__ import annotations

import io
import json
import re
import tarfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from hacc_agent.hsrp.config import virtual_interface

from ..rendered import Platform
from ..running import Running, RunningFile
from .errors import DeviceError


def parse_fetched(host: str, paths: Sequence[str], output: bytes) -> Running:
    """What a router holds of these files, from what `fetch.sh` printed when asked for them."""
    live: dict[str, str] = {}
    keepalived, hsrp, addresses = "", "", "[]"
    try:
        items, archive = _split(output)
        for kind, name, data in items:
            text = data.decode("utf-8")
            match kind:
                case "live" if text:
                    live[name] = text + "\n"  # which the shell has taken off
                case "groups":
                    keepalived = text
                case "hsrp":
                    hsrp = text
                case "addresses":
                    addresses = text
        there = dict(_unpacked(host, archive)) if archive else {}
    except UnicodeDecodeError as error:
        raise DeviceError(host, f"a file is not UTF-8 text: {error}") from error
    except (ValueError, tarfile.TarError) as error:
        raise DeviceError(host, f"its answer is not understood: {error!r}") from error
    files = []
    for path in paths:
        held, mode = there.get(path, (None, 0))
        files.append(RunningFile(path, held, mode, live.get(path)))
    return Running(
        host=host,
        platform=Platform.LINUX,
        files=tuple(files),
        active=active_groups(keepalived, hsrp, addresses),
        revert_timer=True,
    )


def _split(output: bytes) -> tuple[list[tuple[str, str, bytes]], bytes]:
    """The items, each (kind, name, data), and the archive."""
    items: list[tuple[str, str, bytes]] = []
    at = 0
    while True:
        end = output.index(b"\n", at)
        head, start = output[at:end].decode(), end + 1
        if head == "files":
            return items, output[start:]
        kind, size, name = head.split(" ", 2)
        at = start + int(size) + 1
        items.append((kind, name, output[start : at - 1]))


def _unpacked(host: str, archive: bytes) -> Iterator[tuple[str, tuple[str, int]]]:
    """Each file's path, with its text and mode. What is no file (a directory) is not ours."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        for member in tar:
            if member.issym():
                raise DeviceError(host, f"{member.name} is a symbolic link to {member.linkname}")
            if (file := tar.extractfile(member)) is not None:
                yield member.name, (file.read().decode("utf-8"), member.mode)


_INSTANCE: Final = re.compile(r"^\s*vrrp_instance\s+(\S+)\s*\{", re.MULTILINE)
_BLOCK: Final = re.compile(r"virtual_ipaddress\s*\{([^}]*)\}")
_INTERFACE: Final = re.compile(r"^\s*interface\s+(\S+)", re.MULTILINE)


def active_groups(keepalived: str, hsrp: str, addresses: str) -> tuple[str, ...]:
    """Names of the standby groups whose virtual addresses are on their interfaces now.

    `keepalived` and `hsrp` are the configurations of the two, as far as they are there, `addresses`
    is what `ip -j address` prints.
    """
    held: Mapping[str, set[str]] = {
        link["ifname"]: {info.get("local", "") for info in link.get("addr_info", ())}
        for link in (json.loads(addresses) if addresses.strip() else ())
        if "ifname" in link
    }
    active = [
        group["name"]
        for group in (tomllib.loads(hsrp).get("groups", ()) if hsrp else ())
        if group.get("address") in held.get(_holder(group), ())
    ]
    starts = [*_INSTANCE.finditer(keepalived)]
    ends = [*(start.start() for start in starts[1:]), len(keepalived)][: len(starts)]
    for start, end in zip(starts, ends, strict=True):
        body = keepalived[start.end() : end]
        interface, block = _INTERFACE.search(body), _BLOCK.search(body)
        if not interface or not block:
            continue
        wanted = [line.split() for line in block[1].splitlines() if line.split()]
        for words in wanted[:1]:  # the first is the group's own address
            device = words[words.index("dev") + 1] if "dev" in words[:-1] else interface[1]
            if words[0].partition("/")[0] in held.get(device, ()):
                active.append(start[1])
    return tuple(sorted(active))


def _holder(group: Mapping[str, Any]) -> str:
    """The interface on which an active group has its address."""
    interface: str = group["interface"]
    return interface if group.get("own_mac") else virtual_interface(interface, group["group"])
