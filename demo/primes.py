"""The first piece of work: sums of primes."""

import math


def is_prime(number: int) -> bool:
    """Whether `number` has no divisor but 1 and itself."""
    if number < 2:
        return False
    return all(number % divisor for divisor in range(2, math.isqrt(number) + 1))


def sum_primes(limit: int) -> int:
    """The sum of all primes below `limit`."""
    return sum(number for number in range(limit) if is_prime(number))
