"""hsrp.toml as a file: read, checked, and with every secret opened."""

from __future__ import annotations

from pathlib import Path

from ..agentfile import Unusable
from ..config import SEALED
from .config import ConfigError, HsrpConfig, parse

__all__ = ["Unusable", "load"]


def load(file: Path) -> HsrpConfig:
    """The configuration in a file. Raises `Unusable`."""
    try:
        text = file.read_text("utf-8")
        found = parse(text, str(file))
    except OSError as error:
        raise Unusable(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unusable(f"{file}: it is not UTF-8 text") from None
    except ConfigError as error:
        raise Unusable(str(error)) from None
    secrets = [value for group in found.groups for value in (group.text, group.md5) if value]
    if any(SEALED.search(value) for value in secrets):
        line = next(n for n, line in enumerate(text.splitlines(), 1) if SEALED.search(line))
        raise Unusable(f"{file}:{line}: a secret is still sealed [hint: hacc apply opens it]")
    return found
