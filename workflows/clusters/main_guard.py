"""The guard that a script needs before it starts worker processes: each of them runs the script's top level again."""

from __future__ import annotations

import ast
import multiprocessing
import sys
from pathlib import Path
from types import FrameType

from matloop.data.bounded_files import read_bounded
from matloop.data.errors import MainGuardError, MatloopError

_LARGEST_SCRIPT = 5_000_000  # bytes
_GUARDS = {"__name__", "parent_process", "current_process"}
"""Names by which a script can tell that it is run again."""


def check_main_guard() -> None:
    """Make sure that the script we were called from can be run again by worker processes.

    A script that cannot is ended with one sentence: a traceback would end in the middle of our own code. Notebooks,
    ``python -c`` and packages under ``python -m`` are not run again.

    Raises:
        SystemExit: Telling a :class:`~matloop.data.errors.MainGuardError`, if our caller stands at the
            top level of the script, without a guard.
    """
    main = sys.modules["__main__"]
    path, spec = getattr(main, "__file__", None), getattr(main, "__spec__", None)
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # we are being run again
        raise _without_guard(sys.argv[0])
    frame = _top_level_of(main.__dict__)
    never_again = spec is not None and spec.name.rpartition(".")[2] == "__main__"
    if path is not None and frame is not None and not never_again and not _is_guarded(Path(path), frame.f_lineno):
        raise _without_guard(path)


def _without_guard(path: str) -> SystemExit:
    error = MainGuardError(
        f"{Path(path).name} starts worker processes without a main guard, and each of them would run it again",
        'a call below the line: if __name__ == "__main__":', "write that line above the call and indent the call",
    )  # fmt: skip
    return SystemExit(f"matloop: {error}")


def _top_level_of(names: dict[str, object]) -> FrameType | None:
    """The frame of the main script's top level, if we were called from there."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_globals is names and frame.f_code.co_name == "<module>":
            return frame
        frame = frame.f_back
    return None


def _is_guarded(path: Path, line: int) -> bool:
    """Whether a line of a script stands below a condition by which the script tells that it is not run again."""
    try:
        tree = ast.parse(read_bounded(path, most_bytes=_LARGEST_SCRIPT))
    except (MatloopError, SyntaxError, ValueError, RecursionError):
        return True
    told = [node.targets for node in ast.walk(tree) if isinstance(node, ast.Assign) and _names_in(node.value) & _GUARDS]
    guards = _GUARDS.union(*(_names_in(target) for targets in told for target in targets))
    conditions = [node for node in ast.walk(tree) if isinstance(node, ast.If) and _names_in(node.test) & guards]
    return any(node.lineno <= line <= (node.end_lineno or line) for node in conditions)


def _names_in(tree: ast.AST) -> set[str]:
    nodes = list(ast.walk(tree))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return names | {node.attr for node in nodes if isinstance(node, ast.Attribute)}
