"""agent.toml as a file: read, checked, and with every secret opened."""

from __future__ import annotations

from pathlib import Path

from .config import SEALED, AgentConfig, ConfigError, parse


class Unusable(Exception):
    """A file that the daemon cannot start with; says what is wrong, with file:line."""


def load(file: Path) -> AgentConfig:
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
    if SEALED.search(text) and found.sealed:  # and not in a comment
        line = next(n for n, line in enumerate(text.splitlines(), 1) if SEALED.search(line))
        raise Unusable(f"{file}:{line}: a secret is still sealed [hint: hacc apply opens it]")
    return found
