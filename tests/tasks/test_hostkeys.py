"""The host key store, against OpenSSH's own sshd and ssh-keygen."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tasks.errors import Exit, HaccError
from tasks.hostkeys import HostKeyRefused, HostKeys, known_as, offered

SSHD = "/usr/sbin/sshd"

pytestmark = pytest.mark.skipif(
    shutil.which(SSHD) is None or os.geteuid() != 0, reason="needs Debian's sshd, and to be root"
)

Serve = Callable[..., int]


def keygen(path: Path, kind: str) -> str:
    """A new key; its fingerprint, as ssh-keygen prints it."""
    path.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path], check=True)
    listed = subprocess.run(["ssh-keygen", "-lf", path], check=True, capture_output=True, text=True)
    return listed.stdout.split()[1]


@contextmanager
def sshd(keys: list[Path], port: int = 0) -> Iterator[int]:
    """In inetd mode, one process a connection, on a socket of ours."""
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd separates its privileges there
    with closing(socket.socket()) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        number = listener.getsockname()[1]
        options = [f"-oHostKey={key}" for key in keys]
        server = subprocess.Popen(
            [
                "python3",
                "-c",
                "import socket, subprocess, sys\n"
                "listener = socket.socket(fileno=int(sys.argv[1]))\n"
                "while True:\n"
                "    stream, _ = listener.accept()\n"
                "    subprocess.Popen(sys.argv[2:], stdin=stream, stdout=stream)\n"
                "    stream.close()\n",
                str(listener.fileno()),
                *[SSHD, "-i", "-f", "/dev/null", "-oUsePAM=no", *options],
            ],
            pass_fds=[listener.fileno()],
            stderr=subprocess.DEVNULL,
        )
        try:
            yield number
        finally:
            server.kill()
            server.wait()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / ".hacc" / "known_hosts"


def test_a_stranger_is_kept_once_in_a_file_that_openssh_reads(tmp_path: Path, store: Path) -> None:
    fingerprint = keygen(tmp_path / "key", "ed25519")
    with sshd([tmp_path / "key"]) as port:
        keys = HostKeys(store)
        fresh = keys.admit("r1", "127.0.0.1", port, 10)
        assert fresh is not None
        assert fresh.fingerprint == fingerprint
        assert keys.admit("r1", "127.0.0.1", port, 10) is None
        keys = HostKeys(store, strict=True)
        assert keys.admit("r1", "127.0.0.1", port, 10) is None
        keys.explain_change("r1", "127.0.0.1", port, 10)
        [(name, kinds)] = keys.keys_of("127.0.0.1", port).items()
        assert (name, kinds.keys()) == (f"[127.0.0.1]:{port}", ["ssh-ed25519"])
        assert kinds["ssh-ed25519"].asbytes() == fresh.blob
        found = subprocess.run(
            ["ssh-keygen", "-F", f"[127.0.0.1]:{port}", "-lf", store],
            capture_output=True,
            text=True,
            check=True,
        )
        assert fingerprint in found.stdout


def test_strict_refuses_a_stranger_and_keeps_nothing(tmp_path: Path, store: Path) -> None:
    fingerprint = keygen(tmp_path / "key", "ed25519")
    keys = HostKeys(store, strict=True)
    with sshd([tmp_path / "key"]) as port:
        with pytest.raises(HostKeyRefused) as refused:
            keys.admit("r1", "127.0.0.1", port, 10)
        assert f"r1: no host key is known for [127.0.0.1]:{port}" in str(refused.value)
        assert fingerprint in str(refused.value)
        assert refused.value.exit is Exit.DEVICE
    assert not store.exists()


def test_a_changed_key_is_told_with_both_fingerprints(tmp_path: Path, store: Path) -> None:
    old = keygen(tmp_path / "key", "ed25519")
    keys = HostKeys(store)
    with sshd([tmp_path / "key"]) as port:
        keys.admit("r1", "127.0.0.1", port, 10)
    new = keygen(tmp_path / "key", "ed25519")
    keys = HostKeys(store)
    with sshd([tmp_path / "key"], port) as port, pytest.raises(HostKeyRefused) as refused:
        keys.explain_change("r1", "127.0.0.1", port, 10)
    assert old in str(refused.value)
    assert new in str(refused.value)
    assert f"ssh-keygen -R '[127.0.0.1]:{port}' -f {store}" in str(refused.value)


def test_a_second_kind_of_key_is_no_change(tmp_path: Path, store: Path) -> None:
    """A store may hold an RSA key while the server prefers another: like is compared with like."""
    keygen(tmp_path / "rsa", "rsa")
    keygen(tmp_path / "ed", "ed25519")
    keys = HostKeys(store)
    with sshd([tmp_path / "rsa"]) as port:
        fresh = keys.admit("r1", "127.0.0.1", port, 10)
        assert fresh is not None
        assert fresh.kind == "ssh-rsa"
    keys = HostKeys(store)
    with sshd([tmp_path / "ed", tmp_path / "rsa"], port) as port:
        assert offered("127.0.0.1", port, 10).kind == "ssh-ed25519"
        keys.explain_change("r1", "127.0.0.1", port, 10)


def test_hashed_and_revoked_lines_of_openssh_are_understood(tmp_path: Path, store: Path) -> None:
    keygen(tmp_path / "key", "ed25519")
    public = (tmp_path / "key.pub").read_text().rsplit(" ", 1)[0]
    store.parent.mkdir()
    with sshd([tmp_path / "key"]) as port:
        store.write_text(f"{known_as('127.0.0.1', port)} {public}\n")
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", store], check=True, capture_output=True)
        assert store.read_text().startswith("|1|")
        keys = HostKeys(store, strict=True)
        assert keys.admit("r1", "127.0.0.1", port, 10) is None
        store.write_text(f"# ours\n\n@revoked * {public}\n")
        keys = HostKeys(store)
        with pytest.raises(HostKeyRefused, match="is revoked"):
            keys.admit("r1", "127.0.0.1", port, 10)


def test_broken_lines_are_all_told_with_their_place(store: Path) -> None:
    store.parent.mkdir()
    store.write_text("r1 ssh-ed25519 AAAA\nr2 ssh-ed25519\nr3 ssh-rsa !!!\n")
    with pytest.raises(HaccError) as error:
        HostKeys(store)
    assert [str(problem.place) for problem in error.value.problems] == [f"{store}:2", f"{store}:3"]


@pytest.mark.parametrize(
    ("hostname", "port", "name"),
    [("198.18.0.11", 22, "198.18.0.11"), ("198.18.0.11", 2222, "[198.18.0.11]:2222")],
)
def test_the_name_of_a_server(hostname: str, port: int, name: str) -> None:
    assert known_as(hostname, port) == name


def test_a_key_that_the_library_cannot_read_is_nobodys(store: Path) -> None:
    """The login is then refused, as to a stranger of whom we know that he is none."""
    keys = HostKeys(store, excerpt=["r1 sk-ssh-ed25519@openssh.com AAAA", "r1 ssh-ed25519 AAAA"])
    assert len(keys.known("r1", 22)) == 2
    assert not [*keys.keys_of("r1", 22)]
