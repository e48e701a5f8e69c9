"""What a benchmark ran on, printed above its figures."""

from __future__ import annotations

from matloop.workflows.benchmarks.machine import describe_machine


def describe(*packages: str) -> str:
    """One line: processor, cores, Python and the versions that matter."""
    found = describe_machine(("matloop", *packages))
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return f"{found['processor']}, {found['cores']} cores, Python {found['python']}, {versions}"
