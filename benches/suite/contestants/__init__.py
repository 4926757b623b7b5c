"""Who is compared."""

from __future__ import annotations

from importlib import import_module

from benches.suite.contestants.base import Contestant

# Where each is found: a process imports only the one that it measures.
_PLACES = {
    "pp": "ours:Ours",
    "pool": "pool:Pool",
    "futures": "futures:Futures",
    "loky": "futures:Loky",
    "joblib": "joblib:Joblib",
    "mpire": "mpire:Mpire",
    "classic": "classic:Classic",
    "ppft": "classic:Ppft",
    "ray": "ray:Ray",
    "dask": "dask:Dask",
    "machine": "machine:Machine",
}

OURS = "pp"
MACHINE = "machine"
ALL = tuple(key for key in _PLACES if key != MACHINE)
QUICK = ("pp", "pool", "futures")


def load(key: str) -> type[Contestant]:
    """The contestant of this name."""
    module, name = _PLACES[key].split(":")
    kind: type[Contestant] = getattr(import_module(f"{__name__}.{module}"), name)
    return kind
