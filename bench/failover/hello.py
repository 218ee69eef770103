"""Waits for the next hello of a standby protocol, run where it passes.

    python -m bench.failover.hello DEVICE

Prints a line when it has seen one. Who breaks something then does so at the worst moment: a whole
hold time is still to go, every time and for every protocol.
"""

from __future__ import annotations

import socket
import sys

ETH_P_ALL = 3
IPV4 = b"\x08\x00"
UDP, VRRP = 17, 112
HSRP_PORT = 1985


def is_hello(frame: bytes) -> bool:
    """RFC 2281, 5.1 and RFC 5798, 5.1.1.4."""
    if frame[12:14] != IPV4 or len(frame) < 38:
        return False
    ports = 14 + 4 * (frame[14] & 15)
    hsrp = frame[23] == UDP and int.from_bytes(frame[ports + 2 : ports + 4], "big") == HSRP_PORT
    return frame[23] == VRRP or hsrp


def main(device: str) -> int:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as tap:
        tap.bind((device, 0))
        while True:
            frame, (_, _, kind, *_) = tap.recvfrom(128)
            if kind != socket.PACKET_OUTGOING and is_hello(frame):  # of this router, not to it
                break
    print("hello", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
