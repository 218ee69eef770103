"""`hacc` as a user types it: a process of its own, judged by its exit code and its two streams."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
SITE: Final = Path(__file__).parent / "site"
SECONDS: Final = 180.0  # no command takes that long; one that hangs is killed, and the test fails
HACC: Final = (sys.executable, "-m", "hacc_agent.orchestrator")

# Each value is found nowhere else, so that one of them in an output is a leak and nothing else.
SECRETS: Final[Mapping[str, str]] = {
    "HACC_PASSWORD": "loginOf4Routers",
    "HACC_ENABLE": "enableOf2Routers",
    "HSRP_KEY": "hsrpKeyOf1Pair",
    "PAIR_KEY": "5f1c0a9e77d34b2288aa6d0c41e9b352",
    "REALM_KEY": "c07e5d19ab8842f6b3d1907f6a2e84c5",
    "OSPF_KEY": "ospfKeyOfAll",
    "SNMP_AUTH": "snmpAuthOfAll",
    "SNMP_PRIV": "snmpPrivOfAll",
}
KEY_OF_A_NODE: Final = "91e6b7240df8435caf03b8d55c17e2a0"  # keys/mn7


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended. Whatever it did, some things are never allowed."""

    code: int
    out: str
    err: str

    def __post_init__(self) -> None:
        for stream in (self.out, self.err):
            assert "Traceback" not in stream, stream
            assert "\x1b" not in stream, "colour or cursor codes in a pipe"
            for secret in (*SECRETS.values(), KEY_OF_A_NODE):
                assert secret not in stream, "a secret was printed"

    @property
    def value(self) -> Any:
        """The one JSON value on standard output."""
        return json.loads(self.out)

    def ends(self, code: int) -> Done:
        assert self.code == code, f"exit {self.code} instead of {code}\n{self.out}\n{self.err}"
        return self


class Desk:
    """An operator's directory: the inventory, the keys, and `hacc` to type."""

    def __init__(self, place: Path, site: Path = SITE) -> None:
        self.place = place
        self.inventory = place / "inventory"
        shutil.copytree(site, self.inventory)
        keys = self.inventory / "keys"
        keys.mkdir()
        (keys / "mn7").write_text(KEY_OF_A_NODE + "\n")
        (keys / "mn7").chmod(0o600)
        self.secrets = dict(SECRETS)

    @property
    def intent(self) -> Path:
        return self.inventory / "clusters" / "west.yaml"

    @property
    def work(self) -> Path:
        return self.place / ".hacc"

    def edit(self, old: str, new: str, file: Path | None = None) -> None:
        """Change one place of the intent."""
        path = file or self.intent
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {path}"
        path.write_text(text.replace(old, new))

    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {**kept, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", **self.secrets}

    def command(self, *words: str) -> list[str]:
        return [*HACC, *words]

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Begin to type; the caller waits for its end."""
        return subprocess.Popen(
            self.command(*words),
            cwd=self.place,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def hacc(self, *words: str) -> Done:
        """Type it, and wait for its end."""
        with self.start(*words) as process:
            try:
                out, err = process.communicate(timeout=SECONDS)
            finally:
                process.kill()
        return Done(process.returncode, out, err)

    def meanwhile(self, *words: str, said: str, do: Callable[[subprocess.Popen[str]], Any]) -> Done:
        """Type it, and do something once its progress says so."""
        lines: list[str] = []
        done = False
        with self.start(*words) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            watchdog = threading.Timer(SECONDS, process.kill)
            watchdog.start()
            try:
                # Its standard output is less than a pipe holds, so it never waits for us.
                for line in process.stderr:
                    lines.append(line)
                    if not done and said in " ".join(line.split()):
                        done = True
                        do(process)
                out = process.stdout.read()
                process.wait()
            finally:
                watchdog.cancel()
                process.kill()
        assert done, f"it never said {said!r}:\n{''.join(lines)}"
        return Done(process.returncode, out, "".join(lines))
