import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import FeaturizerError, UnknownNameError
from matloop.data.guard.guarded import Failure
from matloop.data.guard.messages import pack
from matloop.data.guard.shared_workers import close_shared_workers
from matloop.featurizers.base import FeatureSet
from matloop.featurizers.composition import Magpie
from matloop.featurizers.crystal import Density
from matloop.featurizers.guard.guarded import GuardedFeaturizer
from tests.plugins import install_plugin
from tests.strategies import batch_of

# Refuses a whole batch for one bad row, does not know oxygen, and counts how many rows each call is given.
MOODY = """
import numpy as np
from matloop.featurizers.base import Features, Featurizer, no_codes
class Plugin(Featurizer):
    name, version, feature_names, parameters = "moody", "7", ("atoms", "rows"), {"mood": 1}
    needs = frozenset({"compositions"})
    def __init__(self, mood="good"):
        if mood == "bad": raise ValueError("not today")
        if mood == "deadly":
            import os
            os._exit(1)
    def featurize(self, batch):
        if "Si" in batch.formulas: raise KeyError("silicon")
        codes = np.where([formula == "MgO" for formula in batch.formulas], "E-FEATURE-NODATA", no_codes(len(batch)))
        values = np.column_stack([[len(formula) for formula in batch.formulas], np.full(len(batch), len(batch))])
        values = values.astype(float)
        values[codes != ""] = np.nan
        return Features(values, codes, {row: "oxygen" for row in np.flatnonzero(codes).tolist()})
"""


@pytest.fixture(autouse=True)
def moody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    install_plugin(tmp_path, monkeypatch, group="matloop.featurizers", name="moody", source=MOODY)
    yield
    close_shared_workers()


def test_same_numbers_as_without_guard(sample: CandidateBatch) -> None:
    for plain in (Density(), Magpie(missing="refuse")):
        guarded = GuardedFeaturizer(plain.name, options={} if plain.name == "density" else {"missing": "refuse"})
        assert (guarded.feature_names, guarded.needs) == (plain.feature_names, plain.needs)
        assert (guarded.version, guarded.parameters["parameters"]) == (plain.version, plain.parameters)
        expected, found = plain.featurize(sample), guarded.featurize(sample)
        np.testing.assert_array_equal(found.values, expected.values)
        np.testing.assert_array_equal(found.codes, expected.codes)


def test_codes_and_details_reach_the_right_rows_and_only_a_raising_row_is_lost() -> None:
    guarded = GuardedFeaturizer("moody")
    formulas = ["NaCl", "MgO", "KBr"] * 8
    found = guarded.featurize(batch_of(*formulas))
    assert found.codes.tolist() == ["", "E-FEATURE-NODATA", ""] * 8
    assert found.details == dict.fromkeys(range(1, 24, 3), "oxygen")
    assert found.values[0, 1] > 1  # fast rows go together
    mixed = guarded.featurize(batch_of(*formulas[:20], "Si", *formulas[20:]))
    assert mixed.codes[20] == "E-FEATURE-FAILED"
    assert mixed.details[20] == "KeyError: 'silicon'"
    np.testing.assert_array_equal(np.delete(mixed.codes, 20), found.codes)
    np.testing.assert_array_equal(np.delete(mixed.values, 20, axis=0)[:, 0], found.values[:, 0])


def test_candidates_without_crystal_are_coded(sample: CandidateBatch) -> None:
    matrix = FeatureSet((GuardedFeaturizer("density"),)).featurize(batch_of("NaCl", "MgO"))
    assert matrix.codes.tolist() == ["E-FEATURE-CRYSTAL"] * 2
    assert GuardedFeaturizer("density").featurize(sample.take([])).values.shape == (0, 4)


def test_a_copy_in_another_process_starts_its_own_child() -> None:
    guarded = GuardedFeaturizer("moody")
    copied = pickle.dumps(guarded)
    close_shared_workers()
    assert pickle.loads(copied).featurize(batch_of("NaCl")).values.tolist() == [[4.0, 1.0]]  # noqa: S301  # our own


def test_what_cannot_be_made_says_why() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'moody'"):
        GuardedFeaturizer("moodi")
    with pytest.raises(UnknownNameError):
        GuardedFeaturizer("guarded", options={"featurizer": "moody"})
    with pytest.raises(FeaturizerError, match="ValueError: not today"):
        GuardedFeaturizer("moody", options={"mood": "bad"})
    with pytest.raises(FeaturizerError, match="its process ended"):
        GuardedFeaturizer("moody", options={"mood": "deadly"})
    with pytest.raises(UnknownNameError, match=r"unknown option of moody 'mod'.*did you mean 'mood'"):
        GuardedFeaturizer("moody", options={"mod": "bad"})
    with pytest.raises(FeaturizerError, match="not JSON serializable"):
        GuardedFeaturizer("moody", options={"mood": {1, 2}})
    for limits in ({"seconds": 0.0}, {"megabytes": -1.0}):
        with pytest.raises(FeaturizerError, match="above zero"):
            GuardedFeaturizer("moody", **limits)
    assert GuardedFeaturizer("moody").featurize(batch_of("NaCl")).codes.tolist() == [""]  # the guard serves on


@pytest.mark.parametrize(
    "reply",
    [
        b"\x80\x04cos\nsystem\n",
        pack({}),
        pack({"codes": [""], "details": {}}),
        pack({"codes": [""], "details": {}}, {"features": np.zeros((2, 2))}),
        pack({"codes": ["E-MADE-UP"], "details": {}}, {"features": np.zeros((1, 2))}),
        pack({"codes": ["", ""], "details": {}}, {"features": np.zeros((1, 2))}),
        pack({"codes": [""], "details": {"5": "x"}}, {"features": np.zeros((1, 2))}),
        pack({"codes": [""], "details": {"x": "x"}}, {"features": np.zeros((1, 2))}),
    ],
)
def test_an_answer_that_makes_no_sense_is_not_believed(reply: bytes) -> None:
    found = GuardedFeaturizer("moody")._read(reply, 1)
    assert isinstance(found, Failure)
    assert found.code == "E-FEATURE-CRASH"
