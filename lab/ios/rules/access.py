"""Access lists: entries in order, sequence numbers that are not shown, lists that go as a whole."""

from __future__ import annotations

from ..edit import Edit, Refused
from ..tree import Command, Section
from .interface import dotted, number_of

STEP = 10  # IOS numbers entries 10, 20, 30, and again after a reload


def entries(section: Section) -> list[tuple[int, str]]:
    """(sequence number, text) of a list, in order."""
    return [(int(line.args["sequence"]), line.text) for line in section.ordered()]


UDP_PORTS = {  # the names under which IOS shows them, whatever was typed (IANA's numbers)
    "7": "echo", "9": "discard", "37": "time", "42": "nameserver", "49": "tacacs", "53": "domain",
    "67": "bootps", "68": "bootpc", "69": "tftp", "111": "sunrpc", "123": "ntp",
    "137": "netbios-ns", "138": "netbios-dgm", "139": "netbios-ss", "161": "snmp",
    "162": "snmptrap", "177": "xdmcp", "195": "dnsix", "434": "mobile-ip", "496": "pim-auto-rp",
    "500": "isakmp", "512": "biff", "513": "who", "514": "syslog", "517": "talk", "520": "rip",
    "4500": "non500-isakmp",
}  # fmt: skip
_COMPARES = frozenset({"eq", "gt", "lt", "neq", "range"})


def _tidy(text: str, extended: bool) -> str:
    """One form for each thing: `host A`, `A`, `A 0.0.0.0` and `any`, `0.0.0.0 255.255.255.255`.

    A well-known port of UDP has its name.
    """
    words = text.split()
    if words[0] == "remark":
        return text
    if extended and words[1] == "udp":
        for at in range(2, len(words)):
            if words[at - 1] in _COMPARES or words[at - 2] == "range":
                words[at] = UDP_PORTS.get(words[at], words[at])
    tidy = words[:1]
    at = 1
    while at < len(words):
        word = words[at]
        following = words[at + 1] if at + 1 < len(words) else ""
        if word.count(".") == 3 and following.count(".") == 3:
            wild = number_of(following)
            if wild == 0xFFFFFFFF:
                tidy.append("any")
            elif wild == 0:
                tidy += ["host", word] if extended else [word]
            else:
                tidy += [dotted(number_of(word) & ~wild & 0xFFFFFFFF), following]
            at += 2
        elif word == "host" and not extended:
            tidy.append(following)
            at += 2
        elif word == "host":
            tidy += ["host", following]
            at += 2
        else:
            tidy.append(word)
            at += 1
    return " ".join(tidy)


def _insert(section: Section, text: str, sequence: str | None) -> None:
    extended = section.mode == "acl-extended"
    text = _tidy(text, extended)
    known = entries(section)
    if not text.startswith("remark"):
        for number, existing in known:
            if existing == text and sequence != str(number):
                return  # IOS says nothing of an entry that is there already
    if sequence is None:
        sequence = str((known[-1][0] // STEP + 1) * STEP if known else STEP)
    old = section.get(sequence)
    if old is not None and old.text != text:
        raise Refused("% Duplicate sequence number")
    row = ENTRY_ROWS[section.mode]
    section.put(row, sequence, text, {"sequence": sequence})


ENTRY_ROWS: dict[str, Command] = {}  # filled by tables.routing: the row of an entry, by mode


def set_entry(edit: Edit) -> None:
    """`[N] permit ...` inside `ip access-list`."""
    sequence = edit.args.get("sequence")
    text = edit.text.removeprefix(f"{sequence} ") if sequence else edit.text
    _insert(edit.section, text, sequence)


def unset_entry(edit: Edit) -> None:
    """`no N`, or `no permit ...`."""
    section = edit.section
    sequence = edit.args.get("sequence")
    if sequence is not None:
        if section.drop(sequence) is None:
            raise Refused("%Specified sequence number does not exist")  # [R]
        return
    text = _tidy(edit.text, section.mode == "acl-extended")
    for line in section.ordered():
        if line.text == text:
            section.drop(line.key)
            return
    raise Refused("% Access rule can't be deleted, not found")  # [R]


def _list_of(number: int) -> str:
    return "standard" if number < 100 or 1300 <= number <= 1999 else "extended"


def set_numbered(edit: Edit) -> None:
    """`access-list 10 permit ...` appends to list 10."""
    number = int(edit.args["number"])
    kind = _list_of(number)
    key = f"ip access-list {number}"
    line = edit.root.get(key)
    if line is None:
        row = NUMBERED_ROWS[kind]
        line = edit.root.put(row, key, key, {"name": str(number)})
    assert line.body is not None
    _insert(line.body, edit.text.removeprefix(f"access-list {number} "), None)


def unset_numbered(edit: Edit) -> None:
    """`no access-list 10 permit ...` removes the whole list, whatever follows the number."""
    edit.root.drop(f"ip access-list {int(edit.args['number'])}")


NUMBERED_ROWS: dict[str, Command] = {}  # filled by tables.routing: the row of a numbered list


def enter(edit: Edit) -> None:
    """`ip access-list standard NAME`; a number opens the numbered list, if it is of that kind."""
    name, kind = edit.args["name"], edit.command.enters.removeprefix("acl-")
    known = edit.root.get(f"ip access-list {name}")
    if known is not None and known.command.enters != edit.command.enters:
        raise Refused(
            "% A named "
            + ("Extended" if kind == "standard" else "Standard")
            + " IP access list with this name already exists"
        )
    if known is None and name.isdigit():
        if not 1 <= int(name) <= 2699 or _list_of(int(name)) != kind:
            raise Refused("% Invalid access list name.")
        edit.root.put(
            NUMBERED_ROWS[kind], f"ip access-list {name}", f"ip access-list {name}", {"name": name}
        )
    elif known is None:
        edit.put()


def resequence(edit: Edit) -> None:
    """`ip access-list resequence NAME START STEP` numbers the entries anew, in their order."""
    name, start, step = edit.args["name"], int(edit.args["start"]), int(edit.args["step"])
    line = edit.root.get(f"ip access-list {name}")
    if line is None or line.body is None:
        raise Refused(f"% Access-list {name} does not exist")  # [R]
    texts = [text for _, text in entries(line.body)]
    line.body.lines.clear()
    for number, text in enumerate(texts):
        _insert(line.body, text, str(start + number * step))


def remove(edit: Edit) -> None:
    """`no ip access-list ... NAME`. Interfaces that name it keep doing so, and pass everything."""
    if edit.root.drop(f"ip access-list {edit.args['name']}") is None:
        raise Refused(f"% Access-list {edit.args['name']} does not exist")  # [R]
