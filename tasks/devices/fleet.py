"""Many routers: Nornir's inventory, tasks and connections, under our runner and our doorkeeper."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, TypeVar

from nornir.core import Nornir
from nornir.core.inventory import Host, Hosts, Inventory
from nornir.core.task import Result, Task

from ..errors import HaccError
from ..hostkeys import HostKeys
from ..rendered import Platform
from ..runner import Events, GroupRunner, Interrupted, Listener, NotBegun, Stage, Stop
from .errors import DeviceError
from .ios import IosRouter
from .linux import LinuxRouter
from .router import Connect, Router
from .session import DEVICE_TYPES, PLUGINS, Doorkeeper, Target

T = TypeVar("T")
Step = Callable[[Router, str], T]  # what is done with one router, given its name too

WORKERS: Final = 20
CONNECTORS: Final = 10
# Sessions stay open between the steps of a run; of more routers than this, they are closed after
# each step (about 0.3 MB of memory each, and routers have few vty lines).
MAX_OPEN_SESSIONS: Final = 200

PLATFORMS: Final[Mapping[Platform, Callable[[str, Connect], Router]]] = {
    Platform.IOS: IosRouter,
    Platform.LINUX: LinuxRouter,
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a router has no result."""

    host: str
    error: HaccError

    @property
    def begun(self) -> bool:
        """False: the step never began on this router."""
        return not isinstance(self.error, NotBegun | Interrupted)


class Fleet:
    """The routers of a command, reachable for its time. Use it as a context manager.

    `groups` names the standby groups of each host: two hosts of one group are never changed at
    once. Nornir's memory of failed hosts, which makes later runs skip them silently, is wiped
    before each run: what is skipped here is skipped for a reason that stands in the result.
    """

    def __init__(
        self,
        targets: Iterable[Target],
        keys: HostKeys,
        *,
        groups: Mapping[str, frozenset[str]] | None = None,
        workers: int = WORKERS,
        connectors: int = CONNECTORS,
        listeners: Iterable[Listener] = (),
        stop: Stop | None = None,
        sessions: int = MAX_OPEN_SESSIONS,
    ) -> None:
        """`stop` is that of a larger run, of which this is a part; `sessions` may stay open."""
        self.events = Events(*listeners)
        self.stop = Stop(self.events) if stop is None else stop
        self._targets = {target.host: target for target in targets}
        self._keys = keys
        self._groups = groups or {}
        self._workers = workers
        self._sessions = sessions
        self._door = Doorkeeper(keys, connectors, self.events, self.stop)
        self._nornir = Nornir(Inventory(hosts=Hosts(self._hosts())))
        self._routers: dict[str, Router] = {}

    def _hosts(self) -> Mapping[str, Host]:
        return {
            name: Host(
                name=name,
                hostname=target.hostname,
                port=target.port,
                username=target.username,
                platform=DEVICE_TYPES[target.platform],
            )
            for name, target in self._targets.items()
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._routers and not isinstance(error, KeyboardInterrupt):
            self.run(_close, [*self._routers], urgent=True)

    def run(
        self,
        step: Step[T],
        hosts: Iterable[str],
        *,
        apart: bool = False,
        halt: bool = False,
        urgent: bool = False,
    ) -> Mapping[str, T | Failure]:
        """Run one step on each host: its value, or why there is none.

        apart   never two hosts of one standby group at once
        halt    after a failure, hosts that have not begun do not begin
        urgent  Ctrl-C does not stop it
        """
        wanted = [*dict.fromkeys(hosts)]
        nornir = self._nornir.with_runner(
            GroupRunner(
                self._workers,
                self._groups if apart else {},
                self.stop,
                halt=halt,
                urgent=urgent,
            )
        )
        chosen = Hosts({name: self._nornir.inventory.hosts[name] for name in wanted})
        nornir.inventory = Inventory(hosts=chosen)
        nornir.data.reset_failed_hosts()

        def task(task: Task) -> Result:
            return self._step(task.host, step)

        results = nornir.run(task=task, name=getattr(step, "__name__", "step"))
        nornir.data.reset_failed_hosts()
        return {name: self._outcome(name, results[name][0]) for name in wanted}

    def _step(self, host: Host, step: Step[T]) -> Result:
        try:
            value = step(self._router(host), host.name)
        except HaccError as error:
            return Result(host, exception=error, failed=True)
        except Exception as error:  # ours, not the router's; said in a line, told in the run's log
            self.events.emit(host.name, Stage.FAILED, traceback.format_exc())
            fault = DeviceError(host.name, f"internal error: {error!r}", "please report it")
            return Result(host, exception=fault, failed=True)
        if len(self._routers) > self._sessions:
            self._routers.pop(host.name).close()
        return Result(host, result=value)

    def _outcome(self, host: str, result: Result) -> T | Failure:
        if result.failed:
            error = result.exception
            if not isinstance(error, HaccError):
                error = DeviceError(host, f"internal error: {error!r}", "please report it")
            return Failure(host, error)
        value: T = result.result
        return value

    def _router(self, host: Host) -> Router:
        router = self._routers.get(host.name)
        if router is None:
            target = self._targets[host.name]
            router = PLATFORMS[target.platform](host.name, self._connect(host, target))
            self._routers[host.name] = router
        return router

    def _connect(self, host: Host, target: Target) -> Connect:
        def connect(urgent: bool) -> object:
            # The one before is lost, or closed by its router.
            host.connections.pop(PLUGINS[target.platform], None)
            return self._door.open(host, target, urgent=urgent)

        return connect


def _close(router: Router, _host: str) -> None:
    router.close()
