"""The machine and versions of a benchmark: figures mean little without them."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Sequence
from typing import Any

_PACKAGES = ("matloop", "numpy", "scikit-learn", "lightgbm")


def describe_machine(packages: Sequence[str] = _PACKAGES) -> dict[str, Any]:
    """Describe processor, cores, system, Python and main libraries, without the name of the machine or its user.

    >>> sorted(describe_machine())
    ['cores', 'processor', 'python', 'system', 'versions']
    """
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def describe(*packages: str) -> str:
    """Return a line to print above the figures of a benchmark: processor, cores, Python and main libraries."""
    found = describe_machine(("matloop", *packages))
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return f"{found['processor']}, {found['cores']} cores, Python {found['python']}, {versions}"
