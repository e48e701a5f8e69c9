"""Modules and functions that fit a reader: at most 400 lines a module, 70 a function."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("data", "featurizers", "models", "screening", "workflows")
MODULE_LINES = 400
FUNCTION_LINES = 70


def too_long(source: str) -> list[str]:
    found = []
    if (lines := len(source.splitlines())) > MODULE_LINES:
        found.append(f"{lines} lines; split it (at most {MODULE_LINES})")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                found.append(f"line {node.lineno}: {node.name} has {length} lines (at most {FUNCTION_LINES})")
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_modules_and_functions_are_short(folder: str) -> None:
    paths = sorted((ROOT / folder).rglob("*.py"))
    found = [f"{path.relative_to(ROOT)}: {text}" for path in paths for text in too_long(path.read_text("utf-8"))]
    assert not found, "\n".join(found)


def test_long_code_is_seen() -> None:
    assert too_long("x = 1\n" * (MODULE_LINES + 1))
    assert too_long("def f():\n" + "    x = 1\n" * FUNCTION_LINES)
    longest_function = "def f():\n" + "    x = 1\n" * (FUNCTION_LINES - 1)
    assert not too_long(longest_function + "x = 1\n" * (MODULE_LINES - FUNCTION_LINES))
