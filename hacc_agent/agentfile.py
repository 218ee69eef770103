"""agent.toml as a file: read, checked, and with every secret opened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from .config import SEALED, AgentConfig, ConfigError, parse


class Unusable(Exception):
    """A file that the daemon cannot start with; says what is wrong, with file:line."""


T = TypeVar("T")


def load(file: Path) -> AgentConfig:
    """The configuration in a file. Raises `Unusable`."""
    return read(file, parse, lambda found: found.sealed)


def read(file: Path, understand: Callable[[str, str], T], sealed: Callable[[T], bool]) -> T:
    """What a file says. Raises `Unusable`, also when a secret in it is still sealed.

    `understand` takes the text and the file's name, and raises `ConfigError`.
    """
    try:
        text = file.read_text("utf-8")
        found = understand(text, str(file))
    except OSError as error:
        raise Unusable(f"{file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Unusable(f"{file}: it is not UTF-8 text") from None
    except ConfigError as error:
        raise Unusable(str(error)) from None
    if SEALED.search(text) and sealed(found):  # and not in a comment
        line = next(n for n, line in enumerate(text.splitlines(), 1) if SEALED.search(line))
        raise Unusable(f"{file}:{line}: a secret is still sealed [hint: hacc apply opens it]")
    return found
