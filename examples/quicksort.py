"""Quicksort: the parts of a list are sorted by jobs, the parts are made here.

    python examples/quicksort.py

A list that is still long is divided around a pivot, in this process; lists that are
short enough become jobs. A generator puts the sorted parts in order.
"""

import random
from collections.abc import Iterator

import pp

SHORT = 20_000


def divide(numbers: list[int]) -> tuple[list[int], list[int], list[int]]:
    """Those of `numbers` below, equal to and above the one in the middle."""
    pivot = numbers[len(numbers) // 2]
    below = [number for number in numbers if number < pivot]
    equal = [number for number in numbers if number == pivot]
    above = [number for number in numbers if number > pivot]
    return below, equal, above


def quicksort(numbers: list[int]) -> list[int]:
    """The numbers in order. Runs in a worker, where it calls itself and `divide`."""
    if len(numbers) < 2:
        return numbers
    below, equal, above = divide(numbers)
    return quicksort(below) + equal + quicksort(above)


def submit_parts(server: pp.Server, numbers: list[int]) -> Iterator[pp.Job[list[int]]]:
    """Submits jobs that sort parts of `numbers`, lowest part first."""
    if len(numbers) <= SHORT:
        yield server.submit(quicksort, (numbers,))
        return
    below, equal, above = divide(numbers)
    yield from submit_parts(server, below)
    yield server.submit(quicksort, (equal,))
    yield from submit_parts(server, above)


numbers = list(range(200_000))
random.Random(1).shuffle(numbers)
print(f"unsorted: {numbers[:3]} ... {numbers[-3:]}")

with pp.Server() as server:
    jobs = list(submit_parts(server, numbers))
    ordered = [number for job in jobs for number in job()]

print(f"sorted:   {ordered[:3]} ... {ordered[-3:]}, by {len(jobs)} jobs")
print(f"all there and in order: {ordered == sorted(numbers)}")
