"""`Executor`: a server as an executor of `concurrent.futures`.

`executor` is its face, `mapping` its `map`, `future` what `submit` returns, and `backlog` the
futures that have not ended.
"""

from pp._executor.executor import Executor

__all__ = ["Executor"]
