"""What must hold of every compiled site, proven on the models at every compile.

The models are what is rendered, so a mistake of the compiler is caught as well as one of the
intent. Each invariant is a row of a table: an id, the sentence, why it matters, and the check,
which names the places that disagree. `keys` proves what only the clear secrets show.
"""

from __future__ import annotations

from ..errors import Problem
from .fleet import Invariant, Site
from .keys import KEYS, prove_keys
from .numbers import NUMBERS
from .redundancy import REDUNDANCY
from .service import SERVICE

__all__ = ["INVARIANTS", "KEYS", "Invariant", "Site", "prove", "prove_keys"]

INVARIANTS: tuple[Invariant, ...] = (*REDUNDANCY, *NUMBERS, *SERVICE)


def prove(site: Site) -> list[Problem]:
    """Every way in which a site breaks an invariant; an empty list is a proof."""
    return [problem for invariant in INVARIANTS for problem in invariant.check(site)]
