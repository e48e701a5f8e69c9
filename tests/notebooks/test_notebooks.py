"""Every notebook runs from top to bottom."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    printed = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert printed, "a notebook that shows nothing teaches nothing"
    assert not [output for output in printed if output.output_type == "error"]


def test_notebooks_are_found() -> None:
    found = [path.stem for path in NOTEBOOKS]
    assert found == ["01_first_screen", "02_own_labels", "03_own_structures_and_potential", "04_the_loop"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_stored_outputs_are_of_a_whole_run_on_no_particular_machine(path: Path) -> None:
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    text = path.read_text("utf-8")
    here = (Path(tempfile.gettempdir()), Path.home(), Path(sys.prefix), Path(nbformat.__file__).parent)
    assert not [folder for folder in here if f"{folder}/" in text]
