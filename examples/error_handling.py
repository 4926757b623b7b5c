"""Errors: every job ends, and `job()` tells how.

    python examples/error_handling.py

What a job raises is raised again by `job()`, of the same type, with the worker's
traceback in it. A worker that dies costs its job and nobody else's. What cannot be
sent is refused by `submit`. The old way, a printed traceback and None, can be had
with `errors="print"`.
"""

import os
import threading

import pp


def invert(number: int) -> float:
    """One divided by `number`."""
    return 1 / number


def crash() -> None:
    """Ends its own process without a word."""
    os._exit(7)


server = pp.Server(ncpus=2, max_worker_deaths=2)

print("a job that raises:")
try:
    server.submit(invert, (0,))()
except ZeroDivisionError as error:
    print(f"    {type(error).__name__}: {error}")

print("a job that kills its worker, whenever it is tried, among others:")
good = [server.submit(invert, (number,)) for number in (1, 2, 4)]
bad = server.submit(crash)
more = [server.submit(invert, (number,)) for number in (5, 8, 10)]
try:
    bad()
except pp.WorkerDied as error:
    print(f"    WorkerDied, exit code {error.exitcode}, {error.deaths} workers: {error}")
print(f"    the others: {[job() for job in good + more]}")

print("an argument that cannot be sent:")
try:
    server.submit(invert, (threading.Lock(),))
except pp.SerializationError as error:
    print(f"    SerializationError: {error}")

print("a server that has been destroyed:")
server.destroy()
try:
    server.submit(invert, (1,))
except pp.DestroyedServerError as error:
    print(f"    DestroyedServerError: {error}")

print('the classic way, errors="print":')
with pp.Server(errors="print") as classic:
    print(f"    the result is {classic.submit(invert, (0,))()}")
