"""Templates: what many submissions have in common is said once.

    python examples/template.py

A `Template` holds a function and all that `submit` takes beside the arguments; its
own `submit` takes the arguments alone.
"""

import pp


def collatz_steps(start: int) -> int:
    """How many steps it takes from `start` to 1: halve, or triple and add one."""
    steps = 0
    while start != 1:
        start = start // 2 if start % 2 == 0 else 3 * start + 1
        steps += 1
    return steps


def longest(low: int, high: int) -> tuple[int, int]:
    """The most steps of any number from `low` up to `high`, and that number."""
    return max((collatz_steps(start), start) for start in range(low, high))


server = pp.Server()
template = pp.Template(server, longest, (collatz_steps,), group="collatz")

WIDTH = 20_000
jobs = [template.submit(low, low + WIDTH) for low in range(1, 10 * WIDTH, WIDTH)]
server.wait("collatz")

for number, job in enumerate(jobs):
    steps, start = job()
    low = 1 + number * WIDTH
    print(f"from {low:>6} to {low + WIDTH - 1:>6}: {start:>6} takes {steps} steps")
steps, start = max(job() for job in jobs)
print(f"the longest way of all: {start}, {steps} steps")
