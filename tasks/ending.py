"""How a command of `hacc` ends: an exit code, and no traceback for what a user can mend."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer

from .errors import Exit, HaccError, Problem


class Finished(Exception):
    """A command is done, and its code is not 0."""

    def __init__(self, code: Exit) -> None:
        self.code = code


def run(command: Callable[..., Any]) -> int:
    """Run the command line; returns the exit code (see errors.Exit)."""
    try:
        command(prog_name="hacc")
    except Finished as finished:
        return finished.code
    except HaccError as error:
        _tell(error)
        return error.exit
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except OSError as error:  # this machine's: a folder that cannot be written, a full disk
        _tell(_of_this_machine(error))
        return Exit.USAGE
    except SystemExit as left:
        if isinstance(left.__context__, BrokenPipeError):
            return Exit.OK  # the reader of the pipe has left (`hacc render | head`), as they may
        # Click leaves a usage error as 2, which means "changes pending" here.
        if not isinstance(left.code, int):
            return Exit.OK if left.code is None else Exit.USAGE
        if left.code == 2:
            _name_the_option(sys.argv[1:])
            return Exit.USAGE
        return left.code
    return Exit.OK


def _name_the_option(words: Sequence[str]) -> None:
    """A folder that was given bare, as other tools take it, is given by its option here."""
    for before, word in itertools.pairwise(("", *words)):
        if before not in ("--inventory", "-i") and (Path(word) / "hosts.yaml").is_file():
            typer.echo(f"hint: --inventory {word}", err=True)


def _tell(error: HaccError) -> None:
    """In the form that was asked for; what was parsed is gone when a command has failed."""
    from .report import show_error  # and all that can be reported, which the lab never does

    show_error(error, as_json="--json" in sys.argv[1:])


def _of_this_machine(error: OSError) -> HaccError:
    return HaccError(
        Problem(None, str(error.filename or "hacc"), (error.strerror or str(error)).lower())
    )
