"""When there is load, compiled code takes over (`engine.kernels`).

The daemon starts on the reference path: it is ready at once, and a router with little to do never
spends the half second and the memory that numba takes. When a second brings more than one path can
comfortably bear, a process of low priority compiles what the disk does not have yet, which takes
half a minute from nothing; then a thread loads it, and between two batches the engine changes over.
Packets wait for none of that. What fails is said once, and the reference goes on.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Final

from .engine import replay
from .logs import Logs

BUSY: Final = 4_000
"""Datagrams, or records, a second: a third of what one core does without compiled code."""

MANY: Final = 50_000
"""Bindings that may have to be taken over at once, which without it takes most of a second."""

PRIORITY: Final = 10
"""nice: a tenth of a core that is busy with packets, and all of one that is not."""

SWITCH_S: Final = 0.0005
"""How long the loading thread may hold the interpreter while a packet waits for it."""

STALE_S: Final = 30 * 86_400
"""Code of sources that nobody has loaded for so long goes from the disk."""


class Quickening:
    """`look` once a second; it calls `quicken` with the module when that is loaded."""

    def __init__(
        self,
        kernels: str,
        quicken: Callable[[ModuleType], None],
        received: Callable[[], int],
        logs: Logs,
    ) -> None:
        """`kernels` is a module of `engine.kernels`.

        `received` tells datagrams, or records of whom we follow: all so far.
        """
        self._modules = (kernels, "replaying")
        self._quicken = quicken
        self._received = received
        self._logs = logs
        self._before = received()
        self._compiler: subprocess.Popen[str] | None = None
        self._loader: threading.Thread | None = None
        self._loaded: ModuleType | Exception | None = None
        self.state = "reference"  # path; then compiling, loading, compiled; or failed

    def look(self, burden: int = 0) -> None:
        """`burden`: bindings that may have to be taken over, as controllers tell (`ward`)."""
        match self.state:
            case "reference":
                received = self._received()
                if received - self._before > BUSY or burden > MANY:
                    self._compile()
                self._before = received
            case "compiling":
                self._see_compiler()
            case "loading":
                self._see_loader()

    def close(self) -> None:
        """What is under way is given up."""
        if self._compiler is not None:
            self._compiler.kill()
            self._compiler.communicate()

    def _compile(self) -> None:
        command = (sys.executable, "-m", f"{__package__}.engine.kernels", *self._modules)
        try:
            self._compiler = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
            os.setpriority(os.PRIO_PROCESS, self._compiler.pid, PRIORITY)
        except OSError as error:
            return self._fail(str(error))
        self.state = "compiling"
        return None

    def _see_compiler(self) -> None:
        compiler = self._compiler
        if compiler is None or compiler.poll() is None:
            return None
        _, told = compiler.communicate()
        self._compiler = None
        if compiler.returncode:
            return self._fail((told.strip().splitlines() or [f"exit {compiler.returncode}"])[-1])
        self._loader = threading.Thread(target=self._load, name="kernels", daemon=True)
        sys.setswitchinterval(SWITCH_S)
        self._loader.start()
        self.state = "loading"
        return None

    def _load(self) -> None:
        try:
            module, replaying = map(_module, self._modules)
            module.warm()
            replaying.warm()
            with contextlib.suppress(OSError):
                tidy(module.CACHE, time.time())
            self._loaded = module
        except Exception as error:
            self._loaded = error

    def _see_loader(self) -> None:
        if self._loader is None or self._loader.is_alive():
            return None
        self._loader.join()
        self._loader = None
        sys.setswitchinterval(_SWITCH_BEFORE_S)
        if not isinstance(self._loaded, ModuleType):
            return self._fail(f"{type(self._loaded).__name__}: {self._loaded}")
        self._quicken(self._loaded)
        gc.freeze()  # the code stays, and nobody needs to look at it again
        self.state = "compiled"
        self._logs.info("compiled code is in use")
        return None

    def _fail(self, why: str) -> None:
        self.state = "failed"
        self._logs.warning("compiled code cannot be used, the slower path goes on", why=why)


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__package__}.engine.kernels.{name}")


def read_long_logs() -> threading.Thread:
    """A log of many records is about to come: it goes through compiled code once this has ended.

    If that was compiled before: to load it takes 0.4 s, what 50,000 records take without it; to
    compile it takes as long as two million.
    """
    loading = threading.Thread(target=_load_for_logs, name="kernels for logs", daemon=True)
    loading.start()
    return loading


def _load_for_logs() -> None:
    with contextlib.suppress(Exception):  # as slow as ever, and `Quickening` says why under load
        replaying = _module("replaying")
        if replay.compiled() is None and replaying.is_on_disk():
            replaying.warm()


def compile_all() -> None:
    """What the disk does not have of all that is ever loaded; tells how long each has taken."""
    for name in ("relaying", "serving", "replaying"):  # of a controller, of a member, of both
        begin = time.monotonic()
        _module(name).warm()
        print(f"{name:10} {time.monotonic() - begin:5.1f} s", flush=True)


_SWITCH_BEFORE_S: Final = sys.getswitchinterval()


def tidy(cache: Path, now: float) -> None:
    """What other versions left beside this one's folder goes; `now` in s of Unix time."""
    os.utime(cache)
    for other in cache.parent.iterdir():
        if other != cache and other.is_dir() and now - other.stat().st_mtime > STALE_S:
            shutil.rmtree(other, ignore_errors=True)
