"""The second piece of work: what Python's standard library is written in."""

import keyword
import re
import sysconfig
import tokenize
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

# A comment, a string or a word. What looks like a word or a comment within a string is
# part of that string, and none.
TOKEN = re.compile(
    r"""
    (?P<comment> \#[^\n]* )
  | (?P<string> [bfru]{0,2} (?: \"{3} (?:[^\\]|\\.)*? \"{3} | '{3} (?:[^\\]|\\.)*? '{3}
                            | \" (?:[^\"\\\n]|\\.)* \" | ' (?:[^'\\\n]|\\.)* ' ) )
  | (?P<word> \b [^\W\d]\w* )
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)


@dataclass
class Survey:
    """What was counted in some source files.

    Attributes:
        files: how many could be read.
        skipped: how many could not; the library's tests have some of them on purpose.
        lines: lines of all kinds.
        comments: comments, on a line of their own or not.
        strings: strings, docstrings among them.
        names: each identifier and how often it is used.
        keywords: each keyword and how often it is used.
    """

    files: int = 0
    skipped: int = 0
    lines: int = 0
    comments: int = 0
    strings: int = 0
    names: Counter[str] = field(default_factory=Counter)
    keywords: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Survey") -> None:
        """Adds what was counted elsewhere."""
        self.files += other.files
        self.skipped += other.skipped
        self.lines += other.lines
        self.comments += other.comments
        self.strings += other.strings
        self.names.update(other.names)
        self.keywords.update(other.keywords)


def survey(paths: list[str]) -> Survey:
    """Reads some files, takes them apart and counts the parts."""
    result = Survey()
    for path in paths:
        try:
            with tokenize.open(path) as file:
                text = file.read()
        except (SyntaxError, UnicodeError):
            result.skipped += 1
            continue
        result.files += 1
        result.lines += text.count("\n")
        for comment, string, word in TOKEN.findall(text):
            if word:
                result.names[word] += 1
            elif comment:
                result.comments += 1
            elif string:
                result.strings += 1
    for word in keyword.kwlist:
        if word in result.names:
            result.keywords[word] = result.names.pop(word)
    return result


def library_files() -> list[Path]:
    """All source files of this machine's standard library, in order of their names."""
    library = Path(sysconfig.get_path("stdlib"))
    installed = {"site-packages", "dist-packages"}
    return sorted(path for path in library.rglob("*.py") if installed.isdisjoint(path.parts))


def in_batches(files: list[Path], batch_size: int) -> list[list[str]]:
    """The files in batches of about `batch_size` bytes.

    Reads each file once, so that the first to work on them is not the slower for it.
    """
    batches: list[list[str]] = []
    room = 0
    for path in files:
        if room <= 0:
            batches.append([])
            room = batch_size
        batches[-1].append(str(path))
        room -= len(path.read_bytes())
    return batches
