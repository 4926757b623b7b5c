"""What machines have beside processors, and what jobs ask for."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from pp import _core
from pp._arguments import memory_bytes

__all__ = ["Demand", "amount_text", "demand", "gpus", "supply"]

CPU = "cpu"
GPU = "gpu"
MEMORY = "memory"

# Amounts of other things than memory travel in these parts of one: halves of a GPU can be asked
# for.
_UNIT = 1000

# Where the driver of NVIDIA's GPUs lists them on Linux.
_NVIDIA = Path("/proc/driver/nvidia/gpus")

_MOST = 2**31 - 1


class Demand(NamedTuple):
    """What a job asks for.

    Attributes:
        slots: how many processors.
        amounts: pairs of the name of a resource, and how much of it: bytes of memory, and
            thousandths of all else.
    """

    slots: int
    amounts: list[tuple[str, int]]


def demand(resources: object) -> Demand | None:
    """`resources=` of a job; None if it asks for one processor and nothing else.

    Raises:
        TypeError, ValueError: something is no amount of a resource.
    """
    if resources is None:
        return None
    checked = _checked(resources)
    slots = checked.pop(CPU, None)
    cpus = 1 if slots is None else _cpus(slots)
    amounts = [(name, _amount(name, amount)) for name, amount in sorted(checked.items())]
    amounts = [(name, amount) for name, amount in amounts if amount]
    return Demand(cpus, amounts) if amounts or cpus > 1 else None


def supply(resources: object) -> list[tuple[str, int]]:
    """What a machine has: what can be detected, and what is said, which counts more.

    Raises:
        TypeError, ValueError: something is no amount of a resource.
    """
    said = {} if resources is None else _checked(resources)
    if CPU in said:
        raise ValueError(
            "cpu cannot be said of a machine: it has as many as it has workers (ncpus=, or -w)"
        )
    amounts = detected() | {name: _amount(name, amount) for name, amount in said.items()}
    return sorted(amounts.items())


def detected() -> dict[str, int]:
    """What this machine has, as far as that can be found out: memory, and GPUs."""
    return {MEMORY: _core.usable_memory(), GPU: len(gpus()) * _UNIT}


def gpus(supply: Iterable[tuple[str, int]] = ()) -> list[str]:
    """The GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them.

    Args:
        supply: what this machine has, as `supply` gives it. Where nothing else tells of GPUs, as
            many as it says are numbered.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = [name.strip() for name in visible.split(",")]
        # As CUDA has it, what follows an invalid one does not count.
        return names[: names.index("-1")] if "-1" in names else [name for name in names if name]
    try:
        found = len(list(_NVIDIA.iterdir()))
    except OSError:
        found = 0
    # Some systems, such as the one of Linux in Windows, do not list those that they have.
    count = found or math.ceil(dict(supply).get(GPU, 0) / _UNIT)
    return [str(number) for number in range(count)]


def amount_text(name: str | None, amount: int) -> str:
    """An amount for people; `name` is None for processors."""
    if name is None:
        return str(amount)
    if name == MEMORY:
        return f"{amount / 2**30:.3g} GiB"
    return f"{amount / _UNIT:g}"


def _checked(resources: object) -> dict[str, object]:
    if not isinstance(resources, Mapping):
        raise TypeError(
            f'resources must be a dictionary such as {{"cpu": 2, "gpu": 1}}, not {resources!r:.100}'
        )
    for name in resources:
        if not isinstance(name, str) or not name:
            raise TypeError(f"resources must have names as keys, not {name!r:.100}")
    return dict(resources)


def _cpus(cpus: object) -> int:
    if isinstance(cpus, bool) or not isinstance(cpus, (int, float)):
        raise TypeError(f'resources["cpu"] must be a number, not {cpus!r:.100}')
    if not 0 <= cpus <= _MOST:
        raise ValueError(f'resources["cpu"] must be at least 0, not {cpus}')
    return max(1, math.ceil(cpus))


def _amount(name: str, amount: object) -> int:
    if name == MEMORY:
        return memory_bytes('resources["memory"]', amount) or 0
    if isinstance(amount, bool) or not isinstance(amount, (int, float)):
        raise TypeError(f"resources[{name!r}] must be a number, not {amount!r:.100}")
    if not 0 <= amount <= _MOST:
        raise ValueError(f"resources[{name!r}] must be at least 0, not {amount}")
    return math.ceil(amount * _UNIT)
