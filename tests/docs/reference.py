"""`docs/reference.md`, from the code: python -m tests.docs.reference

Commands from the parsers that take them, keys of an intent from its JSON Schema, exit codes from
the enumeration.
"""

from __future__ import annotations

import argparse
import enum
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import typer

from hacc_agent.cli import _parser
from lab.cli import app as lab
from tasks.cli import app
from tasks.errors import Exit

DOCS = Path(__file__).resolve().parents[2] / "docs"
PATH = DOCS / "reference.md"

HEAD = """\
# Reference

Made from the code (`python -m tests.docs.reference`): what each command takes, what an intent may
say, how commands end. What it is for stands in the [guide](guide.md) and the pages that it names.
"""

EXITS: Mapping[Exit, str] = {
    Exit.OK: "done, or nothing to do",
    Exit.USAGE: "usage, or input that does not validate; nothing was touched",
    Exit.CHANGES: "changes are pending, a run is paused, or something is not as it should be",
    Exit.DEVICE: "a router failed; what was touched has been returned",
    Exit.REVERTED: "verification failed, and everything was returned; or a drill broke its budget",
    Exit.BROKEN: "a way back failed: look at the routers that are named",
    Exit.STALE: "the plan is stale, or an earlier run has not ended; nothing was touched",
    Exit.INTERRUPTED: "interrupted; what was under way was finished or returned, and it says which",
}


def document() -> str:
    """The whole page."""
    parts = [HEAD, "## Exit codes of `hacc`", "", "| code | |", "|---|---|"]
    parts += [f"| {int(code)} | {EXITS[code]} |" for code in Exit]
    parts += ["", "## `hacc`, on the operator's machine", ""]
    parts += _commands("hacc", _program())
    parts += ["## `hacc-agent`, on a router", ""]
    parts += _agent_commands()
    parts += ["## An intent: `clusters/*.yaml`", "", *_intent()]
    return "\n".join(parts).rstrip() + "\n"


# ---------------------------------------------------------------------- hacc


def _program() -> Any:
    """All of it, as `hacc_agent.orchestrator` joins it."""
    whole = typer.Typer()
    whole.registered_commands = list(app.registered_commands)
    whole.registered_groups = list(app.registered_groups)
    whole.add_typer(lab, name="lab")
    return typer.main.get_command(whole)


def _commands(path: str, command: Any) -> Iterator[str]:
    """One of a group, or those of a group after each other."""
    for name, each in sorted(getattr(command, "commands", {}).items()):
        yield from _commands(f"{path} {name}", each)
    if hasattr(command, "commands") and not command.invoke_without_command:
        return
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.name not in ("help", *_SHELL)]
    options = [each for each in options if each not in arguments and not each.hidden]
    words = " ".join([path, *(_argument(each) for each in arguments)])
    yield f"### `{words}`"
    yield ""
    yield from _paragraphs(command.help or "")
    if arguments or options:
        yield "| | default | |"
        yield "|---|---|---|"
        for each in arguments:
            if getattr(each, "help", None):
                yield f"| `{_argument(each)}` | | {_cell(each.help)} |"
        for each in options:
            yield f"| {_option(each)} | {_default(each)} | {_cell(each.help or '')} |"
        yield ""


_SHELL = ("install_completion", "show_completion")


def _argument(argument: Any) -> str:
    # Typer puts [] around one that may be missing, {} around its own name of one.
    name = re.sub(r"^[\[{]+(.*?)[\]}.]+$", r"\1", argument.metavar or argument.name).upper()
    if argument.nargs != 1 or argument.multiple:
        name += "..."
    return name if argument.required else f"[{name}]"


def _option(option: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    if option.is_flag:
        return names
    return f"{names} {_cell(option.metavar or _kind(option.type_descriptor.annotation))}"


def _kind(annotation: Any) -> str:
    """What stands for a value of this type."""
    for inner in get_args(annotation):
        return _kind(inner)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return "|".join(str(each.value) for each in annotation)
    return {Path: "FILE", str: "TEXT", int: "NUMBER", float: "NUMBER"}[annotation]


def _default(option: Any) -> str:
    found = [f"`{option.envvar}`"] if isinstance(option.envvar, str) else []
    default = option.default
    if not option.is_flag and default not in (None, "", (), []) and not callable(default):
        shown = getattr(default, "value", default)
        found.append(f"`{shown}`")
    return ", else ".join(found)


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in filter(None, text.split("\n\n")):
        yield " ".join(paragraph.split())
        yield ""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


# ---------------------------------------------------------------------- hacc-agent


def _agent_commands() -> Iterator[str]:
    (commands,) = (
        action for action in _parser(())._actions if isinstance(action, argparse._SubParsersAction)
    )
    helps = {each.dest: each.help or "" for each in commands._choices_actions}
    for name, command in sorted(commands.choices.items()):
        actions = [each for each in command._actions if each.dest != "help"]
        places = " ".join(_place(each) for each in actions if not each.option_strings)
        yield f"### `hacc-agent {name}{' ' if places else ''}{places}`"
        yield ""
        text = helps[name]
        yield text[:1].upper() + text[1:] + ("" if text.endswith("?") else ".")
        yield ""
        rows = [_row(each) for each in actions if each.help or each.option_strings]
        if rows:
            yield from ("| | default | |", "|---|---|---|", *rows, "")


def _place(action: argparse.Action) -> str:
    name = str(action.metavar or "|".join(action.choices or [action.dest]))
    return f"[{name}]" if action.nargs == "?" else name


def _row(action: argparse.Action) -> str:
    default = "" if action.default in (None, False, "") else f"`{action.default}`"
    name = ", ".join(f"`{each}`" for each in action.option_strings) or f"`{_place(action)}`"
    if action.option_strings and action.nargs != 0:
        name += f" {action.metavar or action.dest.upper()}"
    return f"| {name} | {default} | {_cell(action.help or '')} |"


# ---------------------------------------------------------------------- intents


def _intent() -> Iterator[str]:
    schema = json.loads((DOCS / "intent.schema.json").read_text())
    yield from _object("", schema, schema["$defs"], set())


def _object(
    title: str, schema: Mapping[str, Any], known: Mapping[str, Any], told: set[str]
) -> Iterator[str]:
    """A mapping's keys as a table, then the mappings in it, each of them once."""
    if title:
        yield f"### {title}"
        yield ""
    yield from _paragraphs(schema.get("description", ""))
    yield "| key | what is allowed | default | |"
    yield "|---|---|---|---|"
    below: list[str] = []
    for key, value in schema.get("properties", {}).items():
        words = _words(value, known, below)
        needed = "needed" if key in schema.get("required", ()) else _json(value.get("default"))
        yield f"| `{key}` | {words} | {needed} | {_cell(value.get('description', ''))} |"
    yield ""
    for name in below:
        if name not in told:
            told.add(name)
            yield from _object(name, known[name], known, told)


def _json(value: object) -> str:
    return "" if value is None or isinstance(value, list | dict) else f"`{json.dumps(value)}`"


def _words(value: Mapping[str, Any], known: Mapping[str, Any], below: list[str]) -> str:
    """What a value may be, in a few words; mappings are noted in `below`."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        target = known[name]
        if target.get("type") == "object":
            below.append(name)
            return f"[{name}](#{name.lower()})"
        return _words(target, known, below)
    if "anyOf" in value or "oneOf" in value:
        several = value.get("anyOf") or value["oneOf"]
        words = (_words(each, known, below) for each in several if each.get("type") != "null")
        return " or ".join(dict.fromkeys(words))
    if "enum" in value:
        return ", ".join(f"`{each}`" for each in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    if value.get("type") == "array":
        return f"a list of {_words(value.get('items', {}), known, below)}"
    if value.get("type") == "object" and isinstance(value.get("additionalProperties"), dict):
        return f"by name, {_words(value['additionalProperties'], known, below)}"
    if "minimum" in value and "maximum" in value:
        return f"{value['minimum']:g} to {value['maximum']:,}".replace(",", " ")
    return {"string": "text", "integer": "a whole number", "number": "a number"}.get(
        str(value.get("type")), str(value.get("type", "anything"))
    ).replace("boolean", "`true` or `false`")


if __name__ == "__main__":
    PATH.write_text(document())
