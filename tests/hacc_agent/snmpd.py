"""A stock snmpd on loopback, and net-snmp's own tools to ask it."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.loopback import free_port

PATIENCE_S = 10.0
COMMUNITY = "labro"
USER, AUTH, PRIV = "hacc", "labauthpass", "labprivpass"
ENVIRONMENT = {**os.environ, "MIBS": ""}  # MIB modules are not free software: names stay numbers

CONFIGURATION = f"""
agentaddress udp:127.0.0.1:{{port}}
rocommunity {COMMUNITY}
createUser {USER} SHA {AUTH} AES {PRIV}
rouser {USER} priv
master agentx
agentXSocket {{agentx}}
"""


@dataclass(frozen=True, slots=True)
class Snmpd:
    folder: Path
    agentx: Path
    port: int = field(default_factory=free_port)

    def ask(self, tool: str, *words: str, access: tuple[str, ...] = ()) -> list[str]:
        """The lines of `snmpget`, `snmpwalk`, `snmpbulkwalk` ...: name = TYPE: value."""
        access = access or ("-v2c", "-c", COMMUNITY)
        command = [tool, *access, "-On", "-t", "2", "-r", "1", f"127.0.0.1:{self.port}", *words]
        done = subprocess.run(
            command, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout.splitlines()

    @contextmanager
    def running(self, more: str = "") -> Iterator[None]:
        """Until the end of the block. Dies with whoever runs the test."""
        self.folder.mkdir(exist_ok=True)
        (self.folder / "log").unlink(missing_ok=True)
        file = self.folder / "snmpd.conf"
        file.write_text(CONFIGURATION.format(port=self.port, agentx=self.agentx) + more)
        command = ["setpriv", "--pdeathsig", "KILL", "snmpd", "-f", "-Lf", str(self.folder / "log")]
        process = subprocess.Popen(
            [*command, "-I", "-smux", "-C", "-c", str(file)],
            env={**ENVIRONMENT, "SNMP_PERSISTENT_DIR": str(self.folder / "state")},
        )
        try:
            end = time.monotonic() + PATIENCE_S
            while not self.agentx.exists() or "NET-SNMP" not in self._log():
                assert process.poll() is None, self._log()
                assert time.monotonic() < end, self._log()
                time.sleep(0.02)
            yield
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            self.agentx.unlink(missing_ok=True)

    def _log(self) -> str:
        try:
            return (self.folder / "log").read_text()
        except FileNotFoundError:
            return ""
