"""hsrp.toml as a file: read, checked, and with every secret opened."""

from __future__ import annotations

from pathlib import Path

from ..agentfile import Unusable, read
from ..config import SEALED
from .config import HsrpConfig, parse

__all__ = ["Unusable", "load"]


def load(file: Path) -> HsrpConfig:
    """The configuration in a file. Raises `Unusable`."""
    return read(file, parse, _sealed)


def _sealed(found: HsrpConfig) -> bool:
    secrets = [value for group in found.groups for value in (group.text, group.md5) if value]
    return any(SEALED.search(value) for value in secrets)
