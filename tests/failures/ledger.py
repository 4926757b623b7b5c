"""A book that any number of processes write to, also while they die.

Jobs import this module, so it imports nothing that takes time.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

# Nothing in these tests waits longer for something that is to come.
PATIENCE = 30.0


class Ledger:
    """Lines in a file, each added with one write that nothing can tear."""

    def __init__(self, path: str) -> None:
        self.path = path

    def note(self, word: str) -> int:
        """Adds `word` and says how often it stands there now."""
        book = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(book, f"{word}\n".encode())
        finally:
            os.close(book)
        return self.count(word)

    def words(self) -> list[str]:
        """All words in the order of their coming."""
        try:
            return Path(self.path).read_text().splitlines()
        except FileNotFoundError:
            return []

    def count(self, word: str) -> int:
        """How often `word` was noted."""
        return self.words().count(word)

    def after(self, prefix: str) -> list[str]:
        """What follows `prefix` in the words that begin with it."""
        return [word.removeprefix(prefix) for word in self.words() if word.startswith(prefix)]

    def await_words(self, word: str, times: int = 1, patience: float = PATIENCE) -> None:
        """Returns once `word` stands there `times` times; raises TimeoutError if it never does."""
        until = time.monotonic() + patience
        while self.count(word) < times:
            if time.monotonic() > until:
                raise TimeoutError(f"{word!r} came {self.count(word)} times, not {times}")
            time.sleep(0.005)

    def await_one(self, prefix: str, patience: float = PATIENCE) -> str:
        """What follows `prefix` in the first word that begins with it, once there is one."""
        until = time.monotonic() + patience
        while not (found := self.after(prefix)):
            if time.monotonic() > until:
                raise TimeoutError(f"nothing that begins with {prefix!r} came")
            time.sleep(0.005)
        return found[0]
