"""Callbacks: something is done with each result as soon as it is there.

    python examples/callback.py

A callback runs in this process, once for each job, with `callbackargs` before the
result. After `wait()` all callbacks have run. They run one at a time, so what
only callbacks change needs no lock.
"""

import random

import pp


class Estimate:
    """Collects how many of how many random points fell into the quarter circle."""

    def __init__(self) -> None:
        self.parts = 0
        self.points = 0
        self.inside = 0

    def add(self, points: int, inside: int) -> None:
        """Adds the result of one job."""
        self.parts += 1
        self.points += points
        self.inside += inside

    @property
    def pi(self) -> float:
        """The estimate of pi so far."""
        return 4 * self.inside / self.points


def points_inside(seed: int, points: int) -> int:
    """Throws `points` random points at the unit square; how many hit the circle."""
    throw = random.Random(seed).random
    return sum(throw() ** 2 + throw() ** 2 <= 1 for _ in range(points))


PARTS = 20
POINTS = 100_000

estimate = Estimate()
server = pp.Server()
for seed in range(PARTS):
    server.submit(
        points_inside,
        (seed, POINTS),
        callback=estimate.add,
        callbackargs=(POINTS,),
        group="throws",
    )
server.wait("throws")

print(f"{estimate.parts} callbacks, {estimate.points} points")
print(f"pi is about {estimate.pi:.4f}")
