"""`python -m hacc_agent.engine.kernels relaying` compiles, so that who comes next only loads."""

from __future__ import annotations

import importlib
import sys

from . import replaying

replaying.load()
importlib.import_module(f"{__package__}.{sys.argv[1]}").warm()
