"""Sums of primes: one job for each number, on all cores.

    python examples/primes.py

Functions are sent to the workers as they are, with the functions and modules that
they use. Nothing has to be importable, and the program needs no
`if __name__ == "__main__"`: workers never run it.
"""

import math

import pp


def is_prime(number: int) -> bool:
    """Whether `number` has no divisor but 1 and itself."""
    if number < 2:
        return False
    return all(number % divisor for divisor in range(2, math.isqrt(number) + 1))


def sum_primes(limit: int) -> int:
    """The sum of all primes below `limit`."""
    return sum(number for number in range(limit) if is_prime(number))


server = pp.Server()
print(f"{server.get_ncpus()} workers")

# The classic way names what a function needs: is_prime and math. Both are found
# without being named, too, since they are globals of the functions.
limits = [20_000, 40_000, 60_000, 80_000, 100_000]
jobs = [server.submit(sum_primes, (limit,), (is_prime,), ("math",)) for limit in limits]

# All jobs run by now. Calling one waits for it and returns its result.
for limit, job in zip(limits, jobs, strict=True):
    print(f"sum of the primes below {limit:>7}: {job():>10}")

server.print_stats()
