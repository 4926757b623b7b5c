"""Checks of the arguments of public functions: messages say what was meant."""

from __future__ import annotations

import os
import pickle
from typing import Any

from pp import _core, _processes

# The files of an authority, of a certificate and of its key.
Certificates = tuple[str | os.PathLike[str], str | os.PathLike[str], str | os.PathLike[str]]

# A bound on what "ncpus" may be, far above any machine; catches mistakes.
_MOST_WORKERS = 100_000
_MOST_COUNT = 2**32 - 1


def worker_count(ncpus: object) -> int:
    """`ncpus=` as a number."""
    if ncpus == "autodetect":
        return _processes.default_workers()
    if not isinstance(ncpus, int):
        raise TypeError(f'ncpus must be an int or "autodetect", not {ncpus!r:.100}')
    if not 0 <= ncpus <= _MOST_WORKERS:
        raise ValueError(f"ncpus must be between 0 and {_MOST_WORKERS}, not {ncpus}")
    return int(ncpus)


def as_tuple(name: str, value: object) -> tuple[Any, ...]:
    """A tuple or a list as a tuple."""
    if isinstance(value, (tuple, list)):
        return tuple(value)
    raise TypeError(
        f"{name} must be a tuple or a list, not {type(value).__name__!r}; "
        f"for a single one write {name}=(value,)"
    )


def node_names(ppservers: object) -> tuple[str, ...]:
    """`ppservers=` as names that can be names of nodes.

    The classic takes pairs of name and port, too.
    """
    names: list[str] = []
    for node in as_tuple("ppservers", ppservers):
        is_pair = isinstance(node, tuple) and len(node) == 2
        name = f"{node[0]}:{node[1]}" if is_pair else node
        if not isinstance(name, str):
            raise TypeError(f"ppservers must hold strings, not {node!r:.100}")
        _core.expand_node(name)
        names.append(name)
    return tuple(names)


def check_secret(secret: object) -> None:
    """Whether `secret=` is one."""
    if secret is not None and not isinstance(secret, str):
        raise TypeError(f"secret must be a string or None, not {type(secret).__name__!r}")


def check_trust(
    nodes: tuple[str, ...], secret: object, secret_file: object, certificates: object
) -> None:
    """Whether it is clear by what nodes are to believe this server.

    With certificates, a secret serves for nothing but finding nodes.
    """
    if secret is not None and secret_file is not None:
        raise ValueError("secret and secret_file both say what the secret is: give one of them")
    given = "secret" if secret is not None else "secret_file" if secret_file is not None else None
    if given is None or certificates is None:
        return
    if not any("*" in node for node in nodes):
        raise ValueError(
            f"{given} and certificates both say what nodes believe: give one of them. (A secret "
            'beside certificates is used to find nodes, as by ppservers=("*",), and for nothing '
            "else)"
        )


def certificate_paths(certificates: Any) -> tuple[str, str, str]:
    """`certificates=` as plain paths."""
    if not isinstance(certificates, (tuple, list)) or len(certificates) != 3:
        raise TypeError(
            "certificates must be three files: the authority's certificate, the own "
            f"certificate, its private key; not {certificates!r:.100}"
        )
    authority, certificate, key = (os.fsdecode(path) for path in certificates)
    return authority, certificate, key


def check_callable(name: str, value: object) -> None:
    """Whether something that is to be called can be."""
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be callable or None, not {type(value).__name__!r}")


def check_choices(proto: object, errors: object) -> None:
    """Whether `proto=` and `errors=` can be had."""
    highest = pickle.HIGHEST_PROTOCOL
    if not isinstance(proto, int):
        raise TypeError(f"proto must be an int, not {type(proto).__name__!r}")
    if not 0 <= proto <= highest:
        raise ValueError(f"proto must be between 0 and {highest}, not {proto}")
    check_choice("errors", errors, ("raise", "print"))


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Whether a value is one of those that it may be."""
    if value not in choices:
        allowed = " or ".join(f'"{choice}"' for choice in choices)
        raise ValueError(f"{name} must be {allowed}, not {value!r:.100}")


def check_counts(**values: object) -> None:
    """Whether numbers of things are some, by the names of the arguments."""
    for name, value in values.items():
        _check_count(name, value)


def _check_count(name: str, value: object) -> None:
    if not isinstance(value, int):
        raise TypeError(f"{name} must be an int, not {value!r:.100}")
    if not 1 <= value <= _MOST_COUNT:
        raise ValueError(f"{name} must be at least 1 and at most {_MOST_COUNT}, not {value}")


def check_limit(limit: object) -> None:
    """Whether a limit on a number of things is one."""
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"limit must be an int or None, not {limit!r:.100}")
    if not 0 <= limit <= _MOST_COUNT:
        raise ValueError(f"limit must be at least 0 and at most {_MOST_COUNT}, not {limit}")


def weight_units(weight: object) -> int:
    """`weight=` in thousandths."""
    if isinstance(weight, bool) or not isinstance(weight, (int, float)):
        raise TypeError(f"weight must be a number, not {weight!r:.100}")
    if not 0.001 <= weight <= 1_000_000:
        raise ValueError(f"weight must be between 0.001 and 1000000, not {weight}")
    return round(weight * 1000)


_UNITS = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}


def memory_bytes(name: str, memory: object) -> int | None:
    """An amount of memory in bytes: a number of them, or a text such as "2GiB"."""
    if memory is None:
        return None
    if isinstance(memory, bool) or not isinstance(memory, (int, str)):
        raise TypeError(
            f'{name} must be a number of bytes, a text such as "2GiB", or None, not {memory!r:.100}'
        )
    amount = memory if isinstance(memory, int) else _parse_memory(name, memory)
    if not 1 <= amount < 2**63:
        raise ValueError(f"{name} must be at least 1 byte, not {memory}")
    return amount


def _parse_memory(name: str, text: str) -> int:
    number = text.strip().rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
    unit = text.strip()[len(number) :].upper()
    try:
        return int(float(number) * _UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        raise ValueError(
            f'{name} must be a number of bytes or a text such as "2GiB", not {text!r:.100}'
        ) from None


def check_grace(name: str, seconds: object) -> None:
    """Whether a time that may be nothing is one."""
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {type(seconds).__name__!r}")
    if not 0 <= seconds <= 86_400:
        raise ValueError(f"{name} must be between 0 and 86400 seconds, not {seconds}")


def check_timeout(name: str, seconds: object) -> None:
    """Whether a time limit is one."""
    if not isinstance(seconds, (int, float)):
        raise TypeError(f"{name} must be a number of seconds, not {type(seconds).__name__!r}")
    if not 0.1 <= seconds <= 86_400:
        raise ValueError(f"{name} must be between 0.1 and 86400 seconds, not {seconds}")


def check_memory(shared_memory: object) -> None:
    """Whether `shared_memory=` is a number of bytes."""
    if shared_memory is None:
        return
    if not isinstance(shared_memory, int):
        raise TypeError(
            f"shared_memory must be a number of bytes or None, not {shared_memory!r:.100}"
        )
    if not 0 <= shared_memory < 2**63:
        raise ValueError(f"shared_memory must be at least 0 bytes, not {shared_memory}")
