"""What machine a figure comes from: every benchmark ends with this line."""

from __future__ import annotations

import os
import platform


def machine() -> str:
    return (
        f"machine: {os.cpu_count()} cores, {platform.machine()}, "
        f"Linux {platform.release()}, Python {platform.python_version()}"
    )
