"""The API of a controller on loopback: a certificate of its own, callers, and calls."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hacc_agent.api.config import ApiConfig, Client, Scope, Token, to_toml
from tests.loopback import PATIENCE_S, ROOT

READER = "reader-7f0c9e51b2a84d63"
OPERATOR = "operator-1d84a6f03c5b29e7"
ONCALL = "hacc://west/oncall"  # a client's certificate may read


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Served:
    """A server process, and how it is called."""

    config: ApiConfig
    folder: Path
    before: Callable[[], None] | None = None  # what its process does first
    process: subprocess.Popen[bytes] | None = None
    context: ssl.SSLContext = field(init=False)

    def __post_init__(self) -> None:
        self.context = ssl.create_default_context(cafile=self.folder / "authority.pem")

    @property
    def host(self) -> str:
        return f"{self.config.address}:{self.config.port}"

    @property
    def url(self) -> str:
        return f"https://{self.host}"

    @property
    def said(self) -> list[dict[str, Any]]:
        lines = (self.folder / "log").read_bytes().split(b"\n")[:-1]
        return [json.loads(line) for line in lines]

    def connection(self, context: ssl.SSLContext | None = None) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            str(self.config.address),
            self.config.port,
            timeout=PATIENCE_S,
            context=context or self.context,
        )

    def call(
        self,
        path: str,
        token: str = READER,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        context: ssl.SSLContext | None = None,
    ) -> Reply:
        connection = self.connection(context)
        given = {"authorization": f"Bearer {token}"} if token else {}
        try:
            connection.request(method, path, headers={**given, **(headers or {})})
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **arguments: Any) -> Any:
        """The document of a call that succeeds."""
        reply = self.call(path, **arguments)
        assert reply.status == 200, reply
        return reply.value

    @contextmanager
    def listening(self, token: str = READER, since: str = "") -> Iterator[Listener]:
        connection = self.connection()
        try:
            headers = {"authorization": f"Bearer {token}"}
            if since:
                headers["last-event-id"] = since
            connection.request("GET", "/v1/events/stream", headers=headers)
            yield Listener(connection.getresponse())
        finally:
            connection.close()

    def raw(self) -> ssl.SSLSocket:
        """A connection on which a test speaks for itself."""
        plain = socket.create_connection((str(self.config.address), self.config.port), PATIENCE_S)
        return self.context.wrap_socket(plain, server_hostname=str(self.config.address))


@dataclass(slots=True)
class Listener:
    """The stream, frame by frame."""

    answer: http.client.HTTPResponse

    def frames(self) -> Iterator[tuple[str, dict[str, Any]]]:
        kind = ""
        while line := self.answer.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "event":
                kind = value
            elif name == "data":
                yield kind, json.loads(value)

    def until(self, happened: Callable[[str, dict[str, Any]], bool]) -> dict[str, Any]:
        """The first frame of which that is true."""
        end = time.monotonic() + PATIENCE_S
        for kind, data in self.frames():
            if happened(kind, data):
                return data
            assert time.monotonic() < end, "it has not come"
        raise AssertionError("the stream has ended")


@contextmanager
def open_folder() -> Iterator[Path]:
    """One through which nobody, too, finds the daemon's socket: pytest's are root's alone."""
    with tempfile.TemporaryDirectory(prefix="hacc-api-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def configured(folder: Path, runtime: str, **changes: Any) -> ApiConfig:
    """With its files made: a server's certificate and a client's, of one authority."""
    folder.mkdir(parents=True, exist_ok=True)
    address = changes.get("address", IPv4Address("127.0.0.1"))
    certify(folder, address)
    settings: dict[str, Any] = {
        "address": address,
        "certificate": "api.pem",
        "key": "api.key",
        "authority": "authority.pem",
        "tokens": (
            Token("prometheus", sha256(READER.encode()).hexdigest()),
            Token("night-shift", sha256(OPERATOR.encode()).hexdigest(), Scope.OPERATE),
        ),
        "clients": (Client(ONCALL),),
        "port": port(),
        "runtime_directory": runtime,
    }
    return ApiConfig(**settings | changes)


@contextmanager
def serving(
    folder: Path, config: ApiConfig, before: Callable[[], None] | None = None
) -> Iterator[Served]:
    """`hacc-agent api`, until the end, whatever happens."""
    file = folder / "api.toml"
    file.write_text(to_toml(config))
    made = Served(config, folder, before)
    command = (sys.executable, "-m", "hacc_agent", "api", "-c", str(file))
    with (folder / "log").open("wb") as log:
        made.process = subprocess.Popen(
            command, stdout=log, stderr=log, cwd=ROOT, preexec_fn=before, env=dict(os.environ)
        )
    try:
        end = time.monotonic() + PATIENCE_S
        while not any(line["event"] == "ready" for line in made.said):
            assert made.process.poll() is None, made.said
            assert time.monotonic() < end, made.said
            time.sleep(0.02)
        yield made
    finally:
        if made.process.poll() is None:
            made.process.send_signal(signal.SIGKILL)
            made.process.wait()


# ------------------------------------------------------------------ certificates


def certify(folder: Path, address: IPv4Address) -> None:
    """An authority, the server's certificate, and one of a client that is called ONCALL."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    key_id = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = (
        _begun(issuer, issuer, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_id, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    _write(folder / "authority.pem", authority.public_bytes(serialization.Encoding.PEM))
    names: dict[str, x509.GeneralName] = {
        "api": x509.IPAddress(address),
        "oncall": x509.UniformResourceIdentifier(ONCALL),
    }
    for name, identity in names.items():
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issued_by = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id)
        made = (
            _begun(subject, issuer, key)
            .add_extension(x509.SubjectAlternativeName([identity]), critical=False)
            .add_extension(issued_by, critical=False)
            .sign(authority_key, hashes.SHA256())
        )
        _write(folder / f"{name}.pem", made.public_bytes(serialization.Encoding.PEM))
        _write(
            folder / f"{name}.key",
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )


def _write(path: Path, octets: bytes) -> None:
    path.write_bytes(octets)
