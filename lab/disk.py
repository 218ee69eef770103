"""What a virtual router boots from: a private upper layer over the machine's own /etc and /var.

A fresh router is an unconfigured Debian: sshd with its own host key, FRR with an empty
configuration, nothing else enabled. What the machine itself has configured must not shine through
(its keepalived.conf, its enabled units, its accounts), so the folders that matter are *opaque*:
the overlay shows the upper layer alone.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .namespaces import SANE_PATH
from .topology import Router

LAYERS: Final = {"etc": "/etc", "var": "/var", "local": "/usr/local"}
SYSCTL: Final = "etc/sysctl.d"  # of a disk, where the router has any settings of its own
KEYS: Final = Path("/var/lib/hacc-lab")  # host keys outlive `down`: a known router stays known
MEMORY: Final = Path("/dev/shm")  # holds the disks where /run, against custom, is no memory
MOUNTS: Final = Path("/proc/self/mounts")
ENOUGH: Final = 1 << 30  # octets; fifty routers take 20 MB
VTY_USER: Final = "vty"  # login shell vtysh: FRR as an IOS-like peer

_OPAQUE: Final = (
    "etc/frr",
    "etc/hacc",
    "etc/keepalived",
    "etc/snmp",
    "etc/ssh",
    "etc/sysctl.d",
    "etc/systemd/system",
    "var/lib/hacc",
    "var/lib/snmp",
    "var/log",
)

_SSHD: Final = f"""\
Port 22
HostKey /etc/ssh/ssh_host_ed25519_key
UsePAM no
UseDNS no
PermitRootLogin yes
PasswordAuthentication yes
KbdInteractiveAuthentication no
AuthorizedKeysFile /etc/ssh/authorized_keys
SetEnv PATH={SANE_PATH}
PrintMotd no
PrintLastLog no
X11Forwarding no
# One orchestrator opens many sessions at once; the default 10:30:100 refuses some of them.
MaxStartups 100:30:200
MaxSessions 50
Subsystem sftp internal-sftp
"""

_FRR_DAEMONS: Final = """\
zebra=yes
ospfd=yes
bgpd=no
bfdd=no
vtysh_enable=yes
zebra_options="  -A 127.0.0.1 -s 90000000"
bgpd_options="   -A 127.0.0.1"
ospfd_options="  -A 127.0.0.1"
staticd_options="-A 127.0.0.1"
bfdd_options="   -A 127.0.0.1"
"""


def host_key_file(lab: str, router: str) -> Path:
    """Where the router's private host key is: it outlives the lab, so that who knows it knows it.

    An ed25519 key in OpenSSH's form, made when it is first asked for.
    """
    path = KEYS / lab / router
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        half = path.with_suffix(".new")
        half.touch(mode=0o600)
        half.write_bytes(text)
        half.rename(path)
    return path


def host_key(lab: str, router: str) -> bytes:
    """The router's private host key."""
    return host_key_file(lab, router).read_bytes()


def public_key(lab: str, router: str) -> str:
    """`ssh-ed25519 AAAA...`, as it stands in known_hosts."""
    key = serialization.load_ssh_private_key(host_key(lab, router), password=None)
    form = serialization.PublicFormat.OpenSSH
    return key.public_key().public_bytes(serialization.Encoding.OpenSSH, form).decode()


def password_hash(password: str) -> str:
    """crypt(3), SHA-512. 1000 rounds, the least it takes: fifty logins at once share two cores."""
    done = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"],
        input=password,
        text=True,
        capture_output=True,
        check=True,
        timeout=10,
    )
    return done.stdout.strip()


def make_room(routers: Path, lab: str) -> None:
    """The folder of all disks of a lab. In memory: ext4 takes 1 ms for each of their files while it
    remembers those of a lab that is gone, which is a second for fifty routers.
    """
    if routers.is_dir():
        return
    routers.unlink(missing_ok=True)  # a link to what somebody has removed
    mounts = (line.split() for line in MOUNTS.read_text().splitlines())
    kinds = {where: kind for _, where, kind, *_ in mounts}
    in_memory = kinds.get("/run") == "tmpfs"
    if in_memory or kinds.get(str(MEMORY)) != "tmpfs" or shutil.disk_usage(MEMORY).free < ENOUGH:
        routers.mkdir()
        return
    folder = MEMORY / "hacc-lab" / lab
    folder.mkdir(0o700, parents=True, exist_ok=True)
    shutil.rmtree(folder)  # of a lab that was forgotten
    folder.mkdir(0o700)
    routers.symlink_to(folder)


def clear_room(routers: Path) -> None:
    """Remove what `make_room` has made, wherever that is."""
    if routers.is_symlink():
        shutil.rmtree(routers.resolve(), ignore_errors=True)


def make_disk(
    directory: Path,
    lab: str,
    router: Router,
    hashed: str,
    authorized_key: str,
    programs: Mapping[str, str],
) -> None:
    """Write the upper layers, once: a router keeps its disk until the lab goes down.

    `programs` are scripts below /usr/local: what a real router has, and this machine not.
    """
    if (directory / "made").exists():
        return
    for layer in LAYERS:
        shutil.rmtree(directory / layer, ignore_errors=True)
        shutil.rmtree(directory / f"{layer}.work", ignore_errors=True)
        (directory / layer).mkdir(parents=True)
        (directory / f"{layer}.work").mkdir()
    for folder in _OPAQUE:
        path = directory / folder
        path.mkdir(parents=True, exist_ok=True)
        os.setxattr(path, "trusted.overlay.opaque", b"y")  # Documentation/filesystems/overlayfs
    etc = directory / "etc"
    _accounts(etc, hashed)
    _write(etc / "hostname", f"{router.name}\n")
    _write(etc / "hosts", f"127.0.0.1 localhost\n127.0.1.1 {router.name}\n")
    _write(etc / "resolv.conf", "")
    _write(etc / "machine-id", hashlib.md5(f"{lab}/{router.name}".encode()).hexdigest() + "\n")
    _write(etc / "ssh/sshd_config", _SSHD)
    _write(etc / "ssh/ssh_host_ed25519_key", host_key(lab, router.name).decode(), 0o600)
    _write(etc / "ssh/ssh_host_ed25519_key.pub", public_key(lab, router.name) + "\n")
    _write(etc / "ssh/authorized_keys", f"{authorized_key}\n" if authorized_key else "", 0o600)
    _write(etc / "frr/daemons", _FRR_DAEMONS, 0o640)
    _write(etc / "frr/frr.conf", "", 0o640)
    _write(etc / "frr/vtysh.conf", "service integrated-vtysh-config\n", 0o640)
    for path in (etc / "frr", *(etc / "frr").iterdir()):
        shutil.chown(path, "frr", "frr")
    (directory / "var/log/frr").mkdir(mode=0o750)
    shutil.chown(directory / "var/log/frr", "frr", "frr")
    shutil.chown(directory / "var/lib/snmp", "Debian-snmp", "Debian-snmp")
    _write(etc / "nftables.conf", "#!/usr/sbin/nft -f\n\nflush ruleset\n", 0o755)
    _write(etc / "sysctl.conf", "")
    # The distribution's own settings are of the whole machine; `sysctl --system` must not try them.
    for setting in Path("/usr/lib/sysctl.d").glob("*.conf"):
        (etc / "sysctl.d" / setting.name).symlink_to("/dev/null")
    wants = etc / "systemd/system/multi-user.target.wants"
    wants.mkdir()
    for unit in ("ssh.service", "frr.service"):
        (wants / unit).symlink_to(f"/lib/systemd/system/{unit}")
    (etc / "systemd/system/sshd.service").symlink_to("/lib/systemd/system/ssh.service")
    for name, script in programs.items():
        _write(directory / "local" / name, script, 0o755)
    (directory / "made").touch()


def set_password(directory: Path, hashed: str) -> None:
    """For the next boot of a disk that is not in use."""
    _accounts(directory / "etc", hashed)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _accounts(etc: Path, hashed: str) -> None:
    """The machine's system accounts, none of its passwords; root and `vty` may log in.

    root's home is private and empty: a shell start-up file of the machine costs half a second per
    login and changes what a non-interactive command sees.
    """
    passwd, shadow = [], []
    for line in Path("/etc/passwd").read_text().splitlines():
        fields = line.split(":")
        if len(fields) != 7 or (1000 <= int(fields[2]) < 65000):
            continue
        if fields[0] == "root":
            fields[5:] = ["/run/root", "/bin/bash"]
        passwd.append(":".join(fields))
        secret = hashed if fields[0] == "root" else "*"
        shadow.append(f"{fields[0]}:{secret}:19000:0:99999:7:::")
    passwd.append(f"{VTY_USER}:x:0:0::/run/root:/usr/bin/vtysh")
    shadow.append(f"{VTY_USER}:{hashed}:19000:0:99999:7:::")
    _write(etc / "passwd", "\n".join(passwd) + "\n")
    _write(etc / "shadow", "\n".join(shadow) + "\n", 0o640)
    _write(etc / "shells", "/bin/sh\n/bin/bash\n/usr/bin/bash\n/usr/bin/vtysh\n")
