"""eBPF programs, written instruction by instruction: no compiler, no object file, on no router.

An `Assembler` is told one instruction after the other; jumps go to names, and `assemble` gives what
bpf(2) takes. The kernel's verifier judges the result, so nothing is proven here but that each name
exists. The encoding is that of RFC 9669: 64 bits an instruction, two of them for a map.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

_INSTRUCTION: Final = Struct("<BBhi")
_IMMEDIATE: Final = 0x00
_REGISTER: Final = 0x08
_ALU64: Final = 0x07
_ALU32: Final = 0x04
_JUMP64: Final = 0x05
_JUMP32: Final = 0x06
_LOAD: Final = 0x61  # BPF_LDX | BPF_MEM
_STORE: Final = 0x63  # BPF_STX | BPF_MEM
_STORE_IMMEDIATE: Final = 0x62  # BPF_ST | BPF_MEM
_WIDE: Final = 0x18  # BPF_LD | BPF_IMM | BPF_DW
_MAP: Final = 1  # BPF_PSEUDO_MAP_FD
_TO_NETWORK: Final = 0xDC  # BPF_END | BPF_TO_BE: swaps on a little-endian machine
_CALL: Final = 0x85
_EXIT: Final = 0x95
_ALWAYS: Final = 0x05


class AssemblyError(Exception):
    """A jump to a name that does not exist, or is too far away: a mistake of ours."""


class Register(enum.IntEnum):
    """R0 is what a call returns, R1 to R5 what it takes; R6 to R9 outlive it; R10 is the stack."""

    R0 = 0
    R1 = 1
    R2 = 2
    R3 = 3
    R4 = 4
    R5 = 5
    R6 = 6
    R7 = 7
    R8 = 8
    R9 = 9
    STACK = 10


class Width(enum.IntEnum):
    """Of what is loaded or stored."""

    BYTE = 0x10
    HALF = 0x08
    WORD = 0x00
    DOUBLE = 0x18


class Operation(enum.IntEnum):
    """RFC 9669, 4.1."""

    ADD = 0x00
    SUBTRACT = 0x10
    MULTIPLY = 0x20
    OR = 0x40
    AND = 0x50
    SHIFT_LEFT = 0x60
    SHIFT_RIGHT = 0x70
    EXCLUSIVE_OR = 0xA0
    MOVE = 0xB0


class Condition(enum.IntEnum):
    """RFC 9669, 4.3; unsigned."""

    EQUAL = 0x10
    ABOVE = 0x20
    AT_LEAST = 0x30
    ANY_BIT = 0x40
    UNEQUAL = 0x50
    BELOW = 0xA0
    AT_MOST = 0xB0


class Helper(enum.IntEnum):
    """Functions of the kernel: linux/bpf.h, `___BPF_FUNC_MAPPER`."""

    MAP_LOOKUP = 1
    MAP_UPDATE = 2
    RANDOM = 7
    STORE_BYTES = 9
    REDIRECT = 23
    LOAD_BYTES = 26
    ADJUST_ROOM = 50
    FIB_LOOKUP = 69
    REDIRECT_NEIGHBOUR = 152
    XDP_LOAD_BYTES = 189
    XDP_STORE_BYTES = 190


class Instruction(NamedTuple):
    """One line of a program; `target` is the name that it jumps to."""

    operation: int
    destination: int = 0
    source: int = 0
    offset: int = 0
    immediate: int = 0
    target: str = ""


class Assembler:
    """A program in the making."""

    def __init__(self) -> None:
        self._instructions: list[Instruction] = []
        self._names: dict[str, int] = {}
        self._fresh = 0

    def name(self, name: str) -> None:
        """The next instruction is called so."""
        if name in self._names:
            raise AssemblyError(f"two places are called {name!r}")
        self._names[name] = len(self._instructions)

    def unique(self, stem: str) -> str:
        """A name that nobody has used."""
        self._fresh += 1
        return f"{stem} {self._fresh}"

    # ------------------------------------------------------------------ instructions

    def calculate(self, operation: Operation, to: Register, by: Register | int) -> None:
        """64 bits; an immediate is 32 bits with its sign."""
        self._calculate(_ALU64, operation, to, by)

    def calculate_32(self, operation: Operation, to: Register, by: Register | int) -> None:
        """The lower half; the upper one becomes 0."""
        self._calculate(_ALU32, operation, to, by)

    def move(self, to: Register, value: Register | int) -> None:
        self.calculate(Operation.MOVE, to, value)

    def add(self, to: Register, value: Register | int) -> None:
        self.calculate(Operation.ADD, to, value)

    def swap(self, register: Register, bits: int) -> None:
        """Between the order of the network and that of this machine; what is above becomes 0."""
        self._add(Instruction(_TO_NETWORK, register, immediate=bits))

    def load(self, width: Width, to: Register, base: Register, offset: int = 0) -> None:
        self._add(Instruction(_LOAD | width, to, base, offset))

    def store(self, width: Width, base: Register, offset: int, value: Register | int) -> None:
        if isinstance(value, Register):
            self._add(Instruction(_STORE | width, base, value, offset))
        else:
            self._add(Instruction(_STORE_IMMEDIATE | width, base, 0, offset, _signed(value)))

    def map(self, to: Register, descriptor: int) -> None:
        self._add(Instruction(_WIDE, to, _MAP, 0, descriptor))
        self._add(Instruction(0))

    def call(self, helper: Helper) -> None:
        self._add(Instruction(_CALL, immediate=helper))

    def leave(self, verdict: int) -> None:
        self.move(Register.R0, verdict)
        self.exit()

    def exit(self) -> None:
        self._add(Instruction(_EXIT))

    def jump(self, target: str) -> None:
        self._add(Instruction(_ALWAYS, target=target))

    def jump_if(
        self, register: Register, condition: Condition, value: Register | int, target: str
    ) -> None:
        """64 bits."""
        self._jump(_JUMP64, register, condition, value, target)

    def jump_if_32(
        self, register: Register, condition: Condition, value: Register | int, target: str
    ) -> None:
        """Of the lower half."""
        self._jump(_JUMP32, register, condition, value, target)

    # ------------------------------------------------------------------ the result

    def assemble(self) -> bytes:
        """What bpf(2) loads. Raises `AssemblyError`."""
        return b"".join(
            _INSTRUCTION.pack(one.operation, one.source << 4 | one.destination, offset, immediate)
            for one, offset, immediate in self._resolved()
        )

    def _resolved(self) -> Iterator[tuple[Instruction, int, int]]:
        for at, one in enumerate(self._instructions):
            offset = one.offset
            if one.target:
                if one.target not in self._names:
                    raise AssemblyError(f"nothing is called {one.target!r}")
                offset = self._names[one.target] - at - 1
                if not -(1 << 15) <= offset < 1 << 15:
                    raise AssemblyError(f"{one.target!r} is {offset} instructions away")
            yield one, offset, one.immediate

    def _add(self, instruction: Instruction) -> None:
        self._instructions.append(instruction)

    def _calculate(
        self, group: int, operation: Operation, to: Register, by: Register | int
    ) -> None:
        if isinstance(by, Register):
            self._add(Instruction(group | operation | _REGISTER, to, by))
        else:
            self._add(Instruction(group | operation | _IMMEDIATE, to, immediate=_signed(by)))

    def _jump(
        self, group: int, register: Register, condition: Condition, value: Register | int, to: str
    ) -> None:
        if isinstance(value, Register):
            self._add(Instruction(group | condition | _REGISTER, register, value, target=to))
        else:
            one = Instruction(
                group | condition | _IMMEDIATE, register, immediate=_signed(value), target=to
            )
            self._add(one)


def _signed(value: int) -> int:
    """32 bits as an instruction holds them."""
    return value - (1 << 32) if value >> 31 == 1 else value
