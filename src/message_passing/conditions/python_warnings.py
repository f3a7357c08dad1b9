"""Python's warnings about what a user wrote: taken for errors, or ignored, whatever `-W` says of other warnings."""

from __future__ import annotations

import threading
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

_one_at_a_time = threading.RLock()  # the filters of warnings are those of all threads


@contextmanager
def python_warnings(action: Literal["error", "ignore"]) -> Iterator[None]:
    r"""Within the block, warnings are raised, or ignored: `"\d"` and `1 is None` warn on standard error otherwise.

    Args:
        action: see `warnings.simplefilter`.
    """
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter(action)
        yield
