"""What the workers run.

Each function is complete in itself, since some contestants send a function's source
and not its module: imports are inside, and annotations are builtins or quoted.
"""

# ruff: noqa: PLC0415


def noop(x: int) -> int:
    """As little as a job can be."""
    return x


def spin(seconds: float) -> float:
    """Keeps a processor busy until this much time has passed on the clock."""
    from time import perf_counter

    end = perf_counter() + seconds
    while perf_counter() < end:
        pass
    return seconds


def work(seconds: float) -> float:
    """Needs this much of a processor's time, however long it takes to get it."""
    from time import thread_time

    end = thread_time() + seconds
    while thread_time() < end:
        pass
    return seconds


def touch(data: "object") -> int:
    """Reads a byte of each page of an array or of bytes, as a job that uses it would."""
    return len(memoryview(data).cast("B")[::4096].tobytes())  # type: ignore[arg-type]


def echo(data: "object") -> "object":
    """Reads as `touch` does, and sends everything back."""
    len(memoryview(data).cast("B")[::4096].tobytes())  # type: ignore[arg-type]
    return data


def pick(array: "object", index: int) -> float:
    """Uses one element of an array."""
    return float(array[index])  # type: ignore[index]


def rows(frame: "object") -> int:
    """Uses a data frame: the number of its rows."""
    return len(frame)  # type: ignore[arg-type]


def same(value: "object") -> "object":
    """Sends everything back, as it is."""
    return value


def where() -> int:
    """The worker's process. Takes a moment, so that the other workers get one, too."""
    from os import getpid
    from time import sleep

    sleep(0.02)
    return getpid()


def hold(directory: str) -> None:
    """Keeps a worker busy without using its processor, until the gate is opened."""
    from os import getpid
    from pathlib import Path

    Path(directory, f"started-{getpid()}").touch()
    with Path(directory, "gate").open("rb", buffering=0) as gate:
        gate.read(1)
