"""Another criterion takes the place of probability: nothing in stages, merges or the engine has to know."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from matloop.data.candidates.reasons import BELOW_CUT
from matloop.data.runs.directory import RunDirectory
from matloop.workflows import screen as module
from matloop.workflows.screen import ScreeningRun
from tests.workflows.conftest import campaign, files_of

KEEP = 60
OBJECTIVES = ("piezoelectric_modulus_pred", "refractive_index_pred")


def pareto() -> Any:
    """A criterion: candidates that no other beats in both objectives come first, then those that only they beat, ...

    It is made in a function so that it travels to workers, which do not find the modules of tests.
    """

    class ParetoOrder:
        name = "pareto"
        holds_in_parts = False  # who is beaten by whom is known once all are together

        def order(self, table: pa.Table) -> NDArray[np.int64]:
            return np.lexsort((table["candidate_id"].to_pylist(), -self.scores(table)))

        def scores(self, table: pa.Table) -> NDArray[np.float64]:
            values = np.column_stack([table[name].to_numpy() for name in OBJECTIVES])
            fronts = np.zeros(len(values))
            left, front = np.arange(len(values)), 0
            while len(left):
                # From the largest first objective down, who has the largest second one so far is beaten by nobody.
                found, highest = [], np.array([-np.inf, -np.inf])
                for row in left[np.lexsort((-values[left, 1], -values[left, 0]))]:
                    equal = (values[row] == highest).all()
                    if equal or values[row, 1] > highest[1]:
                        found.append(row)
                        highest = values[row]
                fronts[found] = front
                left, front = np.setdiff1d(left, found), front + 1
            return -fronts

    return ParetoOrder()


def beaten_by(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether row i is beaten by row j: at least as large in both objectives and larger in one, shape (n, n)."""
    larger = (values[None] >= values[:, None]).all(2) & (values[None] > values[:, None]).any(2)
    return np.asarray(larger)


@pytest.fixture(scope="module")
def table() -> pa.Table:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 8, (60, 2)).astype(float)  # few different values: many are equal
    return pa.table(
        {"candidate_id": [f"x{i:03}" for i in rng.permutation(60)], **dict(zip(OBJECTIVES, values.T, strict=True))}
    )


def test_the_order_is_the_exact_one(table: pa.Table) -> None:
    values = np.column_stack([table[name].to_numpy() for name in OBJECTIVES])
    beaten, fronts = beaten_by(values), np.full(60, -1)
    for front in range(60):
        left = fronts < 0
        fronts[left & ~(beaten & left[None]).any(1)] = front
    assert pareto().scores(table).tolist() == (-fronts).tolist()
    names = np.array(table["candidate_id"].to_pylist())
    order = pareto().order(table)
    assert [(fronts[row], names[row]) for row in order] == sorted(zip(fronts, names, strict=True))
    shuffled = table.take(pa.array(np.random.default_rng(1).permutation(60)))
    assert [shuffled["candidate_id"][row].as_py() for row in pareto().order(shuffled)] == names[order].tolist()


@pytest.mark.usefixtures("trained")
def test_a_campaign_by_another_criterion(
    finished: ScreeningRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    criterion = pareto()
    monkeypatch.setattr(module, "go_on", functools.partial(module.go_on, criterion=criterion))
    runs = [module.screen(campaign(), output=tmp_path / str(rows), partition_rows=rows) for rows in (300, 170)]
    folder = RunDirectory(runs[0].folder)
    scored = pa.concat_tables([pq.read_table(path) for path in files_of(folder.best)], promote_options="permissive")
    assert scored.num_rows > 4 * KEEP
    best = [scored["candidate_id"][row].as_py() for row in criterion.order(scored)]
    ids = runs[0].ranked.ids
    assert ids == [name for name in best[:KEEP] if name in set(ids)]
    assert len(ids) > KEEP - 5  # of equal crystals one is left
    assert runs[1].ranked.ids == ids
    assert set(ids) != set(finished.ranked.ids)
    below = pq.read_table(folder.merge("surrogates", "below-cut"))
    assert set(below["code"].to_pylist()) == {BELOW_CUT}
    assert set(below["source"].to_pylist()) == {"pareto"}
    assert sorted(below["candidate_id"].to_pylist()) == sorted(best[KEEP:])
    for run in runs:
        assert run.summary.outcomes["shortlisted"] == 5
