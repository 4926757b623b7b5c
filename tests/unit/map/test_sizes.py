"""How many items a map puts into one job."""

from __future__ import annotations

import itertools
import random

import pytest

from pp._map.sizes import FittingSize, FixedSize

MS = 1_000_000


def grown(nanoseconds: float, rounds: int = 20) -> FittingSize:
    """Sizes after a while of items that take so long each."""
    sizes = FittingSize()
    for _ in range(rounds):
        size = sizes.next(None, 2)
        sizes.observe(size, int(size * nanoseconds))
    return sizes


def test_nothing_is_known_at_first() -> None:
    assert FittingSize().next(10**6, 2) == 1


@pytest.mark.parametrize("each", [50, 1000, 20_000, 400_000])
def test_chunks_take_a_few_milliseconds(each: int) -> None:
    size = grown(each).next(None, 2)
    assert 1 * MS <= size * each <= 5 * MS


@pytest.mark.parametrize("each", [3 * MS, 50 * MS, 10**12])
def test_long_items_are_alone(each: int) -> None:
    assert grown(each).next(None, 2) == 1


def test_chunks_grow_by_steps() -> None:
    sizes = FittingSize()
    seen = [1]
    while sizes.next(None, 1) < 10_000:
        sizes.observe(seen[-1], 50 * seen[-1])
        seen.append(sizes.next(None, 1))
    assert all(later <= 8 * size for size, later in itertools.pairwise(seen))
    assert len(seen) <= 8


def test_chunks_shrink_when_items_turn_long() -> None:
    sizes = grown(100)
    sizes.observe(100, 100 * MS)
    assert sizes.next(None, 2) <= 4
    # One chunk that was held up is soon forgotten.
    for _ in range(15):
        sizes.observe(1, 100)
    assert sizes.next(None, 2) > 5000


@pytest.mark.parametrize("workers", [1, 2, 16])
def test_no_worker_gets_more_than_a_part_of_its_share(workers: int) -> None:
    sizes = grown(10_000)
    for remaining in (10**6, 300, 100, 10, 1, 0):
        size = sizes.next(remaining, workers)
        # Less than 0.3 ms is not worth a job.
        assert size <= max(remaining / (3 * workers), 30)
        assert size >= 1


def test_large_items_are_few() -> None:
    sizes = grown(100)
    for size in (100, 10_000_000, 100):
        sizes.weigh(100, size)
    assert sizes.next(None, 2) <= 2**20 / 50_000
    sizes.weigh(1, 10**8)
    assert sizes.next(None, 2) == 1


def test_any_history_gives_sensible_sizes() -> None:
    seed = random.SystemRandom().randrange(10**6)
    print("seed", seed)
    rng = random.Random(seed)
    sizes = FittingSize()
    for _ in range(2000):
        size = sizes.next(rng.choice([None, rng.randrange(10**6)]), rng.randrange(1, 50))
        assert 1 <= size <= 2**16
        sizes.observe(rng.randrange(1, size + 1), rng.choice([0, 1, rng.randrange(10**10)]))
        sizes.weigh(size, rng.randrange(10**9))


def test_fixed_sizes() -> None:
    sizes = FixedSize(7)
    sizes.observe(7, 10**12)
    assert sizes.next(3, 100) == 7
    assert sizes.budget == 0
