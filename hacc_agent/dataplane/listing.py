"""A program as people read it: one line for each instruction, in the words of RFC 9669."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import Final

from .assembler import Condition, Helper, Operation, Width

_INSTRUCTION: Final = Struct("<BBhi")
_SIGNS: Final = {
    Operation.ADD: "+=", Operation.SUBTRACT: "-=", Operation.MULTIPLY: "*=", Operation.OR: "|=",
    Operation.AND: "&=", Operation.SHIFT_LEFT: "<<=", Operation.SHIFT_RIGHT: ">>=",
    Operation.EXCLUSIVE_OR: "^=", Operation.MOVE: "=",
}  # fmt: skip
_COMPARES: Final = {
    Condition.EQUAL: "==", Condition.ABOVE: ">", Condition.AT_LEAST: ">=",
    Condition.ANY_BIT: "&", Condition.UNEQUAL: "!=", Condition.BELOW: "<",
    Condition.AT_MOST: "<=",
}  # fmt: skip
_WIDTHS: Final = {Width.BYTE: "u8", Width.HALF: "u16", Width.WORD: "u32", Width.DOUBLE: "u64"}


def listing(octets: bytes) -> Iterator[str]:
    """Of what `Assembler.assemble` makes."""
    second = False
    for number in range(len(octets) // _INSTRUCTION.size):
        operation, registers, offset, value = _INSTRUCTION.unpack_from(octets, number * 8)
        if not second:
            yield f"{number:4}: {_text(operation, registers, offset, value, number)}"
        second = operation == 0x18  # takes two places


def _text(operation: int, registers: int, offset: int, value: int, number: int) -> str:
    to, by = f"r{registers & 15}", f"r{registers >> 4}"
    group, of = operation & 7, f"{by if operation & 8 else value}"
    to_half = to.replace("r", "w")
    match group:
        case 0x07 | 0x04 if operation == 0xDC:
            return f"{to} = be{value} {to}"
        case 0x07:
            return f"{to} {_SIGNS[Operation(operation & 0xF0)]} {of}"
        case 0x04:
            return f"{to_half} {_SIGNS[Operation(operation & 0xF0)]} {of.replace('r', 'w')}"
        case 0x00:
            return f"{to} = map {value}"
        case 0x01:
            return f"{to} = *({_WIDTHS[Width(operation & 0x18)]} *)({by} {offset:+})"
        case 0x02 | 0x03:
            place = f"*({_WIDTHS[Width(operation & 0x18)]} *)({to} {offset:+})"
            return f"{place} = {by if group == 3 else value}"
        case _:
            return _jump(operation, to, of, offset, value, number)


def _jump(operation: int, to: str, of: str, offset: int, value: int, number: int) -> str:
    if operation == 0x95:
        return "exit"
    if operation == 0x85:
        return f"call {Helper(value).name.lower()}"
    if operation == 0x05:
        return f"goto {number + offset + 1}"
    compared = f"{to} {_COMPARES[Condition(operation & 0xF0)]} {of}"
    half = compared.replace("r", "w") if operation & 7 == 6 else compared
    return f"if {half} goto {number + offset + 1}"
