"""Small files in the layouts of Matbench, made from packaged data."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from matloop.data.candidates.batch import CandidateBatch


def crystals_with(materials: CandidateBatch, column: str, count: int) -> CandidateBatch:
    """Packaged crystals that have a positive value in a column, from all over the set."""
    rows = np.flatnonzero(materials.column(column) > 0)
    return materials.take(rows[np.linspace(0, len(rows) - 1, count).astype(int)])


def structure_dicts(batch: CandidateBatch) -> list[dict[str, Any]]:
    """Crystals as pymatgen writes them, with the module and class names that readers must not follow."""
    return [batch.structure(row).as_dict() for row in range(len(batch))]


def write_json_gz(path: Path, columns: list[str], data: list[list[Any]], index: list[Any] | None = None) -> Path:
    """The published layout: a table split into columns, index and data."""
    content = {"index": index or list(range(len(data))), "columns": columns, "data": data}
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    return path


def write_parquet(path: Path, ids: list[str], kind: str, inputs: list[Any], column: str, target: list[Any]) -> Path:
    texts = [json.dumps(item) if kind == "structure" else item for item in inputs]
    pq.write_table(pa.table({"mbid": ids, kind: texts, column: target}), path)
    return path
