"""`make fuzz`: damaged and random octets into every reader of Mobile IP, for minutes on end.

    python -m tests.hacc_agent.wire.fuzz [--seconds 300] [--seed N]

Two sources, in turn: Hypothesis, which knows what a message looks like and shrinks what it finds;
and a fast mutator over a corpus of sound messages, some fifteen thousand inputs a second. With
atheris installed, half of the time is its own, guided by coverage. Each input goes through the
promises of `check`; the first broken one ends the run with the octets in hex and the seed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import random
import sys
import tempfile
import time
from collections.abc import Sequence

from hypothesis import HealthCheck, Phase, given, seed, settings

from hacc_agent.wire import (
    Message,
    RegistrationReply,
    RegistrationRequest,
    WireError,
    parse,
    parse_discovery,
    peek_extensions,
    peek_nai,
    peek_reply,
    peek_request,
    peek_spi,
)
from tests.hacc_agent.wire.strategies import (
    advertisements,
    hostile,
    hostile_discovery,
    messages,
    resealed,
    solicitations,
)

SECONDS = 300
CORPUS = 400  # sound messages that the mutator starts from
ROUND = 500  # Hypothesis examples, or thousands of mutations, between two looks at the clock
SPLICE = 8  # octets at most that one mutation puts in or takes out
MUTATIONS = 1000
LONGEST = 4096  # octets that a mutated message grows to


def check(octets: bytes) -> None:
    """What holds for any octets whatever; nothing but a WireError may come out of a reader."""
    check_message(octets)
    check_discovery(octets)
    check_discovery(resealed(octets))  # a mutation that stops at the checksum finds nothing


def check_message(octets: bytes) -> None:
    message: Message | None = None
    with contextlib.suppress(WireError):
        message = parse(octets)
    if message is not None:
        assert message.to_bytes() == octets
        hash(message)
    for peek, kind in ((peek_request, RegistrationRequest), (peek_reply, RegistrationReply)):
        try:
            fields, nai, authentications = peek(octets, 0, len(octets))
        except WireError:
            assert not isinstance(message, kind)
            continue
        for at in authentications:
            assert 0 <= peek_spi(octets, at) < 2**32
        assert not nai or len(peek_nai(octets, nai)) == octets[nai + 1]
        assert not isinstance(message, kind) or message.identification == fields[-1]
    with contextlib.suppress(WireError):
        peek_extensions(octets, 0, len(octets))


def check_discovery(octets: bytes) -> None:
    try:
        discovered = parse_discovery(octets)
    except WireError:
        return
    assert discovered.to_bytes() == octets or octets[2:4] == b"\xff\xff"


def by_hypothesis(number: int, examples: int) -> int:
    """One round of drawn messages, near misses and noise. How many inputs it checked."""
    tried = 0

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(hostile() | hostile_discovery())
    def round_(octets: bytes) -> None:
        nonlocal tried
        tried += 1
        check(octets)

    round_()
    return tried


def corpus(number: int) -> list[bytes]:
    """Sound messages for the mutator."""
    found: list[bytes] = []

    @seed(number)
    @settings(max_examples=CORPUS, deadline=None, database=None, phases=(Phase.generate,))
    @given(messages() | advertisements() | solicitations())
    def collect(message: object) -> None:
        found.append(message.to_bytes())  # type: ignore[attr-defined]  # every one of them has it

    collect()
    return found


def mutated(octets: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """One to three changes: an octet, a piece gone, a piece doubled, a piece of another message."""
    work = bytearray(octets)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(work) + 1)
        match chance.randrange(5):
            case 0 if at < len(work):
                work[at] = chance.randrange(256)
            case 1:
                del work[at : at + chance.randint(1, SPLICE)]
            case 2:
                work[at:at] = work[at : at + chance.randint(1, SPLICE)]
            case 3:
                other = chance.choice(others)
                cut = chance.randrange(len(other) + 1)
                work[at:at] = other[cut : cut + chance.randint(1, 64)]
            case _ if at < len(work):
                work[at] = chance.choice((0, 1, 2, 4, 127, 128, 139, 254, 255))
            case _:
                work.append(chance.randrange(256))
    return bytes(work[:LONGEST])


def by_mutation(inputs: list[bytes], chance: random.Random, count: int) -> int:
    for _ in range(count):
        octets = mutated(chance.choice(inputs), inputs, chance)
        try:
            check(octets)
        except Exception:
            print(f"fuzz: broken by {octets.hex()}", file=sys.stderr)
            raise
        if not chance.randrange(50):  # let what was mutated be mutated further
            inputs[chance.randrange(len(inputs))] = octets
    return count


def by_atheris(seconds: float, number: int) -> None:
    """Never returns: libFuzzer ends the process."""
    atheris = importlib.import_module("atheris")
    atheris.instrument_all()
    limits = (f"-max_total_time={int(seconds)}", f"-seed={number}")
    atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={tempfile.gettempdir()}/"], check)
    atheris.Fuzz()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    asked = parser.parse_args(arguments)
    guided = importlib.util.find_spec("atheris") is not None
    print(
        f"fuzz: {asked.seconds:g} s, seed {asked.seed}, atheris {'found' if guided else 'absent'}"
    )
    end = time.monotonic() + asked.seconds * (0.5 if guided else 1)
    chance = random.Random(asked.seed)
    inputs = corpus(asked.seed)
    drawn = changed = 0
    while True:
        drawn += by_hypothesis(chance.randrange(2**32), ROUND)
        changed += by_mutation(inputs, chance, ROUND * MUTATIONS // 10)
        if time.monotonic() >= end:
            break
    print(f"fuzz: {drawn} drawn and {changed} mutated inputs, every promise held")
    if guided:
        by_atheris(asked.seconds / 2, asked.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
