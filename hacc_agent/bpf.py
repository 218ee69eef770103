"""Which frames and datagrams reach us: classic BPF, assembled here and run by the kernel.

A program is a list of steps with names to jump to (Documentation/networking/filter.rst in the
kernel's source); a step without a jump goes on with the next one.
"""

from __future__ import annotations

import ctypes
import socket
from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Final, NamedTuple

SO_ATTACH_FILTER: Final = 26  # asm-generic/socket.h

# Operations of linux/bpf_common.h that are used here: class | size or jump | mode.
LOAD_WORD: Final = 0x20  # ld [k]
LOAD_HALF: Final = 0x28  # ldh [k]
LOAD_BYTE: Final = 0x30  # ldb [k]
LOAD_HALF_X: Final = 0x48  # ldh [x + k]
LOAD_BYTE_X: Final = 0x50  # ldb [x + k]
LOAD_X_HEADER: Final = 0xB1  # ldx 4 * ([k] & 0xf)
JUMP_EQUAL: Final = 0x15  # jeq #k
JUMP_BITS: Final = 0x45  # jset #k
RETURN: Final = 0x06  # ret #k

PACKET_TYPE: Final = 0xFFFF_F000 + 4  # SKF_AD_OFF + SKF_AD_PKTTYPE: a place that is no octet
PACKET_HOST: Final = 0  # what is there when the frame's destination is this interface
LATER_FRAGMENT: Final = 0x1FFF
UDP: Final = 17
WHOLE: Final = 0xFFFF_FFFF  # octets of it that are taken

_INSTRUCTION: Final = Struct("=HBBI")
_PROGRAM: Final = Struct("@HP")  # struct sock_fprog


class Step(NamedTuple):
    """An instruction; it may have a name, and jump to later ones."""

    operation: int
    k: int
    yes: str = ""
    no: str = ""
    name: str = ""


NOTHING: Final = (Step(RETURN, 0),)


def messages(port: int, own: Iterable[int], in_transit: int | None) -> list[Step]:
    """Frames with UDP for this port of our own addresses; and, where a virtual address is given,
    those that pass through us from this port of it, which is how a stock IOS member answers.

    Offsets are those of the frame. Later fragments have no ports and do not count.
    """
    steps = [
        Step(LOAD_WORD, PACKET_TYPE),
        Step(JUMP_EQUAL, PACKET_HOST, no="drop"),
        Step(LOAD_BYTE, 23),
        Step(JUMP_EQUAL, UDP, no="drop"),
        Step(LOAD_HALF, 20),
        Step(JUMP_BITS, LATER_FRAGMENT, yes="drop"),
        Step(LOAD_X_HEADER, 14),
        Step(LOAD_HALF_X, 14 + 2),  # destination port
        Step(JUMP_EQUAL, port, no="transit"),
        Step(LOAD_WORD, 30),  # destination address
        *(Step(JUMP_EQUAL, address, yes="take") for address in own),
    ]
    if in_transit is None:
        return [*steps, Step(RETURN, 0, name="transit"), *_ENDS]
    return [
        *steps,
        Step(LOAD_HALF_X, 14, name="transit"),  # source port
        Step(JUMP_EQUAL, port, no="drop"),
        Step(LOAD_WORD, 26),  # source address
        Step(JUMP_EQUAL, in_transit, no="drop"),
        *_ENDS,
    ]


_ENDS: Final = (Step(RETURN, WHOLE, name="take"), Step(RETURN, 0, name="drop"))


def assemble(steps: Sequence[Step]) -> bytes:
    """The instructions as the kernel reads them."""
    places = {step.name: place for place, step in enumerate(steps) if step.name}

    def jump(place: int, name: str) -> int:
        return places[name] - place - 1 if name else 0

    return b"".join(
        _INSTRUCTION.pack(step.operation, jump(place, step.yes), jump(place, step.no), step.k)
        for place, step in enumerate(steps)
    )


def attach(descriptor: socket.socket, steps: Sequence[Step]) -> None:
    """What the program does not take does not reach the socket from now on."""
    code = ctypes.create_string_buffer(assemble(steps))
    program = _PROGRAM.pack(len(steps), ctypes.addressof(code))
    descriptor.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
