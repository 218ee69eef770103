"""Secrets are opened where they are kept: the environment, files, and vaults that really answer."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import keyring
import keyring.backend
import keyring.errors
import pytest

from tasks.errors import Place
from tasks.opening import open_all
from tasks.pki import create_authority, issue
from tasks.secrets import SecretError, SecretRef


def opened(root: Path, environ: dict[str, str], *refs: str) -> dict[str, str]:
    uses = {SecretRef(ref): Place("west.yaml", n) for n, ref in enumerate(refs, 1)}
    return open_all(uses, root, environ)


def refusals(root: Path, environ: dict[str, str], *refs: str) -> list[str]:
    with pytest.raises(SecretError) as refused:
        opened(root, environ, *refs)
    return [str(problem) for problem in refused.value.problems]


def test_environment_and_files(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    key = tmp_path / "keys/mn7"
    key.write_text("swordfish\n")
    key.chmod(0o600)
    environ = {"A": "one", "UNRELATED": "x"}
    assert opened(tmp_path, environ, "env:A", "file:keys/mn7", f"file:{key}") == {
        "env:A": "one",
        "file:keys/mn7": "swordfish",
        f"file:{key}": "swordfish",
    }


def test_what_hacc_pki_writes_has_several_lines(tmp_path: Path) -> None:
    folder = tmp_path / "pki/west"
    create_authority(folder, "west", datetime.now(UTC))
    issue(folder, "west", "ha1", datetime.now(UTC))
    found = opened(tmp_path, {}, "file:pki/west/ha1.pem", "file:pki/west/ha1.key")
    assert found["file:pki/west/ha1.key"].startswith("-----BEGIN PRIVATE KEY-----\n")
    assert found["file:pki/west/ha1.pem"].endswith("\n-----END CERTIFICATE-----")


def test_all_that_is_missing_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    assert refusals(tmp_path, {"EMPTY": "", "TWO": "a\nb",
                               "PEM": "-----BEGIN A KEY-----\nab\n-----END A KEY-----\nq"},
                    "env:GONE", "file:gone", "env:EMPTY", "env:TWO", "env:PEM") == [
        "west.yaml:3: env:EMPTY: is empty",
        "west.yaml:1: env:GONE: the environment has no GONE [hint: export GONE=...]",
        "west.yaml:5: env:PEM: has control characters or several lines "
        "[hint: a secret is one line of text]",
        "west.yaml:4: env:TWO: has control characters or several lines "
        "[hint: a secret is one line of text]",
        f"west.yaml:2: file:gone: {tmp_path}/gone: no such file or directory",
    ]  # fmt: skip


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_key_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    """As root too: root reads everything, and so would whoever the mode lets in."""
    key = tmp_path / "key"
    key.write_text("swordfish")
    key.chmod(mode)
    (said,) = refusals(tmp_path, {}, "file:key")
    assert said == (
        f"west.yaml:1: file:key: {key} has mode {mode:04o}: others than its owner may use it "
        f"[hint: chmod 600 {key}]"
    )


def test_what_is_no_key_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name, content in (("long", b"x" * 5000), ("binary", b"\xff\x00")):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
    said = "\n".join(refusals(tmp_path, {}, "file:folder", "file:long", "file:binary"))
    assert "folder is not a file" in said
    assert "larger than 4096 octets" in said
    assert "is not text" in said


# ------------------------------------------------------------------ sops


@pytest.fixture
def sops(tmp_path: Path) -> dict[str, str]:
    """An environment in which `sops` is a program that decrypts nothing and answers as it does."""
    program = tmp_path / "bin/sops"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        'echo "$*" >> "$CALLS"\n'
        'case "$*" in *.bad) echo "Failed to get the data key" >&2; exit 128;; esac\n'
        """echo '{"hsrp": "swordfish", "ha": {"pair": "0123"}, "number": 5}'\n"""
    )
    program.chmod(0o755)
    for name in ("keys.yaml", "keys.bad"):
        (tmp_path / name).write_text("sops: {}\n")
    return {"PATH": f"{program.parent}:{os.environ['PATH']}", "CALLS": str(tmp_path / "calls")}


def test_sops(tmp_path: Path, sops: dict[str, str]) -> None:
    found = opened(tmp_path, sops, "sops:keys.yaml#hsrp", "sops:keys.yaml#ha.pair")
    assert found == {"sops:keys.yaml#hsrp": "swordfish", "sops:keys.yaml#ha.pair": "0123"}
    calls = Path(sops["CALLS"]).read_text()
    assert calls == f"-d --output-type json {tmp_path}/keys.yaml\n", "one call for each file"
    assert refusals(
        tmp_path,
        sops,
        "sops:keys.bad#a",
        "sops:gone#a",
        "sops:keys.yaml#b",
        "sops:keys.yaml#number",
    ) == [
        f"west.yaml:2: sops:gone#a: {tmp_path}/gone: no such file",
        f"west.yaml:1: sops:keys.bad#a: sops cannot decrypt {tmp_path}/keys.bad: "
        "Failed to get the data key",
        "west.yaml:3: sops:keys.yaml#b: it has no key b",
        "west.yaml:4: sops:keys.yaml#number: the value of number is not a text",
    ]


def test_sops_not_installed(tmp_path: Path) -> None:
    (tmp_path / "keys.yaml").write_text("sops: {}\n")
    (said,) = refusals(tmp_path, {"PATH": str(tmp_path)}, "sops:keys.yaml#a")
    assert "the program sops is not installed" in said


# ------------------------------------------------------------------ vault, asked by the real client


class Vault(BaseHTTPRequestHandler):
    """What a vault answers: KV version 2 at secret/, version 1 at kv/."""

    SECRETS: ClassVar[dict[str, Any]] = {
        "/v1/secret/data/hacc": {"data": {"data": {"hsrp": "swordfish"}, "metadata": {}}},
        "/v1/kv/hacc": {"data": {"hsrp": "one"}},
    }

    def do_GET(self) -> None:
        if self.headers["X-Vault-Token"] != "s.good":
            self.reply(403, {"errors": ["permission denied"]})
        elif self.path in self.SECRETS:
            self.reply(200, self.SECRETS[self.path])
        else:
            self.reply(404, {"errors": []})

    def reply(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def vault() -> Iterator[dict[str, str]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Vault)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield {
        "VAULT_ADDR": f"http://127.0.0.1:{server.server_address[1]}",
        "VAULT_TOKEN": "s.good",
    }
    server.shutdown()
    thread.join()
    server.server_close()


def test_vault(tmp_path: Path, vault: dict[str, str]) -> None:
    found = opened(tmp_path, vault, "vault:secret/hacc#hsrp", "vault:kv/hacc#hsrp")
    assert found == {"vault:secret/hacc#hsrp": "swordfish", "vault:kv/hacc#hsrp": "one"}
    assert refusals(tmp_path, vault, "vault:secret/none#a", "vault:secret/hacc#ospf") == [
        "west.yaml:2: vault:secret/hacc#ospf: it has no key ospf",
        "west.yaml:1: vault:secret/none#a: the vault has nothing at secret/none",
    ]


def test_a_vault_that_forbids(tmp_path: Path, vault: dict[str, str]) -> None:
    environ = {**vault, "VAULT_TOKEN": "s.stolen"}
    (said,) = refusals(tmp_path, environ, "vault:secret/hacc#hsrp")
    assert "the vault forbids secret/hacc" in said
    assert "s.stolen" not in said


def test_no_vault(tmp_path: Path) -> None:
    (said,) = refusals(tmp_path, {}, "vault:secret/hacc#hsrp")
    assert "the environment has no VAULT_ADDR and no VAULT_TOKEN" in said
    environ = {"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": "s"}
    (said,) = refusals(tmp_path, environ, "vault:secret/hacc#hsrp")
    assert "the vault does not answer: ConnectionError" in said


# ------------------------------------------------------------------ keyring


class Ring(keyring.backend.KeyringBackend):
    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        if service == "locked":
            raise keyring.errors.KeyringLocked
        return {("hacc", "ha/1"): "swordfish"}.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError


def test_keyring(tmp_path: Path) -> None:
    before = keyring.get_keyring()
    keyring.set_keyring(Ring())  # type: ignore[no-untyped-call] # keyring types no __init__
    try:
        assert opened(tmp_path, {}, "keyring:hacc/ha/1") == {"keyring:hacc/ha/1": "swordfish"}
        assert refusals(tmp_path, {}, "keyring:hacc/ha2", "keyring:locked/x") == [
            "west.yaml:1: keyring:hacc/ha2: the keyring has no ha2 of hacc "
            "[hint: keyring set hacc ha2]",
            "west.yaml:2: keyring:locked/x: the keyring does not answer: KeyringLocked",
        ]
    finally:
        keyring.set_keyring(before)
