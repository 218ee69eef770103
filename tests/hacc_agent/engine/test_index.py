"""The index against a dict, where keys crowd: full buckets and equal tags are rare in service."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hacc_agent.engine.index import LANES, Index
from hacc_agent.engine.kernels import indexes
from hacc_agent.engine.kernels.numbers import u8

CAPACITY = 80
HASHES = (0, 1, 2**31, 2**32 - 1)  # the last bucket too: who goes past it begins again
Key = tuple[int, int]

keys = st.tuples(st.sampled_from(HASHES), st.integers(1, 60))
steps = st.lists(
    st.tuples(st.booleans(), st.lists(keys, unique=True, max_size=50)), min_size=1, max_size=12
)


def columns(some: list[Key]) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
    return np.array([h for h, _ in some], np.uint64), np.array([t for _, t in some], np.uint32)


@given(steps)
def test_keys_come_and_go_as_in_a_dict(sequence: list[tuple[bool, list[Key]]]) -> None:
    """A tag belongs to one hash, as an address does; numbers are given by turns.

    Compiled code does to another index what the class does to this one.
    """
    index, compiled, model, number = Index(CAPACITY), Index(CAPACITY), dict[Key, int](), 0
    arrays = compiled.arrays
    for adding, some in sequence:
        for key in some:
            hashed, tag = key[0], own_tag(*key)
            if adding and key not in model and len(model) < CAPACITY:
                number += 1
                model[key] = number
                index.add(hashed, tag, number)
                indexes.add_key(arrays, u8(hashed), tag, number)
            elif not adding and key in model:
                gone = model.pop(key)
                index.remove(hashed, tag, gone)
                indexes.remove_key(arrays, u8(hashed), tag, gone)
        everybody = [(hashed, tag) for hashed in HASHES for tag in range(1, 61)]
        expected = [model.get(key, 0) for key in everybody]
        assert index.find_batch(*tagged(everybody)).tolist() == expected
        assert [index.find(h, own_tag(h, t)) for h, t in everybody] == expected
        found = [indexes.find_key(arrays, u8(h), own_tag(h, t)) for h, t in everybody]
        assert found == expected
        for mine, its in zip(index.arrays, arrays, strict=True):
            assert mine.tobytes() == its.tobytes()


def own_tag(hashed: int, tag: int) -> int:
    return HASHES.index(hashed) << 8 | tag


def tagged(some: list[Key]) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
    return columns([(hashed, own_tag(hashed, tag)) for hashed, tag in some])


@given(st.lists(st.integers(1, 3), min_size=1, max_size=40), st.integers(0, 39))
def test_keys_with_one_tag_are_told_apart_by_who_asks(tags: list[int], wanted: int) -> None:
    """More of them than a bucket has lanes; the one that is confirmed is found."""
    index = Index(CAPACITY)
    numbers = np.arange(1, len(tags) + 1, dtype=np.uint32)
    hashes = np.full(len(tags), HASHES[-1], np.uint64)
    for number, tag in zip(numbers.tolist(), tags, strict=True):
        index.add(HASHES[-1], tag, number)

    def confirm(which: NDArray[np.int64], found: NDArray[np.uint32]) -> NDArray[np.bool_]:
        right: NDArray[np.bool_] = found == numbers[which]
        return right

    assert index.find_batch(hashes, np.array(tags, np.uint32), confirm).tolist() == numbers.tolist()
    for tag in (1, 2, 3):
        same = [n for n, each in zip(numbers.tolist(), tags, strict=True) if each == tag]
        assert sorted(index.candidates(HASHES[-1], tag)) == same
    gone = wanted % len(tags)
    for number, tag in zip(numbers[gone:].tolist(), tags[gone:], strict=True):
        index.remove(HASHES[-1], tag, number)
    found = index.find_batch(hashes, np.array(tags, np.uint32), confirm).tolist()
    assert found == numbers[:gone].tolist() + [0] * (len(tags) - gone)


def test_churn_leaves_nothing_behind() -> None:
    """An index that is emptied is as good as a new one: no search goes past a bucket in vain."""
    index = Index(CAPACITY)
    tags = range(1, 3 * LANES + 1)
    for turn in range(100):
        for tag in tags:
            index.add(HASHES[-1], tag, tag + turn)
        for tag in tags:
            index.remove(HASHES[-1], tag, tag + turn)
    assert not index._passed.any()
    assert not index._tags.any()
