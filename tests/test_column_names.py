"""Column names are written down once, in data/properties/columns.py; everybody else uses the keys."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from matloop.data.properties.columns import SUFFIXES, Column, probability_of, property_column

ROOT = Path(__file__).parents[1]
FOLDERS = ("data", "featurizers", "models", "screening", "workflows")
# The first defines the names; the scripts of the second write down the schema of the packaged files.
EXEMPT = ("data/properties/columns.py", "data/datasets/")
READ_A_COLUMN = {"column", "numbers", "texts", "field", "get_field_index", "drop_columns", "without_columns", "sort_by"}
WRITE_COLUMNS = {"with_columns", "from_crystals"}
TABLES = re.compile(r"(^|\.)(table|ranked|scored|survivors|chosen)$")
# A longer name with an underscore is hardly ever anything but a column, and may not stand anywhere else. Some are words
# of other files and services too; of these only the use as a column is forbidden.
ALSO_OTHER_WORDS = {
    "candidate_id",  # novelty.json, explanations.json, and the story that `why` tells
    "expected_misses",  # explanations.json and the story
    "frac_coords",  # arrays in the messages of guarded processes
    "in_domain",  # the story
    "material_id",  # a field of the Materials Project, and of explanations.json
    "parent_id",  # the story
    "space_group_number",  # the story
    "substitution_probability",  # explanations.json
}


def told_in_the_guide() -> set[str]:
    """Names that a row of a table in docs/run_directory.md is about."""
    lines = (ROOT / "docs" / "run_directory.md").read_text("utf-8").splitlines()
    return {name for line in lines if line.startswith("| `") for name in re.findall("`([^`]+)`", line.split(" | ")[0])}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(EXEMPT):
            yield name, ast.parse(path.read_text(encoding="utf-8"))


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def literals(*nodes: ast.AST | None) -> Iterator[str]:
    """Texts among the nodes, and in the tuples, lists and either-ors they are."""
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Tuple | ast.List):
            yield from literals(*node.elts)
        elif isinstance(node, ast.IfExp):
            yield from literals(node.body, node.orelse)


def columns_named(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of each literal that names a column of a table."""
    for node in ast.walk(tree):
        found: list[str] = []
        if isinstance(node, ast.Call) and called(node) in READ_A_COLUMN:
            found += literals(*node.args)
        if isinstance(node, ast.Call) and called(node) in WRITE_COLUMNS:
            found += [keyword.arg for keyword in node.keywords if keyword.arg]
        if isinstance(node, ast.Call) and called(node) in {*WRITE_COLUMNS, "table"}:
            found += literals(*(key for given in node.args if isinstance(given, ast.Dict) for key in given.keys))
        if isinstance(node, ast.keyword) and node.arg == "columns":
            found += literals(node.value)
        if isinstance(node, ast.Subscript) and TABLES.search(ast.unparse(node.value)):
            found += literals(node.slice)
        if isinstance(node, ast.Compare) and any("column_names" in ast.unparse(one) for one in node.comparators):
            found += literals(node.left)
        yield from ((node.lineno, name) for name in found)


def faults(name: str, tree: ast.Module) -> list[str]:
    found = [f"{name}:{line}: '{text}'" for line, text in columns_named(tree) if text in set(Column)]
    long = {str(key) for key in Column if "_" in key} - ALSO_OTHER_WORDS
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in long:
            found.append(f"{name}:{node.lineno}: '{node.value}'")
        if isinstance(node, ast.JoinedStr) and len(node.values) == 2:
            first, last = node.values
            if isinstance(first, ast.Constant) and first.value == "probability_":
                found.append(f"{name}:{node.lineno}: write probability_of(...)")
            if isinstance(last, ast.Constant) and str(last.value).removeprefix("_") in SUFFIXES:
                found.append(f"{name}:{node.lineno}: write property_column(...)")
    return sorted(set(found))


def test_no_column_is_named_by_a_literal() -> None:
    found = [fault for name, tree in sources() for fault in faults(name, tree)]
    assert not found, "name columns by the keys of matloop.data.properties.columns:\n" + "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        'batch.column("probability")', 'table["rank"]', 'numbers(run.ranked, "shortlisted")',
        '"known" in table.column_names',
        "batch.with_columns(known=known)", 'batch.with_columns({"known": known})', 'pa.table({"formula": names})',
        'pq.read_table(path, columns=["outcome", "stage"])', 'table.sort_by([("probability", "descending")])',
        'x = "hull_distance"', 'f"probability_{name}"', 'f"{name}_selected_lo"',
        'batch.column("probability_before_relaxing" if relaxed else "x")',
    ],
)  # fmt: skip
def test_a_literal_is_found(line: str) -> None:
    assert faults("some.py", ast.parse(line))


@pytest.mark.parametrize("line", ['story["probability"]', '{"known": 1}', 'Words("outcome", "结果")', 'f"{name}_of"'])
def test_other_words_are_free(line: str) -> None:
    assert not faults("some.py", ast.parse(line))


def test_the_guide_of_the_run_directory_tells_every_column() -> None:
    names = {*Column, probability_of("PROPERTY"), *(property_column("PROPERTY", suffix) for suffix in SUFFIXES)}
    missing = sorted(names - told_in_the_guide())
    assert not missing, "columns that docs/run_directory.md does not explain"
