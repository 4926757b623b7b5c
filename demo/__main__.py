"""Real work on real input: in a plain loop, on all cores, and on a cluster.

    python demo [--quick]

With --quick it does less of the same.
"""

import platform
import sys
from collections import Counter

import cluster
import comparison
import pp
import primes
import sources


def sum_the_primes(server: pp.Server, quick: bool) -> comparison.Comparison:
    """The classic's example: sums of primes."""
    limits = range(10_000, 12_000, 100) if quick else range(80_000, 140_000, 2_000)
    comparison.title(1, f"Sums of primes: {len(limits)} jobs")
    sums, times = comparison.compare(server, primes.sum_primes, [(limit,) for limit in limits])
    print()
    shown = [0, 1, 2, len(limits) - 2, len(limits) - 1]
    for index in shown:
        if index == shown[3]:
            print("  ...")
        print(f"  sum of the primes below {limits[index]:>9,}: {sums[index]:>15,}")
    return times


def survey_the_library(server: pp.Server, quick: bool) -> comparison.Comparison:
    """A text job: all source files of Python's standard library."""
    files = sources.library_files()[: 60 if quick else None]
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    batches = sources.in_batches(files, 100_000 if quick else 400_000)
    comparison.title(
        2,
        f"The words of Python's standard library: {len(files):,} source files, "
        f"{megabytes:.1f} MB, {len(batches)} jobs",
    )
    if not files:
        print("  This Python comes without its sources.")
        return comparison.Comparison(0.0, 0.0)
    surveys, times = comparison.compare(server, sources.survey, [(batch,) for batch in batches])
    total = sources.Survey()
    for part in surveys:
        total.add(part)
    print()
    print(
        f"  {total.lines:,} lines with {total.comments:,} comments "
        f"and {total.strings:,} strings in {total.files:,} files"
    )
    if total.skipped:
        print(f"  {total.skipped} files are not text in the encoding they name (test data)")
    print(f"  {total.names.total():,} names, {len(total.names):,} different ones")
    print(f"  used most:     {top(total.names)}")
    print(f"  keywords:      {top(total.keywords)}")
    print(f"  used once:     {list(total.names.values()).count(1):,} names")
    return times


def top(counter: Counter[str]) -> str:
    """The six most frequent, with their counts."""
    return ", ".join(f"{name} {count:,}" for name, count in counter.most_common(6))


def main(arguments: list[str]) -> int:
    """Runs the demo. Returns the exit code for the shell."""
    if arguments not in ([], ["--quick"]):
        print(__doc__, file=sys.stderr)
        return 2
    quick = bool(arguments)
    with pp.Server() as server:
        print(
            f"Parallel Python {pp.version} on Python {platform.python_version()}, "
            f"{platform.system()}, {server.get_ncpus()} workers"
        )
        times = [sum_the_primes(server, quick), survey_the_library(server, quick)]
        comparison.title(3, "What the server did")
        server.print_stats()
    plain = sum(time.plain for time in times)
    parallel = sum(time.parallel for time in times)
    print(
        f"Both together: {plain:.1f} s in a plain loop, {parallel:.1f} s with pp.Server: "
        f"{plain / parallel:.2f} times as fast."
    )
    cluster.run(quick)
    return 0


sys.exit(main(sys.argv[1:]))
