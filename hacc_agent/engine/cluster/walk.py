"""Where the extensions of a whole batch stand: `wire.peek`, for all its datagrams at once.

All datagrams take a step from one extension to the next together. What their receivers need is
noted; a datagram in which something is unusual is left to who reads datagrams one by one: one that
is cut off, with an extension that only a single reader understands, with a noted one twice, or with
more extensions than anybody sends.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ...wire import ExtensionType, MessageType, tlv
from ...wire.messages import REPLY, REQUEST

STEPS: Final = 10
"""A request has an NAI, a challenge, vendor's extensions and up to four authentications."""

# What an extension is to us. Those that are noted are rows of `Walk.noted`, so they come first.
_NAI: Final = 0
_MOBILE_HOME: Final = 1
_REVOCATION: Final = 2
_SKIPPED: Final = 3
_PADDING: Final = 4
_LONG: Final = 5
_UNUSUAL: Final = 6

_LEAST: Final = np.array([1, tlv.SPI_OCTETS, 6, 0, 0, 0, 0])
"""Octets of data without which the noted ones mean nothing: NAI; SPI; flags and timestamp."""


def _forms() -> NDArray[np.uint8]:
    """By type; a second time for replies, in which more is of interest."""
    forms = np.full((2, 256), _UNUSUAL, np.uint8)
    for kind, form in enumerate(tlv.FORMS):
        match form:
            case tlv.SHORT | tlv.IDENTIFIER | tlv.AUTHENTICATION:
                forms[:, kind] = _SKIPPED
            case tlv.PADDING:
                forms[:, kind] = _PADDING
            case tlv.LONG | tlv.LONG_AUTHENTICATION:
                forms[:, kind] = _LONG
    forms[:, ExtensionType.NETWORK_ACCESS_IDENTIFIER] = _NAI
    forms[:, ExtensionType.MOBILE_HOME_AUTHENTICATION] = _MOBILE_HOME
    forms[:, ExtensionType.REVOCATION_SUPPORT] = _REVOCATION
    forms[1, [ExtensionType.UDP_TUNNEL_REPLY, ExtensionType.MOBILE_NETWORK]] = _UNUSUAL
    return forms.reshape(-1)


_FORMS: Final = _forms()


class Walk:
    """Columns of a batch: which of its datagrams are ordinary, and what stands where in them."""

    __slots__ = (
        "flat",
        "kind",
        "mobile_home",
        "nai",
        "nai_length",
        "octets",
        "ordinary",
        "revocation",
        "start",
        "words",
    )

    def __init__(self, octets: NDArray[Any], length: NDArray[Any]) -> None:
        self.octets = np.ascontiguousarray(octets)
        count, width = self.octets.shape
        self.flat = self.octets.reshape(-1)
        self.words = self.octets.view(">u4")
        self.start = np.arange(0, count * width, width)
        self.kind = self.octets[:, 0]
        reply = self.kind == MessageType.REGISTRATION_REPLY
        fixed = np.where(reply, REPLY.size, REQUEST.size)
        self.ordinary = (reply | (self.kind == MessageType.REGISTRATION_REQUEST)) & (
            length >= fixed
        )
        noted = self._walk(fixed, length, reply)
        # Offsets in `flat`; 0, where a batch's first datagram begins, is no extension's.
        self.nai, self.mobile_home, self.revocation = noted[:3]
        self.nai_length = self.flat.take(self.nai + 1) * (self.nai > 0)

    def _walk(self, fixed: NDArray[Any], length: NDArray[Any], reply: NDArray[Any]) -> NDArray[Any]:
        flat = self.flat
        noted = np.zeros((_UNUSUAL + 1, len(fixed)), np.int64)
        rows = np.flatnonzero(self.ordinary)
        place, end = (self.start + fixed)[rows], (self.start + length)[rows]
        table = reply[rows] * 256
        unusual = np.zeros(len(rows), np.bool_)
        for _ in range(STEPS):
            live = place < end
            if not live.all():
                over = (place > end) | unusual
                self.ordinary[rows[over]] = False
                live &= ~over
                rows, place, end, table = rows[live], place[live], end[live], table[live]
                unusual = unusual[live]
            if not len(rows):
                return noted
            form = _FORMS.take(flat.take(place) + table)
            octets = flat.take(place + 1, mode="clip").astype(np.int64)
            unusual |= (form == _UNUSUAL) | (octets < _LEAST.take(form))
            unusual |= (noted[form, rows] > 0) & (form <= _REVOCATION)
            noted[form, rows] = place
            octets += 2
            if form.max() >= _PADDING:
                octets[form == _PADDING] = 1
                long = np.flatnonzero(form == _LONG)
                high = flat.take(place[long] + 2, mode="clip").astype(np.int64) << 8
                octets[long] = 4 + high + flat.take(place[long] + 3, mode="clip")
            place = place + octets
        self.ordinary[rows[(place != end) | unusual]] = False
        return noted

    def windows(self, kind: str) -> NDArray[Any]:
        """The octets as numbers that begin anywhere, to be indexed by offsets in `flat`.

        By brackets: `take` would copy all of it first.
        """
        size = np.dtype(kind).itemsize
        return np.ndarray((len(self.flat) - size + 1,), kind, self.flat, strides=(1,))
