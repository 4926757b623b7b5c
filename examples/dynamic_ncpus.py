"""The number of workers changes while the program runs.

    python examples/dynamic_ncpus.py

`set_ncpus` acts at once: new workers take jobs that are waiting, and when there are
to be fewer, the busy ones finish the job that they have. With 0, and
without nodes, jobs wait.
"""

import time

import pp


def integrate(parts: int) -> float:
    """The area below 4 / (1 + x * x) between 0 and 1, which is pi, from `parts` strips."""
    width = 1 / parts
    return width * sum(4 / (1 + ((part + 0.5) * width) ** 2) for part in range(parts))


JOBS = 12
PARTS = 500_000

server = pp.Server(ncpus=1)
for ncpus in (1, 2, 4):
    server.set_ncpus(ncpus)
    start = time.perf_counter()
    jobs = [server.submit(integrate, (PARTS,)) for _ in range(JOBS)]
    areas = {f"{job():.8f}" for job in jobs}
    seconds = time.perf_counter() - start
    print(f"{server.get_ncpus()} workers: {JOBS} jobs, all {areas.pop()}, in {seconds:.2f} s")

server.set_ncpus(0)
job = server.submit(integrate, (PARTS,))
print(f"{server.get_ncpus()} workers: finished is {job.finished}")

server.set_ncpus("autodetect")
print(f"one worker per usable core: {job():.8f}")
