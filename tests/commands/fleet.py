"""The desk with routers: `hacc` inside a lab, and everything that the routers hold."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from lab import simulator
from lab.lab import Lab
from lab.topology import load_topology
from tasks.diff import normalised
from tasks.rendered import Platform
from tests.commands.program import HACC, SECRETS, Desk, Done

_STATE: Final = (
    "for f in {paths}; do stat -c '%n %a %U' $f; cat $f; done 2>&1; "
    "vtysh -c 'show running-config'; systemctl is-enabled frr snmpd keepalived; "
    "systemctl is-active frr snmpd keepalived"
)


class LabDesk(Desk):
    """Every `hacc` runs in the lab's management network, as `hacc lab run` makes it."""

    def __init__(self, place: Path, name: str) -> None:
        super().__init__(place)
        self._name = name
        self._paths: dict[str, str] = {}

    def lab_command(self, *words: str) -> Done:
        """One of `hacc lab`, on this lab."""
        verb = words[0:2] if words[0] == "break" else words[0:1]
        at = ("--inventory", "inventory", "--name", self._name)
        return super().hacc("lab", *verb, *at, *words[len(verb) :])

    def command(self, *words: str) -> list[str]:
        if words[0] == "lab":
            return super().command(*words)
        inside = ("lab", "run", "--inventory", "inventory", "--name", self._name, "--")
        return [*HACC, *inside, *super().command(*words)]

    @contextmanager
    def provisioned(self) -> Iterator[None]:
        """Its routers, brought from nothing to the intent; gone at the end."""
        try:
            self.lab_command("up").ends(0)
            self.hacc("apply", "--yes").ends(0)
            yield
        finally:
            Lab(self.lab.topology, keep_host_keys=False).down()

    @property
    def lab(self) -> Lab:
        return Lab(load_topology(self.inventory, self._name))

    def sh(self, host: str, command: str) -> str:
        """On a Linux router, past SSH."""
        return self.lab.run(host, "sh", "-c", command).stdout

    def ios(self, do: str, host: str, **more: Any) -> dict[str, Any]:
        """One request to the simulator (see lab.ios.control)."""
        answer = simulator.ask(self.lab.directory, {"do": do, "device": host, **more})
        assert answer["ok"], answer
        return answer

    def fault(self, host: str, **faults: Any) -> None:
        self.ios("fault", host, set=faults)

    def on_console(self, host: str, *lines: str) -> None:
        """Somebody else changes an IOS router."""
        assert not self.ios("edit", host, lines=list(lines))["rejected"]

    def state(self, host: str) -> str:
        """What a router holds, byte for byte, without a word from `hacc`'s own reading of it."""
        if self.lab.topology.router(host) in self.lab.topology.ios:
            held = self.ios("config", host)
            texts = (held["text"], held["startup"] or "")
            return "\n=== startup\n".join(normalised(text, Platform.IOS) for text in texts)
        return self.sh(host, _STATE.format(paths=self._paths[host]))

    def states(self) -> dict[str, str]:
        if not self._paths:
            rendered = self.hacc("render", "--json").ends(0).value
            self._paths = {host: " ".join(files) for host, files in rendered.items()}
        hosts = sorted(self._paths)
        with ThreadPoolExecutor(len(hosts)) as pool:
            return dict(zip(hosts, pool.map(self.state, hosts), strict=True))

    def runs(self) -> list[str]:
        """Names of the runs that are kept, the oldest first."""
        return sorted(path.name for path in (self.work / "runs").iterdir())

    def last(self) -> str:
        return self.runs()[-1]

    def heal(self) -> None:
        """Every fault of the simulator is gone, and every secret is right again."""
        self.secrets = dict(SECRETS)
        for router in self.lab.topology.ios:
            self.ios("clear", router.name)
