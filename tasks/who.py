"""Who runs this command, for a record and for whoever it is in the way of."""

from __future__ import annotations

import os
import pwd
import shlex
import socket
import sys


def user() -> str:
    """The kernel's word for it: what the environment says of a user, anybody can say."""
    name = name_of(os.getuid())
    behind = os.environ.get("SUDO_USER", "") if os.getuid() == 0 else ""
    return f"{behind} as {name}" if behind not in ("", name) else name


def name_of(uid: int) -> str:
    """A user's name, or the number of one that this machine does not know."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # in a container
        return str(uid)


def machine() -> str:
    return socket.gethostname()


def command() -> str:
    """What was typed. No option of ours takes a secret in clear."""
    return shlex.join(["hacc", *sys.argv[1:]])
