"""The one thread in which a process computes with all of its cores.

PyTorch's OpenMP (libgomp) gives every thread that computes a team of its own. Once all teams together have more
members than there are cores, they no longer wait awake between two steps but fall asleep, and a pass of hundreds of
small steps takes twice as long: a sentence 10 ms instead of 5, a picture 55 instead of 37, on two cores. So what uses
all cores runs in this thread, the loading of models included; what runs beside it uses one core.

Importing this module, before PyTorch, also sets how long a team waits awake after a pass: a fifth of a millisecond
instead of three, which other processes and threads could use.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # libgomp reads it when it is loaded

Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")


class _Thread:
    """A thread that starts when it is first needed."""

    def __init__(self) -> None:
        self._inside = threading.local()
        self.executor: Executor = ThreadPoolExecutor(1, thread_name_prefix="all-cores", initializer=self._enter)

    def _enter(self) -> None:
        self._inside.here = True

    @property
    def is_this(self) -> bool:
        """Whether the caller is this thread."""
        return bool(getattr(self._inside, "here", False))


_THREAD = _Thread()


def with_all_cores(
    function: Callable[Parameters, Result], *arguments: Parameters.args, **named: Parameters.kwargs
) -> Result:
    """Call a function in the thread for all cores and wait for what it returns or raises.

    It must not wait for anything that needs this thread in its turn.
    """
    if _THREAD.is_this:
        return function(*arguments, **named)
    return _THREAD.executor.submit(function, *arguments, **named).result()


def executor() -> Executor:
    """The thread as an executor, for event loops; it is never shut down."""
    return _THREAD.executor
