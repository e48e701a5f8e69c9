"""A family that reads part of the columns: the contract, what it is shown, what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matloop.data.errors import ModelError
from matloop.models.families.gaussian_process import GaussianProcess
from matloop.models.families.part_reader import PartReader
from matloop.models.families.validation import validate_ensemble

RANDOM = np.random.default_rng(8)
VALUES = RANDOM.normal(size=(120, 5))
TARGET = VALUES[:, 0] + np.sin(3 * VALUES[:, 1])
SETTINGS = {"rounds": 5}


def test_it_holds_the_contract_of_ensembles() -> None:
    validate_ensemble(lambda: PartReader("extra_trees", columns=[[0, 2], [3, None]], settings={"trees": 40}))


def test_family_is_shown_its_columns_in_the_order_of_the_features() -> None:
    reader = PartReader("gaussian_process", columns=[[4, None], [0, 1], [1, 2]], settings=SETTINGS)
    reader.fit(VALUES, TARGET)
    alone = GaussianProcess(rounds=5).fit(VALUES[:, [0, 1, 4]], TARGET)
    np.testing.assert_array_equal(reader.predict(VALUES), alone.predict(VALUES[:, [0, 1, 4]]))
    np.testing.assert_array_equal(reader.importances()[[0, 1, 4]], alone.importances())
    assert reader.importances()[[2, 3]].tolist() == [0, 0]


def test_columns_it_is_not_shown_make_no_difference_to_it() -> None:
    reader = PartReader("gaussian_process", columns=[[0, 2]], settings=SETTINGS).fit(VALUES, TARGET)
    others = np.hstack([VALUES[:, :2], RANDOM.normal(size=(120, 3))])
    np.testing.assert_array_equal(reader.predict(others), reader.predict(VALUES))
    with pytest.raises(ModelError, match="6 features"):  # though the columns it reads are there
        reader.predict(np.hstack([VALUES, VALUES[:, :1]]))


def test_loaded_reader_gives_the_same_numbers(tmp_path: Path) -> None:
    reader = PartReader("gaussian_process", columns=[[1, None]], settings=SETTINGS).fit(VALUES, TARGET)
    reader.save(tmp_path)
    loaded = PartReader.load(tmp_path)
    assert loaded.parameters == reader.parameters
    np.testing.assert_array_equal(loaded.predict(VALUES), reader.predict(VALUES))
    np.testing.assert_array_equal(loaded.importances(), reader.importances())


def test_unfitted_reader_says_so(tmp_path: Path) -> None:
    reader = PartReader("extra_trees", columns=[[0, 2]], settings={})
    for use in (lambda: reader.predict(VALUES), reader.importances, lambda: reader.save(tmp_path)):
        with pytest.raises(ModelError, match="never fitted"):
            use()


@pytest.mark.parametrize(
    "columns", [None, [], 3, "all", [3], [[3]], [[2, 2]], [[-1, None]], [[None, 3]], [[0.0, 2]], [[0, 1, 2]], [(0, 1)]]
)
def test_what_is_no_list_of_ranges_is_refused(columns: Any) -> None:
    with pytest.raises(ModelError, match="a list of ranges"):
        PartReader("extra_trees", columns=columns, settings={})


@pytest.mark.parametrize("columns", [[[5, None]], [[0, 6]], [[0, 2], [7, 9]]])
def test_columns_beyond_the_features_are_refused(columns: Any) -> None:
    with pytest.raises(ModelError, match="of 5 features"):
        PartReader("extra_trees", columns=columns, settings={}).fit(VALUES, TARGET)
