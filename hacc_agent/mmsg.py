"""recvmmsg and sendmmsg on arrays: many datagrams a system call, and no object for any of them.

Python's own `recvfrom` makes a bytes object, a tuple and a text of the address for each datagram,
which costs as much as the kernel's part (23 us a registration against 13). Here the kernel's
structures are rows of numpy arrays: headers, addresses and pieces of memory are written and read as
columns. Layouts are those of 64-bit Linux, the same on x86-64 and aarch64.
"""

from __future__ import annotations

import ctypes
import errno
import select
import socket
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SOCKADDR: Final = np.dtype(  # struct sockaddr_in
    [("family", "=u2"), ("port", ">u2"), ("address", ">u4"), ("zero", "=u8")]
)
PIECE: Final = np.dtype([("base", "=u8"), ("length", "=u8")])  # struct iovec
HEADER: Final = np.dtype(  # struct mmsghdr
    [
        ("name", "=u8"),
        ("name_length", "=u4"),
        ("_pad_1", "=u4"),
        ("pieces", "=u8"),
        ("piece_count", "=u8"),
        ("control", "=u8"),
        ("control_length", "=u8"),
        ("flags", "=u4"),
        ("_pad_2", "=u4"),
        ("length", "=u4"),
        ("_pad_3", "=u4"),
    ]
)
assert (SOCKADDR.itemsize, PIECE.itemsize, HEADER.itemsize) == (16, 16, 64)
assert ctypes.sizeof(ctypes.c_void_p) == 8, "these layouts are of 64-bit Linux"

_libc = ctypes.CDLL(None, use_errno=True)
_recvmmsg = _libc.recvmmsg
_recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
_sendmmsg = _libc.sendmmsg
_sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)

PATIENCE_MS: Final = 5
"""How long a full send buffer is waited for: what a batch takes to leave at 100 Mbit/s. A datagram
that does not fit then is lost like one that a switch drops: its sender asks again."""

NOT_NOW: Final = frozenset({errno.EAGAIN, errno.ENOBUFS})


def address_of(array: NDArray[Any]) -> int:
    """Where in memory an array begins."""
    start: int = array.__array_interface__["data"][0]
    return start


def addresses_of(array: NDArray[Any]) -> NDArray[Any]:
    """Where in memory each row of an array begins."""
    found: NDArray[Any] = address_of(array) + np.arange(len(array), dtype=np.uint64) * np.uint64(
        array.strides[0]
    )
    return found


def receive(descriptor: int, headers: int, room: int) -> int:
    """Fills headers, `room` of them, in memory from `headers` on; how many datagrams came, 0: none.

    An error that a datagram of ours caused earlier (nobody listens there) is not one of receiving:
    it has been taken from the socket, and what waits behind it comes with the next call.
    """
    count: int = _recvmmsg(descriptor, headers, room, socket.MSG_DONTWAIT, None)
    if count >= 0:
        return count
    code = ctypes.get_errno()
    if code in (errno.EAGAIN, errno.EINTR, errno.ECONNREFUSED, errno.ENETDOWN):
        return 0
    raise OSError(code, f"recvmmsg: {errno.errorcode.get(code, code)}")


def send(descriptor: int, headers: int, total: int) -> tuple[int, int]:
    """Sends `total` headers in memory from `headers` on; how many went, and the error that the next
    one met, or 0.
    """
    gone = 0
    waited = False
    while gone < total:
        count: int = _sendmmsg(
            descriptor, headers + gone * HEADER.itemsize, total - gone, socket.MSG_DONTWAIT
        )
        if count > 0:
            gone += count
            continue
        code = ctypes.get_errno()
        if code == errno.EINTR:
            continue
        if code in NOT_NOW and not waited:
            waited = True
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.poll(PATIENCE_MS)
            continue
        return gone, code
    return gone, 0
