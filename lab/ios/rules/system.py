"""The router itself: its name, its secrets, its users, and settings that wait for a `clear`."""

from __future__ import annotations

import re

from ..edit import Confirm, Edit, Refused
from ..passwords import encode7, hashed
from ..tree import Section

_HOSTNAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")  # IOS also takes less, and complains (RFC 952)


def set_hostname(edit: Edit) -> None:
    name = edit.args["name"]
    if not _HOSTNAME.fullmatch(name) or len(name) > 63:
        raise Refused("% Hostname contains one or more illegal characters.")
    edit.put()


def unset_hostname(edit: Edit) -> None:
    """A router without a name is called Router."""
    edit.drop()


def stored(edit: Edit, kind: str, value: str, *, secret: bool) -> str:
    """`[TYPE] VALUE` as the configuration keeps it: secrets as type 5, passwords as typed or 7."""
    if secret:
        if kind == "5" and not value.startswith("$1$"):
            raise Refused("ERROR: The secret you entered is not a valid encrypted secret.")
        return (
            f"{kind} {value}" if kind not in ("", "0") else (f"5 {hashed(value, edit.device.name)}")
        )
    if kind in ("", "0") and edit.device.encrypts:
        return f"7 {encode7(value)}"
    return f"7 {value}" if kind == "7" else value


def set_enable(edit: Edit) -> None:
    secret = edit.key == "enable secret"
    value = stored(edit, edit.args.get("kind", ""), edit.args["value"], secret=secret)
    edit.put(f"{edit.key} {value}")


def set_username(edit: Edit) -> None:
    """`username U [privilege N] secret S`: words of one user that come in several lines merge."""
    user = edit.args["user"]
    old = edit.old
    known = dict(old.args) if old is not None else {}
    if "value" in edit.args:
        word = edit.args["word"]
        kind, value = edit.args.get("kind", ""), edit.args["value"]
        kept = stored(edit, kind, value, secret=word == "secret")
        known["word"], known["stored"] = word, kept
    for name in ("privilege",):
        if name in edit.args:
            known[name] = edit.args[name]
    text = f"username {user}"
    if known.get("privilege", "1") != "1":
        text += f" privilege {known['privilege']}"
    if "stored" in known:
        text += f" {known['word']} {'0 ' if _plain(known) else ''}{known['stored']}"
    edit.section.put(edit.command, edit.key, text, {**known, "user": user})


def _plain(known: dict[str, str]) -> bool:
    return known["word"] == "password" and not known["stored"].startswith("7 ")


def unset_username(edit: Edit) -> None:
    """IOS asks, and a pasted line that comes next is its answer."""
    if edit.old is None:
        return
    if not edit.confirmed:
        raise Confirm(
            "This operation will remove all username related configurations with same name."
            "Do you want to continue? [confirm]"
        )
    edit.drop()


_KEYS = re.compile(r"^(?P<before>standby \d+ authentication md5 key-string) (?P<key>(?!7 )\S+)")


def set_encryption(edit: Edit) -> None:
    """`service password-encryption` also encrypts what is there. Its `no` decrypts nothing."""
    edit.put()
    for line in list(edit.root.lines.values()):
        if line.key.startswith("username ") and "stored" in line.args and _plain(dict(line.args)):
            args = {**line.args, "stored": f"7 {encode7(line.args['stored'])}"}
            text = line.text.split(" password ")[0] + f" password {args['stored']}"
            edit.root.put(line.command, line.key, text, args)
        elif line.key == "enable password" and not line.text.startswith("enable password 7 "):
            text = f"enable password 7 {encode7(line.text.removeprefix('enable password '))}"
            edit.root.put(line.command, line.key, text, line.args)
        elif line.body is not None:
            _encrypt_section(line.body)


def _encrypt_section(section: Section) -> None:
    for line in list(section.lines.values()):
        if line.body is not None:
            _encrypt_section(line.body)
        text = _KEYS.sub(_encrypted, line.text)
        for prefix in ("key-string ", "password "):
            rest = line.text.removeprefix(prefix)
            if rest != line.text and not rest.startswith("7 "):
                text = f"{prefix}7 {encode7(rest)}"
        if text != line.text:
            section.put(line.command, line.key, text, line.args)


def _encrypted(match: re.Match[str]) -> str:
    return f"{match['before']} 7 {encode7(match['key'])}"


def set_password(edit: Edit) -> None:
    """A password of a line or a key of a key chain."""
    value = stored(edit, edit.args.get("kind", ""), edit.args["value"], secret=False)
    edit.put(f"{edit.key} {value}")


def set_ospf_key(edit: Edit) -> None:
    """`ip ospf message-digest-key N md5 [0|7] K`: a second line with the same N is refused."""
    value = stored(edit, edit.args.get("kind", ""), edit.args["value"], secret=False)
    text = f"{edit.key} md5 {value}"
    old = edit.old
    if old is not None and old.text != text:
        raise Refused(f"OSPF: Key {edit.args['id']} already exists")
    edit.put(text)


def set_router_id(edit: Edit) -> None:
    """The identity in use stays until the process is cleared."""
    owner = edit.section.owner
    assert owner is not None
    edit.put()
    used = edit.device.router_ids.setdefault(owner.key, edit.args["id"])
    if used != edit.args["id"]:
        edit.say('% OSPF: Reload or use "clear ip ospf process" command, for this to take effect')


def unset_router_id(edit: Edit) -> None:
    if edit.drop() is not None:
        edit.say('% OSPF: Reload or use "clear ip ospf process" command, for this to take effect')


def set_community(edit: Edit) -> None:
    """IOS writes the access in capitals, and read-only when nothing is said."""
    args = edit.args
    text = f"snmp-server community {args['community']}"
    if "view" in args:
        text += f" view {args['view']}"
    text += f" {args.get('access', 'ro').upper()}"
    edit.put(f"{text} {args['list']}" if "list" in args else text)
