"""Nornir inventory plugins, as somebody else would write them: `module:Class` in nornir.yaml."""

from __future__ import annotations

from collections.abc import Iterator

from nornir.core.inventory import Defaults, Group, Groups, Host, Hosts, Inventory, ParentGroups


class Site:
    """Shaped as NetBox's are: pages of devices, most of them none of ours, flat, without logins."""

    def __init__(self, token: str, devices: int = 3) -> None:
        assert token == "token-of-the-site"
        self._devices = devices

    def load(self) -> Inventory:
        linux = Group("linux", platform="linux", username="root")
        hosts = Hosts()
        for host in self._pages():
            host.groups = ParentGroups([linux] if host.name.startswith("r") else [])
            hosts[host.name] = host
        return Inventory(hosts=hosts, groups=Groups({"linux": linux}), defaults=Defaults())

    def _pages(self) -> Iterator[Host]:
        for n in range(1, self._devices + 1):
            yield Host(
                f"r{n}",
                hostname=f"192.0.2.{n}",
                data={
                    "router_id": f"10.0.1.{n}",
                    "interfaces": {"lan": {"lan": "core", "address": f"10.0.0.{n}/24"}},
                    "site": {"slug": "west", "tags": ["a", None, 7]},
                },
            )
        yield Host("switch1", hostname="192.0.2.1", platform="junos")  # r1's address, and not ours
        yield Host("no good name, and no platform")


class Breaking(Site):
    """The connection breaks after the first page."""

    def _pages(self) -> Iterator[Host]:
        yield Host("r1", hostname="192.0.2.1")
        raise ConnectionResetError("page 2 of 7: token-of-the-site was sent\nand more")


class Nothing:
    """Answers something else than an inventory."""

    def load(self) -> dict[str, str]:
        return {"r1": "192.0.2.1"}


class Strange:
    """An inventory with things in it that are no hosts."""

    def load(self) -> Inventory:
        hosts = Hosts()
        hosts["r1"] = "192.0.2.1"  # type: ignore[assignment]  # which is what is wrong with it
        return Inventory(hosts=hosts)


class Clear:
    """A password where everybody can read it."""

    def load(self) -> Inventory:
        return Inventory(hosts=Hosts({"r1": Host("r1", platform="linux", password="hunter2")}))
