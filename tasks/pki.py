"""The cluster's own certificates: an authority, and one certificate for each router.

They say one thing, "this is router NAME of cluster CLUSTER", as `hacc://CLUSTER/NAME`, to the
cluster's other routers and to nobody else. So there is no revocation list: a router that must not
be believed any more is taken out of the intent, since only names in a router's agent.toml are
listened to; and when the authority's own key has leaked, the cluster gets a new one.

Below a folder for each cluster lie `authority.pem` and `authority.key`, which stays here, and
`NAME.pem` and `NAME.key`, which go to the router. Files are their owner's alone, and git is told to
leave the keys out. Nothing is overwritten unless that was asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hacc_agent.config import certificate_uri

from .errors import HaccError, Place, Problem

AUTHORITY: Final = "authority"
AUTHORITY_LIFETIME: Final = timedelta(days=3650)
LIFETIME: Final = timedelta(days=397)  # what browsers' authorities ask of certificates: a year
SOON: Final = timedelta(days=30)  # the time that people get to renew
BACKDATED: Final = timedelta(minutes=5)  # routers' clocks that are a little behind


class PkiError(HaccError):
    """Certificates are missing, in the way, or do not fit."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a person wants to know of one."""

    name: str  # the router, or "authority"
    file: Path
    uri: str
    serial: str
    begins: datetime
    ends: datetime
    sha256: str  # fingerprint

    def state(self, now: datetime) -> str:
        """One word: valid, soon (it ends in less than SOON), expired, or early."""
        if now >= self.ends:
            return "expired"
        if now < self.begins:
            return "early"
        return "soon" if now >= self.ends - SOON else "valid"


def create_authority(folder: Path, cluster: str, now: datetime) -> Certificate:
    """Make a cluster's authority. Raises `PkiError` when it has one."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(cluster, AUTHORITY)
    certificate = (
        _builder(subject, subject, key.public_key(), now, AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.UniformResourceIdentifier(certificate_uri(cluster, ""))]
            ),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(folder, AUTHORITY, certificate, key, replace=False)
    return _read(folder / f"{AUTHORITY}.pem", AUTHORITY)


def issue(
    folder: Path, cluster: str, name: str, now: datetime, *, replace: bool = False
) -> Certificate:
    """Make a router's key and certificate; `replace` those that it has (`hacc pki renew`)."""
    if name == AUTHORITY:
        raise PkiError(Problem(None, name, "is the name of the authority's own files"))
    authority, authority_key = _load_authority(folder, cluster)
    key = ec.generate_private_key(ec.SECP256R1())
    lifetime = min(LIFETIME, authority.not_valid_after_utc - now)
    if lifetime <= timedelta(0):
        raise PkiError(
            Problem(
                Place(str(folder / f"{AUTHORITY}.pem"), 0),
                cluster,
                f"the authority has ended on {authority.not_valid_after_utc:%Y-%m-%d}",
                hint="move it away, then: hacc pki init; every router gets a new certificate",
            )
        )
    certificate = (
        _builder(_subject(cluster, name), authority.subject, key.public_key(), now, lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            critical=False,
        )
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.UniformResourceIdentifier(certificate_uri(cluster, name))]
            ),
            critical=False,
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    _write(folder, name, certificate, key, replace=replace)
    return _read(folder / f"{name}.pem", name)


def certificates(folder: Path) -> tuple[Certificate, ...]:
    """Those of a cluster, the authority first. Raises `PkiError` with all that cannot be read."""
    found: list[Certificate] = []
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.pem"), key=lambda each: (each.stem != AUTHORITY, each.stem)):
        try:
            found.append(_read(path, path.stem))
        except PkiError as error:
            problems += error.problems
    if problems:
        raise PkiError(problems)
    return tuple(found)


def missing(folder: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Routers without a certificate."""
    return tuple(name for name in names if not (folder / f"{name}.pem").exists())


def _subject(cluster: str, name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, cluster[:64]),
            x509.NameAttribute(NameOID.COMMON_NAME, name[:64]),
        ]
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    now: datetime,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=issuer,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=now - BACKDATED,
        not_valid_after=now + lifetime,
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _load_authority(
    folder: Path, cluster: str
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    path, key_path = folder / f"{AUTHORITY}.pem", folder / f"{AUTHORITY}.key"
    if not path.exists():
        raise PkiError(
            Problem(
                Place(str(path), 0),
                cluster,
                "the cluster has no certificate authority yet",
                hint=f"hacc pki init -c {cluster}",
            )
        )
    certificate = _load(path)
    try:
        key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise PkiError(_unreadable(key_path, "authority's key", error)) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or _raw(key.public_key()) != _raw(
        certificate.public_key()
    ):
        raise PkiError(Problem(Place(str(key_path), 0), cluster, "is not the key of authority.pem"))
    own = certificate_uri(cluster, "")
    if own not in _uris(certificate):
        raise PkiError(
            Problem(
                Place(str(path), 0),
                cluster,
                f"is the authority of {', '.join(_uris(certificate)) or 'nobody that we know'}",
                allowed=own,
            )
        )
    return certificate, key


def _load(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise PkiError(_unreadable(path, "certificate", error)) from None


def _read(path: Path, name: str) -> Certificate:
    certificate = _load(path)
    authority = path.with_name(f"{AUTHORITY}.pem")
    try:
        certificate.verify_directly_issued_by(_load(authority))
    except (InvalidSignature, ValueError, TypeError):
        raise PkiError(
            Problem(
                Place(str(path), 0),
                name,
                f"was not issued by {authority}",
                hint=f"hacc pki renew {name}",
            )
        ) from None
    return Certificate(
        name,
        path,
        ", ".join(_uris(certificate)),
        f"{certificate.serial_number:x}",
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        certificate.fingerprint(hashes.SHA256()).hex(),
    )


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return names.value.get_values_for_type(x509.UniformResourceIdentifier)


def _raw(key: object) -> bytes:
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


def _write(
    folder: Path,
    name: str,
    certificate: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    *,
    replace: bool,
) -> None:
    """The key first: a certificate without its key would look finished."""
    pem, key_path = folder / f"{name}.pem", folder / f"{name}.key"
    if not replace:
        taken = [path for path in (pem, key_path) if path.exists()]
        if taken:
            raise PkiError(
                Problem(
                    Place(str(path), 0),
                    name,
                    "is there already, and was left as it is",
                    hint=f"hacc pki renew {name}" if name != AUTHORITY else "hacc pki show",
                )
                for path in taken
            )
    folder.mkdir(0o700, parents=True, exist_ok=True)
    ignored = folder / ".gitignore"  # an inventory is often a repository; keys are not for it
    if not ignored.exists():
        ignored.write_text("*.key\n")
    _replace(
        key_path,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
    _replace(pem, certificate.public_bytes(serialization.Encoding.PEM))


def _replace(path: Path, octets: bytes) -> None:
    """Atomically, and never readable by others on the way."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "wb") as writer:
        writer.write(octets)
        writer.flush()
        os.fsync(writer.fileno())
    os.replace(draft, path)


def _unreadable(path: Path, what: str, error: Exception) -> Problem:
    reason = (
        (error.strerror or str(error)).lower()
        if isinstance(error, OSError)
        else f"is no {what} in PEM form"
    )
    return Problem(Place(str(path), 0), path.stem, reason)
