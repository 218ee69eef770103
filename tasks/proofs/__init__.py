"""What must hold of every compiled site, proven on the models at every compile.

The models are what is rendered, so a mistake of the compiler is caught as well as one of the
intent. Each invariant is a row of a table: an id, the sentence, why it matters, and the check,
which names the places that disagree. `keys` proves what only the clear secrets show.
"""

from __future__ import annotations

from dataclasses import replace

from ..errors import Place, Problem
from .fleet import Invariant, Site
from .keys import KEYS, prove_keys
from .numbers import NUMBERS
from .redundancy import REDUNDANCY
from .service import SERVICE

__all__ = ["INVARIANTS", "KEYS", "Invariant", "Site", "prove", "prove_keys"]

INVARIANTS: tuple[Invariant, ...] = (*REDUNDANCY, *NUMBERS, *SERVICE)


def prove(site: Site) -> list[Problem]:
    """Every way in which a site breaks an invariant; an empty list is a proof.

    What several routers break in the same words at the same place is told once, with all of the
    places that disagree.
    """
    found: dict[tuple[Place | None, str, str], Problem] = {}
    for invariant in INVARIANTS:
        for problem in invariant.check(site):
            key = (problem.place, problem.subject, problem.message)
            also = dict.fromkeys((*(found[key].also if key in found else ()), *problem.also))
            found[key] = replace(problem, also=tuple(also))
    return list(found.values())
