"""How the lab refuses: what is wrong, what to do, and the exit code of `hacc lab`."""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    """The exit codes of `hacc` that the lab gives (docs/reference.md has the whole contract)."""

    OK = 0
    USAGE = 1  # usage, inventory that does not validate, a machine that cannot host the lab
    DEVICE = 3  # a virtual router did not come up, or does not answer
    INTERRUPTED = 130


class LabError(Exception):
    """Base of every error that a user of the lab may see: problems, one a line, and a hint."""

    exit: Exit = Exit.USAGE

    def __init__(self, *problems: str, hint: str = "") -> None:
        self.problems = problems
        self.hint = hint
        super().__init__("\n".join((*problems, *([f"[hint: {hint}]"] if hint else []))))


class InventoryInvalid(LabError):
    """The inventory does not describe a lab that could be built."""


class MachineUnfit(LabError):
    """This machine, or this user, cannot host virtual routers."""


class NotRunning(LabError):
    """The lab, or the router asked for, is not up."""

    exit = Exit.DEVICE


class RouterFailed(LabError):
    """A virtual router did not do what it must."""

    exit = Exit.DEVICE
