"""HSRP on an interface: the numbers that a version allows, the shorthands of `no`, the warnings."""

from __future__ import annotations

from ..edit import Edit, Refused
from ..passwords import encode7
from .interface import addresses_of, number_of


def version_of(edit: Edit) -> int:
    line = edit.section.get("standby version")
    return int(line.args["version"]) if line is not None else 1


def _check_group(edit: Edit) -> None:
    if int(edit.args["group"]) > 255 and version_of(edit) == 1:
        raise Refused("% Group number out of range (0-255) for HSRP version 1")  # [R]


def plain(edit: Edit) -> None:
    """A setting of a group without more to it."""
    _check_group(edit)
    edit.put()
    edit.device.touch_standby()


def forget(edit: Edit) -> None:
    edit.drop()
    edit.device.touch_standby()


def set_version(edit: Edit) -> None:
    if edit.args["version"] == "1" and version_of(edit) == 2:
        _back_to_one(edit)
    edit.put()
    edit.device.touch_standby()


def unset_version(edit: Edit) -> None:
    _back_to_one(edit)
    edit.drop()
    edit.device.touch_standby()


def _back_to_one(edit: Edit) -> None:
    for key in edit.section.lines:
        words = key.split(" ", 2)
        if words[0] == "standby" and words[1].isdigit() and int(words[1]) > 255:
            raise Refused(  # Cisco's HSRPv2 guide: not while groups above 255 are configured
                "% HSRP version 1 does not support group numbers above 255: remove them first"
            )


def _warn(edit: Edit, address: str) -> None:
    known = addresses_of(edit.section)
    if any(address == own for own, _ in known):
        raise Refused("% address cannot equal interface IP address")
    number = number_of(address)
    if not any(number & number_of(mask) == number_of(own) & number_of(mask) for own, mask in known):
        edit.say("% Warning: address is not within a subnet on this interface")


def set_address(edit: Edit) -> None:
    """The virtual address overwrites in place; one that was secondary is promoted."""
    _check_group(edit)
    address = edit.args.get("address", "")
    if address:
        _warn(edit, address)
        edit.section.drop(f"standby {edit.args['group']} ip {address} secondary")
    edit.put()
    edit.device.touch_standby()


def unset_address(edit: Edit) -> None:
    """`no standby 1 ip` ends the group's addresses, secondary ones too."""
    old = edit.old
    given = edit.args.get("address")
    if given is not None and old is not None and old.args.get("address") != given:
        raise Refused("% Address not configured")  # [R]
    for line in edit.section.starting(f"standby {edit.args['group']} ip"):
        edit.section.drop(line.key)
    edit.device.touch_standby()


def set_secondary(edit: Edit) -> None:
    _check_group(edit)
    primary = edit.section.get(f"standby {edit.args['group']} ip")
    if primary is not None and primary.args.get("address") == edit.args["address"]:
        raise Refused("% Secondary address cannot be the same as the primary one")  # [R]
    _warn(edit, edit.args["address"])
    edit.put()
    edit.device.touch_standby()


def milliseconds(args: dict[str, str] | object, name: str, unit: str) -> int:
    """A timer of `standby N timers` in milliseconds: seconds unless `msec` stands before it."""
    assert hasattr(args, "get")
    value = int(args.get(name, "3" if name == "hello" else "10"))
    return value if args.get(unit) else value * 1000


def set_timers(edit: Edit) -> None:
    _check_group(edit)
    hello = milliseconds(edit.args, "hello", "hello_unit")
    hold = milliseconds(edit.args, "hold", "hold_unit")
    if hold <= hello:
        raise Refused("% Hold time must be greater than hello time")  # [R]
    edit.put(default_of(edit, "timers 3 10"))
    edit.device.touch_standby()


def default_of(edit: Edit, value: str) -> str:
    """The line's text, or the row's default when the line says what the router does anyway."""
    group = edit.args["group"]
    return edit.command.default if edit.text == f"standby {group} {value}" else edit.text


def set_priority(edit: Edit) -> None:
    _check_group(edit)
    edit.put(default_of(edit, "priority 100"))
    edit.device.touch_standby()


def unset_preempt(edit: Edit) -> None:
    """`no standby 1 preempt delay ...` takes the delay away and leaves the rest."""
    old = edit.old
    if old is not None and " delay" in edit.text:
        named = [name for name in ("minimum", "reload", "sync") if name in edit.args]
        kept = {
            name: value
            for name, value in old.args.items()
            if name == "group" or (named and name not in named)
        }
        text = f"standby {edit.args['group']} preempt" + _delays(kept)
        edit.section.put(edit.command, edit.key, text, kept)
    else:
        edit.drop()
    edit.device.touch_standby()


def _delays(args: dict[str, str]) -> str:
    given = [
        f"{name} {args[name]}"
        for name in ("minimum", "reload", "sync")
        if args.get(name, "0") != "0"
    ]
    return " delay " + " ".join(given) if given else ""


def set_preempt(edit: Edit) -> None:
    """Delays add up, said in one line or in several.

    Whether `standby 1 preempt` forgets them is not documented: here it does not, which is the
    stricter teacher.
    """
    _check_group(edit)
    args = {**(edit.old.args if edit.old is not None else {}), **edit.args}
    text = f"standby {args['group']} preempt" + _delays(args)
    edit.section.put(edit.command, edit.key, text, args)
    edit.device.touch_standby()


def set_text_authentication(edit: Edit) -> None:
    """`text` is what it is when nothing is said, and `cisco` is the default (RFC 2281)."""
    _check_group(edit)
    word = edit.args["string"]
    if len(word) > 8:  # the field of the packet, RFC 2281 5.1
        raise Refused("% Authentication string must be 8 characters or less")  # [R]
    text = f"standby {edit.args['group']} authentication {word}"
    edit.put(edit.command.default if word == "cisco" else text)
    edit.device.touch_standby()


def set_key_string(edit: Edit) -> None:
    """A key is shown as it was typed, or as type 7 under `service password-encryption`."""
    _check_group(edit)
    kind, key = edit.args.get("kind", "0"), edit.args["string"]
    if kind != "7" and edit.device.encrypts:
        kind, key = "7", encode7(key)
    text = f"standby {edit.args['group']} authentication md5 key-string "
    text += f"7 {key}" if kind == "7" else key
    if "timeout" in edit.args:
        text += f" timeout {edit.args['timeout']}"
    edit.put(text)
    edit.device.touch_standby()


def set_track(edit: Edit) -> None:
    """An object lowers the priority by 10 unless it is told otherwise."""
    _check_group(edit)
    text = edit.text.removesuffix(" decrement 10")
    edit.put(text)
    edit.device.touch_standby()


def remove_group(edit: Edit) -> None:
    """`no standby 1` removes all of the group."""
    for line in edit.section.starting(f"standby {edit.args['group']}"):
        edit.section.drop(line.key)
    edit.device.touch_standby()
