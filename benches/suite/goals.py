"""What this project has to reach, and whether it did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benches.suite import contestants, measures, wording
from benches.suite.measures import growth
from benches.suite.results import Results


@dataclass(frozen=True)
class Reading:
    """Reads a figure from results.

    Attributes:
        measure: the measure that it belongs to.
        read: gives it; None if it was not measured.
    """

    measure: str
    read: Callable[[Results], float | None]


@dataclass(frozen=True)
class Goal:
    """One of the goals.

    Attributes:
        what: what is measured.
        bound: the least that will do, or the most.
        unit: of the bound and of what was reached.
        reached: what was reached.
        least: whether the bound is the least or the most: "at least", "at most".
    """

    what: str
    least: str
    bound: float
    unit: str
    reached: Reading

    def row(self, results: Results) -> list[str]:
        """What, the bound, what was reached, and whether that will do."""
        value = self.reached.read(results)
        needed = f"{self.least} {wording.round_number(self.bound)} {self.unit}".rstrip()
        if value is None:
            return [self.what, needed, "", "not measured"]
        enough = value >= self.bound if self.least == "at least" else value <= self.bound
        shown = f"{wording.number(value)} {self.unit}".rstrip()
        return [self.what, needed, shown, "reached" if enough else "**not reached**"]


def rows(results: Results) -> list[list[str]]:
    """The table of the goals of what was measured, with its heading."""
    meant = [goal for goal in GOALS if goal.reached.measure in results.outcomes]
    return [["goal", "needed", "measured", ""], *(goal.row(results) for goal in meant)]


def _own(measure: str, figure: str) -> Reading:
    own = measures.ALL[measure].own
    return Reading(measure, lambda results: results.median(measure, own, figure))


def _over(own: Reading, other: Reading) -> Reading:
    """The ratio of two readings."""

    def read(results: Results) -> float | None:
        above, below = own.read(results), other.read(results)
        return above / below if above is not None and below else None

    return Reading(own.measure, read)


def _of(contestant: str, measure: str, figure: str) -> Reading:
    return Reading(measure, lambda results: results.median(measure, contestant, figure))


def _limit(figure: str) -> Reading:
    return _of(contestants.MACHINE, measures.LIMITS, figure)


def _growth(results: Results) -> float | None:
    """By how many percent the dearest job exceeds that of the shortest queue."""
    costs = [results.median("growth", contestants.OURS, str(count)) for count in growth.COUNTS]
    known = [cost for cost in costs if cost is not None]
    if costs[0] is None or len(known) < len(costs):
        return None
    return (max(known) / costs[0] - 1) * 100


_SINGLE = _own("rate", "single")
_P50 = _own("round_trip", "p50")

GOALS = (
    Goal("no-op jobs/s, one by one", "at least", 1_000_000, "jobs/s", _SINGLE),
    Goal(
        "… to `Pool.apply_async`",
        "at least",
        40,
        "x",
        _over(_SINGLE, _of("pool", "rate", "single")),
    ),
    Goal(
        "… to `ProcessPoolExecutor.submit`",
        "at least",
        100,
        "x",
        _over(_SINGLE, _of("futures", "rate", "single")),
    ),
    Goal(
        "… by four threads, to one", "at least", 2 / 3, "x", _over(_own("rate", "threads"), _SINGLE)
    ),
    Goal("… while another thread computes", "at least", 300_000, "jobs/s", _own("rate", "busy")),
    Goal(
        "`map`, to `Pool.map`",
        "at least",
        2,
        "x",
        _over(_own("map", "items"), _of("pool", "map", "items")),
    ),
    Goal("round trip, p50", "at most", 10, "µs", _P50),
    Goal("round trip, p99", "at most", 60, "µs", _own("round_trip", "p99")),
    Goal(
        "round trip, `ProcessPoolExecutor`'s p50 to ours",
        "at least",
        25,
        "x",
        _over(_of("futures", "round_trip", "p50"), _P50),
    ),
    Goal("processor time while idle", "at most", 1, "ms/s", _own("idle", "idle")),
    Goal("efficiency, 0.1 ms jobs", "at least", 0.93, "", _own("efficiency", "spin 0.1")),
    Goal("efficiency, 1 ms jobs", "at least", 0.99, "", _own("efficiency", "spin 1")),
    Goal("efficiency, 10 ms jobs", "at least", 0.995, "", _own("efficiency", "spin 10")),
    Goal(
        "heavy tail, submitted: above the best makespan", "at most", 3, "%", _own("tail", "submit")
    ),
    Goal("heavy tail, by `map`: above the best makespan", "at most", 3, "%", _own("tail", "map")),
    *(
        Goal(
            f"{size} numpy array {way}, to one memcpy",
            "at most",
            bound,
            "x",
            _over(_own(measure, f"numpy {size} {suffix}"), _limit(f"memcpy {size}")),
        )
        for measure, size in (("arrays", "100 MB"), ("gigabyte", "1 GB"))
        for way, suffix, bound in (("in", "in", 2), ("in and out", "out", 3))
    ),
    Goal("extra memory, 1 GB in and out", "at most", 2_000, "MB", _own("memory", "peak 1 GB")),
    Goal(
        "100 MB array for 200 jobs, to sending it once",
        "at most",
        1.2,
        "x",
        _own("shared", "ratio"),
    ),
    Goal("client memory per queued job", "at most", 250, "bytes", _own("memory", "queued")),
    Goal("first result", "at most", 0.1, "s", _own("start", "first")),
    Goal("`import pp`", "at most", 40, "ms", _own("start", "import")),
    Goal(
        "growth of a job's cost, 1e3 to 1e6 queued", "at most", 15, "%", Reading("growth", _growth)
    ),
    *(
        Goal(f"through one node: {what}", least, bound, unit, _own("cluster", figure))
        for what, least, bound, unit, figure in (
            ("no-op jobs/s, one by one", "at least", 400_000, "jobs/s", "single"),
            ("round trip, p50", "at most", 60, "µs", "p50"),
            ("efficiency, 1 ms jobs", "at least", 0.97, "", "spin 1"),
            ("100 MB numpy array in", "at most", 100, "ms", "numpy 100 MB in"),
            ("100 MB numpy array in and out", "at most", 200, "ms", "numpy 100 MB out"),
            ("first result", "at most", 0.5, "s", "first"),
        )
    ),
)
