"""Reverses an MD5 hash: finds the number whose hash it is, by trying all of them.

    python examples/md5_reversal.py

The range is cut into more parts than there are workers. The program looks at the
parts as they come and stops as soon as one has the answer: `destroy`, here by leaving
the `with` block, ends the jobs that still run.
"""

import hashlib

import pp

NUMBERS = 2_000_000
PARTS = 40


def find(wanted: str, start: int, end: int) -> int | None:
    """The number in range(start, end) whose decimal digits hash to `wanted`."""
    for number in range(start, end):
        if hashlib.md5(str(number).encode()).hexdigest() == wanted:
            return number
    return None


secret = 829_314
wanted = hashlib.md5(str(secret).encode()).hexdigest()
print(f"looking for a number below {NUMBERS} with the MD5 hash {wanted}")

with pp.Server() as server:
    size = NUMBERS // PARTS
    jobs = [server.submit(find, (wanted, part * size, (part + 1) * size)) for part in range(PARTS)]
    for part, job in enumerate(jobs):
        found = job()
        if found is not None:
            print(f"found in part {part + 1} of {PARTS}: {found}")
            break
    else:
        print("not found")
