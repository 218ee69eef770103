"""From a function to machine code (numba), kept on disk: compiled once a machine and version.

numba keeps the code of a function for as long as the file of that function is the same. What it
calls is part of that code, and constants of other modules are frozen into it, so that is not
enough: here all sources of the engine together name the folder in which the code is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])

_PACKAGE: Final = Path(__file__).parents[2]
_FROZEN: Final = ("engine", "wire", "config.py")
"""What the code may hold constants of, or the body of."""


def _sources() -> str:
    """A name for these sources: another one whenever any of them changes."""
    digest = hashlib.blake2b(digest_size=10)
    for part in _FROZEN:
        place = _PACKAGE / part
        for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(file.read_bytes())
    return digest.hexdigest()


BASE: Final = Path(config.CACHE_DIR or Path.home() / ".cache" / "hacc")
"""$NUMBA_CACHE_DIR, as the service's unit sets it."""

CACHE: Final = BASE / _sources()
config.CACHE_DIR = str(CACHE)  # before the first kernel is declared


def kernel(function: F) -> F:
    """Compiles a function when it is first called, or loads what was compiled before.

    Reads and writes beyond an array are not noticed: every kernel checks before it reads. Nor may
    one make an array: memory is its caller's. Then nothing counts references, which would take
    three times as long as the work itself (a table is two dozen arrays).
    """
    return _compiled(function, False)


def part(function: F) -> F:
    """A kernel that becomes a part of each that calls it.

    A call hands over each array of a table in seven words, which takes longer than most parts do.
    """
    return _compiled(function, True)


def direct(function: F, *arguments: Any) -> F:
    """A kernel for arguments of the types of these, to be called with such ones and no others.

    What a kernel itself asks first, of which types its arguments are, takes 10 us for the arrays
    of two tables; this call takes 2.
    """
    types = tuple(numba.typeof(argument) for argument in arguments)
    called: F = cast(Any, function).compile(types)  # numba's, that it keeps behind the function
    return called


def _prefetch(_typing: Any, array: Any, at: Any) -> Any:
    """What numba puts where `prefetch` is called: the type of the call, and who writes its code."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = signature.args[0]
        found = make_array(kind)(context, builder, arguments[0])
        item = cgutils.get_item_pointer(context, builder, kind, found, [arguments[1]])
        number = ir.IntType(32)
        kinds = [cgutils.voidptr_t, number, number, number]
        call = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), kinds), "llvm.prefetch.p0"
        )
        place = builder.bitcast(item, cgutils.voidptr_t)
        builder.call(call, [place, number(1), number(3), number(1)])  # to write, to keep, data
        return context.get_dummy_value()

    return types.void(array, at), generate


prefetch: Final[Callable[[NDArray[Any], int], None]] = intrinsic(_prefetch)
"""Has the cache line of array[at] brought from memory, which is not waited for.

A dozen lines come in the time of one: who knows its next keys asks for all of them first.
"""


def _compiled(function: F, inlined: bool) -> F:
    compiled: F = numba.njit(
        function, cache=True, error_model="numpy", _nrt=False, forceinline=inlined
    )
    return compiled
