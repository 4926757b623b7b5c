"""The benchmark suite: this project beside everything that one would use instead.

    python -m benches.suite --help

A *measure* is one short function in `measures/`; a *contestant* is a small adapter to
one library in `contestants/`. Each pair runs in a fresh process in each round, and the
rounds are interleaved, so that a slow minute of the machine hits all contestants.
"""
