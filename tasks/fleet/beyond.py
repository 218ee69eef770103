"""Other machines: parts as tasks of dask distributed.

The scheduler is trusted with the intents, and with no secret: a part holds references, which each
worker opens itself, from its own environment, files and vaults. Who can reach a dask scheduler
can run code on its workers: give it TLS (`dask+tls://`, with dask's own settings under
`distributed.comm.tls`), or a network of its own.

Dask runs the task of a worker that died on another one, some times over. For work that changes
routers that would be wrong, so such a part is claimed first, at the scheduler, and whoever finds
a part claimed leaves it alone.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import queue
import secrets
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

from hacc_agent import __version__

from ..errors import Exit, HaccError, Problem
from ..pipeline import open_secrets
from ..render import templates_sha256
from ..runner import Events, Listener, Stage, Stop
from .parts import Part
from .work import Outcome, Work, interrupted, lost, perform

T = TypeVar("T")

# Parts under way for each thread of a worker: the next one is there when one ends. What was not
# given out when Ctrl-C comes never begins.
AHEAD: Final = 2
CONNECT_S: Final = 15
LOCAL: Final = "local"  # instead of a scheduler's address: workers of this machine, for a try
_CLAIMED: Final = "claimed"


class Unavailable(HaccError):
    """There is nobody to give parts to."""


def _distributed() -> Any:
    """The library, which says nothing of its types."""
    try:
        return importlib.import_module("distributed")
    except ImportError:
        raise Unavailable(
            Problem(
                None,
                "--runner",
                "dask distributed is not installed",
                hint="pip install 'hacc[fleet]', here and on the workers",
            )
        ) from None


class Dask:
    """A `Runner` over the workers of a dask scheduler, or over `count` local ones."""

    def __init__(
        self,
        scheduler: str,
        stop: Stop,
        listeners: Iterable[Listener] = (),
        *,
        count: int = 2,
    ) -> None:
        self._scheduler = scheduler
        self._count = count
        self._stop = stop
        self._events = Events(*listeners)

    def map(self, work: Work[T], parts: Sequence[Part]) -> Iterator[Outcome[T]]:
        with self._client() as client, self._stop.on_interrupt():
            yield from self._map(client, work, parts)

    @contextlib.contextmanager
    def _client(self) -> Iterator[Any]:
        distributed = _distributed()
        with contextlib.ExitStack() as stack:
            where: Any = self._scheduler
            if where == LOCAL:
                where = stack.enter_context(
                    distributed.LocalCluster(
                        n_workers=self._count,
                        threads_per_worker=1,
                        dashboard_address=None,
                        silence_logs=logging.CRITICAL,  # heartbeats that end when we do
                    )
                )
            try:
                client = distributed.Client(where, timeout=CONNECT_S, set_as_default=False)
            except (OSError, ValueError) as error:
                raise Unavailable(
                    Problem(
                        None,
                        "--runner",
                        f"no dask scheduler answers at {where}: {error}",
                        hint="dask scheduler --host ADDRESS, then dask worker ADDRESS:8786",
                    )
                ) from None
            yield stack.enter_context(client)

    def _map(self, client: Any, work: Work[T], parts: Sequence[Part]) -> Iterator[Outcome[T]]:
        threads = sum(client.nthreads().values())
        if not threads:
            raise Unavailable(
                Problem(
                    None,
                    "--runner",
                    f"the scheduler at {self._scheduler} has no workers",
                    hint="dask worker ADDRESS:8786",
                )
            )
        run = secrets.token_hex(4)
        waiting = iter(parts)
        under_way: dict[Any, Part] = {}
        ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        while True:
            if not self._stop:
                for part in islice(waiting, threads * AHEAD - len(under_way)):
                    future = client.submit(
                        _serve, work, part, run, _SAME, key=f"hacc-{run}-{part.number}", pure=False
                    )
                    under_way[future] = part
                    future.add_done_callback(ended.put)
            if not under_way:
                break
            try:
                future = ended.get(timeout=0.5)
            except queue.Empty:  # to look at `stop` now and then
                continue
            outcome: Outcome[T] = _outcome(future, under_way.pop(future))
            for line in outcome.met:
                self._events.emit("", Stage.TRUST, f"first contact: keeping {line}")
            yield outcome
        yield from (interrupted(part) for part in waiting)


def _outcome(future: Any, part: Part) -> Outcome[Any]:
    try:
        answer = future.result()
    except Exception as error:  # of dask, or of the network; ours never leave `perform`
        return lost(part, type(error).__name__)
    return lost(part, "died") if answer == _CLAIMED else Outcome(part, *answer)


# ------------------------------------------------------------------ in a worker

# What worker and orchestrator must have in common: the same parts, rendered the same.
_SAME: Final[Mapping[str, str]] = {"hacc": __version__, "templates": templates_sha256()[:12]}


def _serve(work: Work[Any], part: Part, run: str, same: Mapping[str, str]) -> Any:
    if same != _SAME:
        wrong = Problem(
            None,
            part.name,
            f"a worker has {_SAME}",
            allowed=f"{dict(same)}",
            hint="install the same version of hacc on every worker",
        )
        return None, Exit.USAGE, (wrong,), ()
    if not work.repeatable and not _claim(f"hacc-{run}-{part.number}"):
        return _CLAIMED
    _end_sampling()
    try:
        opened = open_secrets(part.prepared)
    except HaccError as error:
        return None, error.exit, error.problems, ()
    with tempfile.TemporaryDirectory(prefix="hacc-part-") as folder:
        outcome = perform(work, part, opened, Path(folder) / "known_hosts")
    return outcome.value, outcome.exit, outcome.problems, outcome.met


def _end_sampling() -> None:
    """No longer look at this worker's stack 100 times a second, for dask's dashboard.

    `sys._current_frames`, which does that, may begin a garbage collection under the interpreter's
    list of threads, and then waits for ever for a thread that begins just now (python/cpython
    issue 106883; until 3.11.8). Sessions are threads: of 1,000 routers every fourth run hung.
    """
    worker = _distributed().get_worker()
    sampling = worker.periodic_callbacks.get("profile")
    if sampling is None or not sampling.is_running():
        return
    ended = threading.Event()

    def end() -> None:  # in the thread of the worker's loop, which is the one who samples
        sampling.stop()
        ended.set()

    worker.loop.add_callback(end)
    ended.wait()


def _claim(name: str) -> bool:
    """Whether nobody has begun this part before."""
    distributed = _distributed()
    event = distributed.Event(name, client=distributed.get_client())
    if event.is_set():
        return False
    event.set()
    return True
