"""``matloop doctor``: check whether this machine can run a campaign, and say what to do if it cannot."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.text import Text

from matloop.workflows.inspecting.check import FAIL, OK, WARN, Check
from matloop.workflows.inspecting.fact_checks import check_facts
from matloop.workflows.inspecting.installation_checks import (
    check_data,
    check_libraries,
    check_native_code,
    check_python,
    check_torch,
)  # fmt: skip
from matloop.workflows.inspecting.machine_checks import (
    check_compiled_code,
    check_folder,
    check_loopback,
    check_machine,
    check_slurm,
    check_text,
    check_threads,
    check_worker,
)  # fmt: skip
from matloop.workflows.inspecting.plug_ins import check_plug_ins

_COLOURS = {OK: "green", WARN: "yellow", FAIL: "bold red"}


def doctor(folder: str | Path) -> Iterator[Check]:
    """Check everything that a run needs, one thing after the other; this takes some ten seconds.

    Args:
        folder: Where runs are to be written; it or a folder above it must exist.
    """
    looks: list[Callable[[], Iterator[Check]]] = [
        check_python, check_libraries, check_native_code, check_torch, check_data, check_facts, check_plug_ins,
        check_threads, check_machine,
        lambda: check_folder("run folder", Path(folder)),
        lambda: check_folder("temporary folder", Path(tempfile.gettempdir())),
        check_compiled_code, check_loopback, check_worker, check_slurm, check_text,
    ]  # fmt: skip
    for look in looks:
        yield from look()


def print_doctor(folder: Path, *, as_json: bool = False) -> bool:
    """Print every check as soon as it is done, or all as JSON: ``{"ok": ..., "checks": [...]}``.

    Returns:
        Whether a run will work: nothing failed.
    """
    checks = []
    console = Console()
    for check in doctor(folder):
        checks.append(check)
        if not as_json:
            console.print(
                Text.assemble((f"{check.state:<5}", _COLOURS[check.state]), f"{check.name}: {check.found}"),
                soft_wrap=True,
            )
            if check.advice:
                console.print(Text(f"     -> {check.advice}"), soft_wrap=True)
    healthy = not any(check.state == FAIL for check in checks)
    if as_json:
        print(json.dumps({"ok": healthy, "checks": [asdict(check) for check in checks]}, indent=1, ensure_ascii=False))
    return healthy
