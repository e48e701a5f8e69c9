"""The set of ids against Python's own."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from matloop.data.candidates import seen_ids
from matloop.data.candidates.seen_ids import SeenIds

# Few different hashes, so that most of them come again; they differ in one part or the other.
hashes = st.integers(0, 40) | st.integers(0, 3).map(lambda n: n << 64) | st.integers(0, 2**80 - 1)
batches = st.lists(st.lists(hashes, max_size=60), max_size=8)


def named(number: int, kind: str = "x") -> str:
    return f"{kind}{number:020x}"


@given(batches)
def test_first_times_are_those_of_a_set(given_batches: list[list[int]]) -> None:
    # One hash of 2^80 stands for another: that of zeros.
    key_of_zeros = int.from_bytes((1).to_bytes(8, "little") + bytes(2), "big")
    seen, known = SeenIds(), set()
    for batch in given_batches:
        expected = []
        for number in batch:
            key = number or key_of_zeros
            expected.append(key not in known)
            known.add(key)
        answer = seen.add([named(number) for number in batch])
        assert answer.dtype == np.bool_
        assert answer.tolist() == expected
    assert len(seen) == len(known)


def random_ids(count: int) -> list[str]:
    return [f"x{row.tobytes().hex()}" for row in np.random.default_rng(count).integers(0, 256, (count, 10), np.uint8)]


def test_growth_forgets_nothing() -> None:
    seen, ids = SeenIds(), random_ids(150_000)
    first = len(seen._low)
    for start in range(0, len(ids), 9_999):
        assert seen.add(ids[start : start + 9_999]).all()
    assert len(seen) == len(ids)
    assert len(seen._low) > 2 * first  # it grew more than once
    assert not seen.add(ids[::-1]).any()
    assert len(seen) == len(ids)


def test_one_batch_larger_than_the_table() -> None:
    seen, ids = SeenIds(), random_ids(3 * seen_ids._FIRST_SIZE)
    assert seen.add(ids).all()
    assert len(seen) == len(ids)
    assert seen.add([ids[-1], named(7)]).tolist() == [False, True]


def test_a_hash_of_zeros_is_kept_and_survives_growth() -> None:
    seen = SeenIds()
    assert seen.add([named(0), named(5), named(0)]).tolist() == [True, True, False]
    seen.add(random_ids(100_000))
    assert seen.add([named(0), named(5)]).tolist() == [False, False]


def test_ids_in_one_slot_are_told_apart() -> None:
    """All of them begin in the same slot, and the last slot is followed by the first."""
    low = (seen_ids._FIRST_SIZE - 1).to_bytes(8, "little").hex()
    ids = [f"x{low}{number:04x}" for number in range(300)]
    seen = SeenIds()
    assert seen.add(ids).all()
    assert not seen.add(ids).any()


def test_no_ids_at_all() -> None:
    seen = SeenIds()
    assert seen.add([]).tolist() == []
    assert len(seen) == 0
