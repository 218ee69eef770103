"""`python -m hacc_agent.engine.kernels relaying` compiles, so that who comes next only loads."""

from __future__ import annotations

import importlib
import sys

for name in sys.argv[1:]:
    importlib.import_module(f"{__package__}.{name}").warm()
