"""Imports between the rooms of one folder run one way, read off the syntax tree.

A room is a folder below one of the five, such as ``data/candidates``; a module beside the rooms stands for itself.
``python tests/test_rooms.py`` draws the rooms: files, lines, and what each of them imports.
"""

import ast
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("data", "featurizers", "models", "screening", "workflows")
SCRIPTS = ROOT / "data" / "datasets"

Imports = dict[str, set[str]]


def modules_of(folder: Path) -> list[Path]:
    """The modules of a folder; scripts that rebuild data sets are none."""
    return sorted(path for path in folder.rglob("*.py") if SCRIPTS not in path.parents)


def room_of(parts: tuple[str, ...]) -> str:
    """Room of a module by its path below the folder, without suffix: ``candidates`` or ``errors``."""
    return parts[0]


def imports_between_rooms(sources: dict[tuple[str, ...], str], folder: str) -> Imports:
    """Which rooms of a folder each of its rooms imports.

    Args:
        sources: Source by path below the folder, such as ``("candidates", "batch")``.
        folder: Name of the folder.
    """
    rooms = {room_of(parts) for parts in sources}
    found: Imports = {room: set() for room in rooms}
    for parts, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in names:
                top, _, rest = name.partition(f"matloop.{folder}.")
                if not top and rest.split(".")[0] in rooms - {room_of(parts)}:
                    found[room_of(parts)].add(rest.split(".")[0])
    return found


def circle_in(imports: Imports) -> list[str]:
    """Rooms that import each other in a circle; none where imports run one way."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def sources_in(folder: str) -> dict[tuple[str, ...], str]:
    top = ROOT / folder
    paths = {path.relative_to(top).with_suffix("").parts: path for path in modules_of(top)}
    return {parts: path.read_text("utf-8") for parts, path in paths.items() if parts != ("__init__",)}


@pytest.mark.parametrize("folder", FOLDERS)
def test_imports_between_rooms_run_one_way(folder: str) -> None:
    circle = circle_in(imports_between_rooms(sources_in(folder), folder))
    assert not circle, f"{folder}/: " + " <- ".join(circle)


def test_circle_is_seen() -> None:
    sources = {
        ("candidates", "batch"): "from matloop.data.properties.units import to_unit",
        ("properties", "units"): "def late():\n    from matloop.data.candidates import batch",
        ("errors",): "import json",
    }
    assert set(circle_in(imports_between_rooms(sources, "data"))) == {"candidates", "properties"}
    del sources["properties", "units"]
    assert not circle_in(imports_between_rooms(sources, "data"))


def drawn(folder: str) -> str:
    """Rooms of a folder as text: those that import nothing first."""
    sources = sources_in(folder)
    imports = imports_between_rooms(sources, folder)
    sizes: dict[str, list[int]] = defaultdict(list)
    for parts, source in sources.items():
        sizes[room_of(parts)].append(len(source.splitlines()))
    lines = [f"{folder}/"]
    for room in TopologicalSorter({name: sorted(found) for name, found in sorted(imports.items())}).static_order():
        before = ", ".join(sorted(imports[room]))
        lines.append(f"  {room:20} {len(sizes[room]):3} files {sum(sizes[room]):6,} lines  {before}")
    return "\n".join(lines)


if __name__ == "__main__":
    print("\n".join(map(drawn, FOLDERS)))
