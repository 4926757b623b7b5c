"""Does the same work twice, in a plain loop and by jobs, and shows the difference."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pp

T = TypeVar("T")

BAR = 40


@dataclass
class Comparison:
    """How long the plain loop and the jobs took, in seconds."""

    plain: float
    parallel: float

    @property
    def speed_up(self) -> float:
        """How many times as fast the jobs were."""
        return self.plain / self.parallel


def compare(
    server: pp.Server, func: Callable[..., T], arguments: Sequence[tuple[Any, ...]]
) -> tuple[list[T], Comparison]:
    """Runs `func` for all arguments both ways, and prints how long that took.

    Returns the results and the times. Ends the program if the results differ.
    """
    show("plain loop", None)
    start = time.perf_counter()
    expected = [func(*args) for args in arguments]
    plain = time.perf_counter() - start
    show("plain loop", plain, 1.0)

    show("pp.Server", None)
    start = time.perf_counter()
    jobs = [server.submit(func, args) for args in arguments]
    results = [job() for job in jobs]
    times = Comparison(plain, time.perf_counter() - start)
    show("pp.Server", times.parallel, times.parallel / plain)

    if results != expected:
        sys.exit("The jobs' results are not those of the plain loop: please report this.")
    print(f"  {times.speed_up:.2f} times as fast, with equal results")
    return results, times


def show(what: str, seconds: float | None, share: float = 0.0) -> None:
    """Shows a line with a bar; without `seconds`, one that the next call replaces."""
    on_terminal = sys.stdout.isatty()
    if seconds is None:
        if on_terminal:
            print(f"  {what:<12} running ...", end="\r", flush=True)
        return
    block = "█" if (sys.stdout.encoding or "").lower().startswith("utf") else "#"
    bar = block * max(1, min(BAR, round(BAR * share)))
    print(f"  {what:<12} {bar:<{BAR}} {seconds:6.2f} s", flush=True)


def title(number: int, text: str) -> None:
    """Shows the heading of a piece of work."""
    heading = f"{number}. {text}"
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    print(f"\n{bold}{heading}{plain}\n")
