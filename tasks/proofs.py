"""What must hold of every compiled site, proven on the models at every compile."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import Problem
from .model import ClusterModel


def prove(models: Sequence[ClusterModel]) -> list[Problem]:
    """Every invariant that does not hold."""
    del models
    return []
