"""Functions fit a screen: at most 70 lines each. How long a module is hangs on the one idea it holds."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("data", "featurizers", "models", "screening", "workflows")
FUNCTION_LINES = 70


def long_functions(source: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                found.append(f"line {node.lineno}: {node.name} has {length} lines (at most {FUNCTION_LINES})")
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_functions_fit_a_screen(folder: str) -> None:
    paths = sorted((ROOT / folder).rglob("*.py"))
    found = [f"{path.relative_to(ROOT)}: {text}" for path in paths for text in long_functions(path.read_text("utf-8"))]
    assert not found, "\n".join(found)


def test_long_function_is_seen() -> None:
    assert long_functions("def f():\n" + "    x = 1\n" * FUNCTION_LINES)
    assert not long_functions("def f():\n" + "    x = 1\n" * (FUNCTION_LINES - 1) + "x = 1\n" * 500)
