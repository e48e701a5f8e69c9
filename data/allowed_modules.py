"""Modules of other packages that campaigns may call: a file that somebody wrote runs no code by itself.

A campaign may name a function of any installed package, such as the maker of a calculator. It is called only where the
user has allowed its module: on the command line (``--allow``), in Python (``allow=``), or in the variable
``MATLOOP_ALLOW``, which lists modules with commas. A run directory never holds a permission. Workers get it from the
process that hands them work.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from matloop.data.errors import NotAllowedError

VARIABLE = "MATLOOP_ALLOW"
MODULE = r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*"
"""Pattern of the name of a module, with its packages."""

_allowed: ContextVar[tuple[str, ...]] = ContextVar("allowed", default=())


def allowed_modules() -> tuple[str, ...]:
    """Return the names of all modules that campaigns may call now, sorted."""
    written = os.environ.get(VARIABLE, "")
    return tuple(sorted({*_allowed.get(), *filter(None, map(str.strip, written.split(",")))}))


@contextlib.contextmanager
def allowing(modules: Iterable[str]) -> Iterator[None]:
    """Allow modules, beside those that are allowed already.

    Args:
        modules: Names such as ``mace.calculators``; a name also allows the modules below it.

    Raises:
        NotAllowedError: If one is not the name of a module.

    >>> with allowing(["mace.calculators"]):
    ...     is_allowed("mace.calculators.mace"), is_allowed("mace")
    (True, False)
    """
    names = tuple(modules)
    for name in names:
        if not re.fullmatch(MODULE, name):
            raise NotAllowedError(f"--allow {name[:90]!r}", "the name of a module", "such as --allow mace.calculators")
    token = _allowed.set((*_allowed.get(), *names))
    try:
        yield
    finally:
        _allowed.reset(token)


def is_allowed(module: str) -> bool:
    """Whether a module, or a package that holds it, is allowed."""
    return any(module == name or module.startswith(f"{name}.") for name in allowed_modules())


def require_allowed(module: str, what: str) -> None:
    """Make sure that campaigns may call a module.

    Args:
        module: Name of the module.
        what: What calls it, for the message.

    Raises:
        NotAllowedError: If the user has not allowed it.
    """
    if not is_allowed(module):
        raise NotAllowedError(
            f"{what} would run code of the module {module}, which is not allowed",
            f"modules that you allow yourself (now: {', '.join(allowed_modules()) or 'none'})",
            f"if you trust the campaign and the package, add --allow {module} to the command, allow=['{module}'] in "
            f"Python, or {module} to the variable {VARIABLE}",
        )


@dataclass(frozen=True)
class Allowing:
    """A function that may call modules wherever it is called; travels to workers.

    Attributes:
        modules: The modules that are allowed.
        function: The function.
    """

    modules: tuple[str, ...]
    function: Callable[..., Any]

    @property
    def __name__(self) -> str:
        return self.function.__name__

    def __call__(self, *arguments: Any) -> Any:
        """Call the function with the modules allowed, and return its result."""
        with allowing(self.modules):
            return self.function(*arguments)
