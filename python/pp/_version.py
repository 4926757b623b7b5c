"""The version of this package."""

version: str = "2.0.0a1"
