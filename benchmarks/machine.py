"""What a benchmark ran on, printed above its figures."""

from __future__ import annotations

import importlib.metadata
import os
import platform


def describe(*packages: str) -> str:
    """One line: processor, cores, Python and the versions that matter."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("matloop", *packages))
    return f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
