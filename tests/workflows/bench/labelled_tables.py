"""Small tables of real formulas with labels made up for a test."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.packaged.materials import load_materials
from matloop.featurizers.registry import feature_set
from matloop.workflows.bench.labelled import ReplayData

CHEAP = ("stoichiometry", "valence_orbital")


def some_formulas(count: int) -> list[str]:
    """Formulas from all over the packaged crystals, in an order of no meaning; some occur more than once."""
    rows = np.random.default_rng(5).choice(len(load_materials()), count, replace=False)
    formulas = load_materials().formulas
    return [formulas[row] for row in rows]


def electrons(formulas: list[str]) -> NDArray[np.float64]:
    """Mean number of valence electrons, a sum of four of the cheap features, scaled to at most 15."""
    found = feature_set(CHEAP).featurize(CandidateBatch.from_formulas(formulas).batch)
    sums = found.values[:, [name.startswith("avg") for name in found.names]].sum(axis=1)
    return sums / sums.max() * 15


def write_labels(path: Path, formulas: list[str], labels: NDArray[np.float64], column: str = "band_gap_exp") -> Path:
    pq.write_table(pa.table({"formula": formulas, column: labels}), path)
    return path


def labelled_with(data: ReplayData, values: NDArray[np.float64]) -> ReplayData:
    """The same rows with other labels."""
    return data._replace(training=replace(data.training, values=values))


def named(data: ReplayData, name: str) -> ReplayData:
    """The same data under another name."""
    return data._replace(training=replace(data.training, name=name))
