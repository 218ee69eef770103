"""What can go wrong with one router, each with its exit code and what to do about it."""

from __future__ import annotations

from ..errors import Exit, HaccError, Problem


class DeviceError(HaccError):
    """A router failed, and holds what it held before unless the message says otherwise."""

    exit = Exit.DEVICE

    def __init__(self, host: str, message: str, hint: str = "") -> None:
        super().__init__(Problem(None, host, message, hint=hint))
        self.host = host


class Unreachable(DeviceError):
    """No SSH session could be opened; trying again may help."""


class LoginRefused(DeviceError):
    """The router refused the user, the password or the enable secret; trying again locks it."""


class SessionLost(DeviceError):
    """The connection ended, or went silent, in the middle of a dialogue."""


class LineRejected(DeviceError):
    """The router refused a configuration line."""


class Refused(DeviceError):
    """The router, or its state, refused the change as a whole: nothing was touched."""


class Moved(Refused):
    """The router is not what the plan was made from: somebody else has changed it."""

    exit = Exit.STALE


class ApplyFailed(DeviceError):
    """A check or an apply command failed on a Linux router."""


class NoRoom(Refused):
    """No space for a backup; nothing was sent."""


class Unexpected(DeviceError):
    """The router took every line, and yet does not hold what it should."""


class NotReverted(DeviceError):
    """The way back failed: a person has to look at this router."""

    exit = Exit.BROKEN
