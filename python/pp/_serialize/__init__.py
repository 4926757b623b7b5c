"""Functions, values and failures as bytes, and back.

The client's side is `functions` and `values`, the worker's is `load`, `values` and
`failures`. See docs/design/serialization.md for the rules and their reasons.
"""
