"""Programs on interfaces: attached once, replaced where they stand, back when an interface is."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from .kernel import Attach, Program, pin, pinned


class Attachment:
    """Links of programs, pinned as `link-PLACE-INTERFACE` where there is a folder."""

    def __init__(
        self, program: Callable[[str], Program], where: Attach, folder: Path | None
    ) -> None:
        """`program`: for an interface, made when it is attached."""
        self._program: Final = program
        self._where: Final = where
        self._folder: Final = folder
        self._links: dict[str, tuple[int, int]] = {}  # interface: its index, the link

    def attach(self, interfaces: Iterable[str]) -> tuple[str, ...]:
        """To these, as far as they have it not yet; those that are not there. Raises `OSError`.

        An interface that went took its links along: one of the same name is another one.
        """
        missing, wanted = [], set(interfaces)
        for name in sorted(wanted | self._links.keys()):
            try:
                number = socket.if_nametoindex(name)
            except OSError:
                number = 0
            before, link = self._links.get(name, (0, -1))
            if number == before and number:
                continue
            if link >= 0:
                self._forget(name, link)
            if number and name in wanted:
                self._links[name] = (number, self._link(name, number))
            elif name in wanted:
                missing.append(name)
        return tuple(missing)

    def detach(self) -> None:
        """From everywhere: what is pinned goes too."""
        for name, (_, link) in list(self._links.items()):
            self._forget(name, link)

    def close(self) -> None:
        """What is pinned stays where it is."""
        for _, link in self._links.values():
            os.close(link)

    def _link(self, name: str, number: int) -> int:
        path, program = self._path(name), self._program(name)
        try:
            if path is None:
                return program.attach(number, self._where)
            try:
                link = pinned(path)
                program.replace(link)
            except OSError:  # nothing is pinned, or the link is of an interface that went
                path.unlink(missing_ok=True)
                link = program.attach(number, self._where)
                pin(link, path)
            return link
        finally:
            program.close()  # the link holds it

    def _forget(self, name: str, link: int) -> None:
        del self._links[name]
        os.close(link)
        path = self._path(name)
        if path is not None:
            path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path | None:
        # A bpffs takes no dots in names.
        plain = name.replace(".", "_")
        return self._folder / f"link-{self._where.name.lower()}-{plain}" if self._folder else None
