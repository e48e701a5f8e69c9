"""Parse text from outside that may be nested until the interpreter's limit of recursion is met."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def parsing_deeply() -> Iterator[None]:
    """Hold the collection of garbage while a parser runs that recurses as deeply as its text is nested.

    A collection at the bottom of the recursion runs the callbacks of weak references of whatever is garbage then, of
    Dask's for example. They meet the limit of recursion too, and what they were to tidy up stays. Without a collection
    the parser alone meets it, and its ``RecursionError`` is caught where the text is refused.

    >>> import json
    >>> with parsing_deeply():
    ...     json.loads("[[1]]")
    [[1]]
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
