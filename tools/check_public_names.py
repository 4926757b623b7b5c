"""Checks that every public name of `pp` is exported on purpose and documented.

    python tools/check_public_names.py

A public name is one of `pp.__all__`, or a public method or attribute of a class
there. Each needs a docstring (except constants) and a heading in docs/api.md such as

    ### `Server.submit`

with every parameter named in `backticks` in the text below. The other way round, a
heading for a name that does not exist is an error, and so is a name without an
underscore in `pp` that is not in `__all__`. Prints what is wrong.
"""

import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from pathlib import Path

import pp

API = Path(__file__).resolve().parent.parent / "docs" / "api.md"
HEADING = re.compile(r"^#{2,4} `(?:pp\.)?([A-Za-z_][\w.]*)`\s*$", re.MULTILINE)
ANY_HEADING = re.compile(r"^#{2,4} ", re.MULTILINE)


@dataclass(frozen=True)
class PublicName:
    """A name that people may use, and what it stands for."""

    name: str
    value: object
    owner: type | None = None

    @property
    def needs_docstring(self) -> bool:
        """Whether it can have a docstring of its own."""
        # A field of a dataclass, or another constant, is described by its class.
        return inspect.isclass(self.value) or inspect.isroutine(self.value) or self.is_property

    @property
    def is_property(self) -> bool:
        """Whether it is an attribute that is computed."""
        return isinstance(self.value, property) or inspect.isgetsetdescriptor(self.value)

    @property
    def docstring(self) -> str | None:
        """Its own docstring: an inherited one does not count."""
        return getattr(self.value, "__doc__", None)

    def parameters(self) -> list[str]:
        """The parameters that a caller can give, without `self`.

        For errors, which pp makes itself, those that become attributes. The
        fields of dataclasses are names of their own.
        """
        if self.is_property or not callable(self.value) or is_dataclass(self.value):
            return []
        if is_error(self.value) and "__init__" not in vars(self.value):
            return []
        try:
            signature = inspect.signature(self.value)
        except ValueError:
            # A class of the extension that cannot be made by calling it.
            return []
        names = list(signature.parameters)
        if is_error(self.value):
            return [name for name in names if name != "args"]
        bound = self.owner is not None and names[:1] in (["self"], ["cls"])
        return names[1:] if bound else names


def is_error(value: object) -> bool:
    """Whether it is an exception class: those are made by pp, not by its users."""
    return inspect.isclass(value) and issubclass(value, BaseException)


def members(name: str, cls: type) -> Iterator[PublicName]:
    """The public names that `cls` has of its own or from private bases in pp."""
    seen: set[str] = set()
    for base in cls.__mro__:
        ours = base.__module__.partition(".")[0] == "pp"
        described_elsewhere = base is not cls and base.__name__ in pp.__all__
        if not ours or described_elsewhere:
            continue
        for member in [*vars(base), *inspect.get_annotations(base)]:
            if not member.startswith("_") and member not in seen:
                seen.add(member)
                yield PublicName(f"{name}.{member}", vars(base).get(member), cls)


def public_names() -> Iterator[PublicName]:
    """All names that people may use."""
    for name in pp.__all__:
        value = getattr(pp, name)
        yield PublicName(name, value)
        if inspect.isclass(value):
            yield from members(name, value)


def sections(text: str) -> dict[str, str]:
    """The text below each heading for a name, up to the next heading of any kind."""
    found = {}
    for heading in HEADING.finditer(text):
        following = ANY_HEADING.search(text, heading.end())
        found[heading.group(1)] = text[heading.end() : following.start() if following else None]
    return found


def unexported() -> Iterator[str]:
    """Complaints about names in `pp` that look public and are not in `__all__`."""
    for name in vars(pp):
        if not name.startswith("_") and name not in pp.__all__:
            yield f"pp.{name} looks public and is not in pp.__all__"
    # Constants first, as ruff wants it.
    if pp.__all__ != sorted(pp.__all__, key=lambda name: (not name.isupper(), name)):
        yield "pp.__all__ is not sorted"


def undocumented(name: PublicName, documented: dict[str, str]) -> Iterator[str]:
    """Complaints about one public name."""
    if name.needs_docstring and not (name.docstring or "").strip():
        yield f"pp.{name.name} has no docstring"
    if name.name not in documented:
        yield f"pp.{name.name} has no heading in {API.name}"
        return
    for parameter in name.parameters():
        if not re.search(rf"`\*{{0,2}}{parameter}\b", documented[name.name]):
            yield f"{API.name} does not describe the parameter {parameter} of pp.{name.name}"


def main() -> int:
    """Checks. Returns the exit code for the shell."""
    documented = sections(API.read_text(encoding="utf-8"))
    names = list(public_names())
    complaints = list(unexported())
    for name in names:
        complaints += undocumented(name, documented)
    for stale in documented.keys() - {name.name for name in names}:
        complaints.append(f"{API.name} has a heading for {stale}, which does not exist")
    print(*complaints, sep="\n", end="\n" if complaints else "")
    if not complaints:
        print(f"{len(names)} public names: all exported on purpose and documented")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
