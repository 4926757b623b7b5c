"""A pipeline: jobs that depend on jobs, from the files of the standard library to a table.

    python examples/pipeline.py

Each module of a few packages of the standard library is read and parsed; what was found is
merged for each package, by a tree of jobs; and a report joins the packages. All of it is
submitted at once, and begins when what it needs is there. Reading may fail now and then, as
reading from a network does, so it is tried again.
"""

import ast
import os
import tempfile
import textwrap
import tokenize
from collections import Counter
from pathlib import Path

import pp

PACKAGES = ("asyncio", "email", "json", "logging", "unittest")

LIBRARY = Path(os.__file__).parent


class UnavailableError(OSError):
    """The source of a module cannot be had at the moment."""


def read(path: Path, seen: Path) -> str:
    """The source of a module. Fails the first time that it is asked for some of them."""
    mark = seen / path.relative_to(LIBRARY).as_posix().replace("/", ".")
    if len(path.stem) % 5 == 0 and not mark.exists():
        mark.touch()
        raise UnavailableError(path.name)
    with tokenize.open(path) as file:
        return file.read()


def examine(source: str) -> Counter[str]:
    """How many lines, functions and classes a module has, and what it imports."""
    found = Counter(modules=1, lines=source.count("\n"))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found["functions"] += 1
        elif isinstance(node, ast.ClassDef):
            found["classes"] += 1
        elif isinstance(node, ast.Import):
            found.update("import " + name.name.partition(".")[0] for name in node.names)
    return found


def merge(*parts: Counter[str]) -> Counter[str]:
    """Their sums."""
    return sum(parts, Counter())


def report(packages: dict[str, Counter[str]], titles: dict[str, str]) -> list[str]:
    """The table: one row for each package, with its title and what it imports most."""
    rows = [f"{'package':<10}{'modules':>8}{'lines':>8}{'defs':>7}{'classes':>9}  most used, title"]
    for name, found in sorted(packages.items(), key=lambda item: -item[1]["lines"]):
        imports = Counter({key: found[key] for key in found if key.startswith("import ")})
        most = max(imports, key=lambda key: (imports[key], key)).removeprefix("import ")
        counts = f"{found['modules']:>8}{found['lines']:>8}{found['functions']:>7}"
        rows.append(f"{name:<10}{counts}{found['classes']:>9}  {most}, {titles[name]}")
    return rows


def first_line(source: str) -> str:
    """The first line of the docstring of a module."""
    lines = (ast.get_docstring(ast.parse(source)) or "-").splitlines()
    return textwrap.shorten(lines[0], 32, placeholder=" ...")


def tree(server: pp.Server, jobs: list[pp.Job[Counter[str]]]) -> pp.Job[Counter[str]]:
    """Merges the results of jobs by four, until one is left. Ahead of other jobs: what is
    merged needs no more memory.
    """
    while len(jobs) > 1:
        groups = [tuple(jobs[at : at + 4]) for at in range(0, len(jobs), 4)]
        jobs = [server.submit(merge, group, priority=1) for group in groups]
    return jobs[0]


with tempfile.TemporaryDirectory() as seen, pp.Server() as server:
    sources = {
        path: server.submit(
            read,
            (path, Path(seen)),
            name=str(path.relative_to(LIBRARY)),
            group="reading",
            retries=3,
            retry_on=UnavailableError,
            backoff=0.01,
        )
        for package in PACKAGES
        for path in sorted((LIBRARY / package).glob("*.py"))
    }
    examined = {
        path: server.submit(examine, (source,), timeout=60) for path, source in sources.items()
    }
    packages = {
        package: tree(server, [examined[path] for path in sources if path.parent.name == package])
        for package in PACKAGES
    }
    titles = {
        package: server.submit(first_line, (sources[LIBRARY / package / "__init__.py"],))
        for package in PACKAGES
    }
    table = server.submit(report, (packages, titles), name="report")

    for number, job in enumerate(pp.as_completed(sources.values()), 1):
        if number % 40 == 0 or number == len(sources):
            print(f"{number} of {len(sources)} modules read, at last {job.name}")
    again = sum(job.attempts > 1 for job in sources.values())
    print(f"{again} of them at the second attempt")
    print(*table.result(), sep="\n")
