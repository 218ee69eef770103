"""`python -m hacc_agent`, where no script was installed."""

from __future__ import annotations

import sys

from .cli import main

sys.exit(main())
