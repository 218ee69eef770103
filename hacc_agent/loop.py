"""What both daemons wait with: descriptors and signals, in one epoll."""

from __future__ import annotations

import select
import signal
import socket
from collections.abc import Callable


class Loop:
    """Calls whoever watches a descriptor, between two turns of its owner."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._ready: dict[int, Callable[[], None]] = {}
        self._signals: dict[int, Callable[[], None]] = {}
        self._pipe: tuple[socket.socket, socket.socket] | None = None

    def watch(
        self, descriptor: int, ready: Callable[[], None], events: int = select.EPOLLIN
    ) -> None:
        """Calls `ready` whenever the descriptor is: level-triggered."""
        if descriptor in self._ready:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)
        self._ready[descriptor] = ready

    def forget(self, descriptor: int) -> None:
        """Before it is closed."""
        del self._ready[descriptor]
        self._epoll.unregister(descriptor)

    def on_signal(self, number: int, handler: Callable[[], None]) -> None:
        """Calls `handler` in the loop, once signals are heard."""
        self._signals[number] = handler
        signal.signal(number, lambda *_: None)  # the octet in the pipe is what wakes the loop

    def hear_signals(self) -> None:
        """From here on until `close`."""
        woken, wake = self._pipe = socket.socketpair()
        for end in self._pipe:
            end.setblocking(False)
        self.watch(woken.fileno(), self._handle_signals)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)

    def turn(self, seconds: float) -> int:
        """Waits that long at most, and calls who is ready; how many were."""
        found = self._epoll.poll(max(0.0, seconds))
        for descriptor, _ in found:
            ready = self._ready.get(descriptor)
            if ready is not None:  # an earlier one of this turn may have closed it
                ready()
        return len(found)

    def close(self) -> None:
        if self._pipe is not None:
            signal.set_wakeup_fd(-1)
            for end in self._pipe:
                end.close()
        self._epoll.close()

    def _handle_signals(self) -> None:
        assert self._pipe is not None
        for number in self._pipe[0].recv(64):
            handler = self._signals.get(number)
            if handler is not None:
                handler()
