"""`make demo`: a cluster from one intent file to verified routers; changed, returned, used, hurt.

Every step is a command that a user could type; this module only copies the example inventory to a
place of its own, invents the keys, runs the steps one after the other, and says how long each took.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLACE = Path(os.path.relpath(ROOT / ".hacc" / "demo"))
INVENTORY = PLACE / "inventory"
INTENT = INVENTORY / "clusters" / "west.yaml"

# What the example leaves out, since it needs certificates, and keys are never committed.
LINK = "\nlink: {certificates: pki/west}\n"

# What inventory/ refers to by env:. Invented anew for each demo, so that no key is ever a constant.
KEYS = (
    "HACC_HSRP_KEY",
    "HA_PAIR_KEY",
    "MN_EXAMPLE_KEY",
    "FA_KEY",
    "OSPF_KEY",
    "SNMP_AUTH",
    "SNMP_PRIV",
)
KEY_FILES = ("keys/mn7",)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that the demo shows."""

    title: str
    command: tuple[str, ...]  # of `hacc`
    inside: bool = True  # in the lab's management network
    before: Callable[[], None] | None = None


def provide_inventory() -> Mapping[str, str]:
    """Copy the example, invent its keys, and return the environment that opens them."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    shutil.copytree(ROOT / "inventory", INVENTORY)
    restore_intent()
    for name in KEY_FILES:
        file = INVENTORY / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(secrets.token_hex(16) + "\n")
    # 16 characters: the 128 bits of a mobility key, as IOS takes them.
    keys = {name: secrets.token_hex(8) for name in KEYS}
    keys |= {"HACC_PASSWORD": secrets.token_hex(8), "HACC_ENABLE": secrets.token_hex(8)}
    env = PLACE / "env"
    env.touch(mode=0o600)
    told = {**keys, "HACC_INVENTORY": INVENTORY.resolve()}
    env.write_text("".join(f"export {name}={value}\n" for name, value in told.items()))
    return keys


def change_intent() -> None:
    """Shorter registrations, slower hellos: what an operator changes on a Tuesday."""
    text = INTENT.read_text()
    for old, new in (
        ("lifetime: 1800", "lifetime: 900"),
        ("hello_ms: 200\n      hold_ms: 700", "hello_ms: 250\n      hold_ms: 800"),
    ):
        if old not in text:
            raise SystemExit(f"demo: the example intent has no {old!r} any more")
        text = text.replace(old, new)
    INTENT.write_text(text)


def restore_intent() -> None:
    INTENT.write_text((ROOT / "inventory" / "clusters" / "west.yaml").read_text() + LINK)


STEPS = (
    Step("Virtual routers", ("lab", "up"), inside=False),
    Step("The cluster's own authority", ("pki", "init"), inside=False),
    Step("A certificate for each router", ("pki", "issue"), inside=False),
    Step("The intent is sound", ("validate",), inside=False),
    Step("What would be done", ("plan", "--summary", "-o", str(PLACE / "provision.json"))),
    Step("Do it", ("apply", str(PLACE / "provision.json"), "--yes")),
    Step("Is it true?", ("verify",)),
    Step("First law: after apply, the plan is empty", ("plan", "--exit-code")),
    Step(
        "The intent changes",
        ("plan", "-o", str(PLACE / "change.json")),
        before=change_intent,
    ),
    Step(
        "Do that",
        ("apply", str(PLACE / "change.json"), "--yes", "--allow", "re-election,binding-loss"),
    ),
    Step("Is it still true?", ("verify",)),
    Step("And back, byte for byte", ("rollback", "--yes")),
    Step(
        "The first intent again: nothing to do",
        ("plan", "--exit-code"),
        before=restore_intent,
    ),
    Step(
        "A drill: 1,000 subscribers lose their member",
        ("drill", "run", "member-kill"),
        inside=False,
    ),
)


def command_of(step: Step) -> list[str]:
    hacc = [sys.executable, "-m", "hacc_agent.orchestrator"]
    inventory = ["--inventory", str(INVENTORY)]
    if step.inside:
        return [*hacc, "lab", "run", *inventory, "--", *hacc, *step.command, *inventory]
    return [*hacc, *step.command, *inventory]


def hacc_lab(*words: str) -> list[str]:
    """Of the lab that the environment names."""
    return [sys.executable, "-m", "hacc_agent.orchestrator", "lab", *words]


def main() -> int:
    keep = "--keep" in sys.argv[1:]
    if os.geteuid() != 0:
        print("demo: virtual routers need root (network namespaces): sudo make demo")
        return 1
    environment = {**os.environ, **provide_inventory(), "HACC_INVENTORY": str(INVENTORY)}
    rows: list[tuple[str, str, float]] = []
    code = 0
    down = hacc_lab("down")
    try:
        # Routers of an earlier demo have that demo's keys.
        subprocess.run(down, env=environment, check=False, stdout=subprocess.DEVNULL)
        for number, step in enumerate(STEPS, 1):
            if step.before:
                step.before()
            print(f"\n== {number}. {step.title}\n$ hacc {' '.join(step.command)}", flush=True)
            began = time.monotonic()
            code = subprocess.run(command_of(step), env=environment, check=False).returncode
            rows.append(
                (step.title, "ok" if code == 0 else f"exit {code}", time.monotonic() - began)
            )
            if code:
                subprocess.run(hacc_lab("status"), env=environment, check=False)
                break
    except KeyboardInterrupt:
        code = 130
    finally:
        if not keep:
            subprocess.run(down, env=environment, check=False)
    print(f"\n{'step':<44} {'result':<8} {'seconds':>7}")
    for title, result, seconds in rows:
        print(f"{title:<44} {result:<8} {seconds:>7.1f}")
    print(f"{'':<44} {'':<8} {sum(seconds for _, _, seconds in rows):>7.1f}")
    if keep:
        print(f"\nThe routers run on. Go on with:  . {PLACE / 'env'}; hacc lab run hacc verify")
    return code


if __name__ == "__main__":
    sys.exit(main())
