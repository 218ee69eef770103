"""api.toml as a file: read, checked, with every secret opened, and its own files found."""

from __future__ import annotations

import ssl
from pathlib import Path

from ..agentfile import Unusable, read
from ..config import SEALED
from .config import ApiConfig, parse

__all__ = ["Unusable", "load", "tls"]


def load(file: Path) -> ApiConfig:
    """The configuration in a file. Raises `Unusable`."""
    return read(file, parse, lambda found: any(SEALED.search(one.sha256) for one in found.tokens))


def tls(config: ApiConfig, file: Path) -> ssl.SSLContext:
    """What the server shows, and what it believes. Raises `Unusable`."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2  # Prometheus and browsers of the last ten years
    certificate, key = (file.parent / name for name in (config.certificate, config.key))
    for path in (certificate, key):
        _readable(path)
    try:
        made.load_cert_chain(certificate, key, password="")  # nobody is there to be asked
    except ssl.SSLError as error:
        reason = error.reason or str(error)
        raise Unusable(f"{certificate} and {key}: no certificate and its key: {reason}") from None
    if config.authority is not None:
        authority = file.parent / config.authority
        _readable(authority)
        try:
            made.load_verify_locations(authority)
        except ssl.SSLError as error:
            reason = error.reason or str(error)
            raise Unusable(f"{authority}: no certificate authority: {reason}") from None
        made.verify_mode = ssl.CERT_OPTIONAL  # who shows none may have a token
    return made


def _readable(path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise Unusable(f"{path}: {(error.strerror or str(error)).lower()}") from None
