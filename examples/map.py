"""Maps: one function over many items, some at a time.

    python examples/map.py

`map` takes items as it needs them, so the input may be endless, and sends as many in one
job as take about four milliseconds. Leaving the loop drops what has not begun.
"""

import itertools
import math

import pp


def is_prime(number: int) -> bool:
    """Whether no smaller number divides it."""
    return number > 1 and all(number % d for d in range(2, math.isqrt(number) + 1))


def steps_to_one(number: int) -> int:
    """How many steps of the Collatz rule lead to 1."""
    steps = 0
    while number != 1:
        number = number // 2 if number % 2 == 0 else 3 * number + 1
        steps += 1
    return steps


def share(total: int, people: int) -> float:
    """What each gets."""
    return total / people


with pp.Server() as server:
    primes = sum(server.map(is_prime, range(100_000)))
    print(f"{primes} primes below 100000")

    # Endless input: this takes no more of it than it needs.
    for number, steps in enumerate(server.map(steps_to_one, itertools.count(1)), 1):
        if steps > 300:
            print(f"the first number that takes more than 300 steps: {number}, {steps} steps")
            break

    results = server.map(share, [6, 7, 8], [3, 0, 2], return_exceptions=True)
    print("shares:", list(results))
