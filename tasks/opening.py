"""Opening secrets: the one module that reads an environment, a key file or a vault.

Every reference of a run is opened at once, before anything is sent, and all that cannot be opened
is told at once. No message, here or elsewhere, ever contains a clear value.
"""

from __future__ import annotations

import json
import re
import stat
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .errors import Place
from .secrets import SecretError, SecretRef, missing

SOPS_TIMEOUT_S = 60  # a key service may ask its owner to touch a token
LARGEST = 4096  # octets of a key file: a longer one is not a key
_PEM = re.compile(r"(-----BEGIN [A-Z ]+-----\n([A-Za-z0-9+/=]+\n)+-----END [A-Z ]+-----\n?)+")


class _Unopened(Exception):
    """A message and a hint."""


def open_all(
    uses: Mapping[SecretRef, Place], root: Path, environ: Mapping[str, str]
) -> dict[str, str]:
    """The clear values, by reference. Relative paths are relative to `root`, the inventory.

    `uses` maps each reference to the place of its use. Raises `SecretError` with every secret that
    cannot be opened.
    """
    schemes = _schemes(root, environ)
    opened, reasons = {}, {}
    for ref in sorted(uses):
        scheme, _, rest = ref.ref.partition(":")
        try:
            opened[ref.ref] = _usable(schemes[scheme](rest))
        except _Unopened as error:
            message, hint = error.args
            reasons[ref] = (message, hint)
    if reasons:
        raise SecretError(missing(uses, reasons))
    return opened


def _usable(clear: str) -> str:
    """A secret becomes part of a line of configuration: it is one line, and not empty.

    What `hacc pki` writes is the exception: it becomes lines of its own.
    """
    if _PEM.fullmatch(clear):
        return clear
    if not clear:
        raise _Unopened("is empty", "")
    if any(ord(char) < 32 or ord(char) == 127 for char in clear):
        raise _Unopened("has control characters or several lines", "a secret is one line of text")
    return clear


def _schemes(root: Path, environ: Mapping[str, str]) -> dict[str, Callable[[str], str]]:
    @cache
    def decrypted(file: str) -> Any:
        return _sops(root / file, environ)

    @cache
    def vault() -> Any:
        return _vault_client(environ)

    return {
        "env": lambda name: _environment(name, environ),
        "file": lambda path: _file(root / path),
        "sops": lambda rest: _pick(decrypted(rest.partition("#")[0]), rest),
        "vault": lambda rest: _pick(_vault(vault(), rest.partition("#")[0]), rest),
        "keyring": _keyring,
    }


def _environment(name: str, environ: Mapping[str, str]) -> str:
    if name not in environ:
        raise _Unopened(f"the environment has no {name}", f"export {name}=...")
    return environ[name]


def _file(path: Path) -> str:
    """A key file, which its owner alone may read."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise _Unopened(f"{path} is not a file", "")
        if found.st_mode & 0o077:
            mode = stat.S_IMODE(found.st_mode)
            raise _Unopened(
                f"{path} has mode {mode:04o}: others than its owner may use it",
                f"chmod 600 {path}",
            )
        if found.st_size > LARGEST:
            raise _Unopened(f"{path} is larger than {LARGEST} octets", "is it the right file?")
        return path.read_text("utf-8").removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise _Unopened(f"{path}: {(error.strerror or str(error)).lower()}", "") from None
    except UnicodeDecodeError:
        raise _Unopened(
            f"{path} is not text", "write a binary key as 0x and hexadecimal digits"
        ) from None


def _sops(path: Path, environ: Mapping[str, str]) -> Any:
    if not path.is_file():
        raise _Unopened(f"{path}: no such file", "")
    command = ["sops", "-d", "--output-type", "json", str(path)]
    try:
        done = subprocess.run(
            command, env=dict(environ), capture_output=True, timeout=SOPS_TIMEOUT_S, check=True
        )
        return json.loads(done.stdout)
    except FileNotFoundError:
        raise _Unopened("the program sops is not installed", "see https://getsops.io") from None
    except subprocess.TimeoutExpired:
        raise _Unopened(f"sops did not end within {SOPS_TIMEOUT_S} s", "") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise _Unopened(f"sops cannot decrypt {path}: {said[-1] if said else 'no reason'}", "") \
            from None  # fmt: skip
    except ValueError:
        raise _Unopened(f"sops made no JSON of {path}", "") from None


def _vault_client(environ: Mapping[str, str]) -> Any:
    absent = [name for name in ("VAULT_ADDR", "VAULT_TOKEN") if not environ.get(name)]
    if absent:
        raise _Unopened(f"the environment has no {' and no '.join(absent)}", "log in to the vault")
    try:
        import hvac
    except ImportError:
        raise _Unopened("hvac is not installed", "pip install 'hacc[secrets]'") from None
    return hvac.Client(
        url=environ["VAULT_ADDR"],
        token=environ["VAULT_TOKEN"],
        namespace=environ.get("VAULT_NAMESPACE"),
        verify=environ.get("VAULT_CACERT") or True,
        timeout=10,
    )


def _vault(client: Any, path: str) -> Any:
    """A secret of a KV engine, of version 1 or 2, by the path that `vault kv get` takes."""
    import hvac.exceptions
    import requests

    mount, _, rest = path.partition("/")
    try:
        found = client.read(f"{mount}/data/{rest}") or client.read(path)
    except hvac.exceptions.Forbidden:
        try:  # version 1 has no data/ in its paths, and policies may say so with "forbidden"
            found = client.read(path)
        except hvac.exceptions.VaultError:
            raise _Unopened(
                f"the vault forbids {path}", "has the token expired, or lacks it a policy?"
            ) from None
    except hvac.exceptions.VaultError as error:
        raise _Unopened(f"the vault refuses {path}: {type(error).__name__}", "") from None
    except requests.RequestException as error:
        raise _Unopened(f"the vault does not answer: {type(error).__name__}", "") from None
    if not found:
        raise _Unopened(f"the vault has nothing at {path}", "")
    data = found["data"]
    return data["data"] if isinstance(data.get("data"), dict) and "metadata" in data else data


def _pick(data: Any, rest: str) -> str:
    """The value of a key in what a vault or a file holds; dots go down into mappings."""
    key = rest.partition("#")[2]
    value = data
    for step in key.split("."):
        if not isinstance(value, dict) or step not in value:
            raise _Unopened(f"it has no key {key}", "")
        value = value[step]
    if not isinstance(value, str):
        raise _Unopened(f"the value of {key} is not a text", "")
    return value


def _keyring(rest: str) -> str:
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise _Unopened("keyring is not installed", "pip install 'hacc[secrets]'") from None
    service, _, name = rest.partition("/")
    try:
        value = keyring.get_password(service, name)
    except keyring.errors.KeyringError as error:
        raise _Unopened(f"the keyring does not answer: {type(error).__name__}", "") from None
    if value is None:
        raise _Unopened(f"the keyring has no {name} of {service}", f"keyring set {service} {name}")
    return value
