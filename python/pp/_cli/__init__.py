"""`pp`, the command."""

from __future__ import annotations
