"""Whole numbers of a width, as compiled code knows them.

A signed number beside an unsigned one of 64 bits makes a float, so what is to be 64 bits without a
sign has to be said at each place where it could be anything else. numba knows numpy's scalar types
as conversions; to a type checker what they give is a whole number, as everything in a kernel is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

import numpy as np

Number = Callable[[Any], int]

i8: Final = cast(Number, np.int64)
u8: Final = cast(Number, np.uint64)
u4: Final = cast(Number, np.uint32)
