import numpy as np

from matloop.data.feature_matrix import FeatureMatrix


def test_take_keeps_rows_together_and_drops_details() -> None:
    values = np.arange(12.0).reshape(4, 3)
    elements = np.eye(4, 119, dtype=bool)
    codes = np.array(["", "E-FEATURE-FAILED", "", ""])
    matrix = FeatureMatrix(values, ("a", "b", "c"), "f00d", elements, codes, {1: "it broke"})
    taken = matrix.take(np.array([3, 1, 1]))
    assert len(matrix) == 4
    assert len(taken) == 3
    assert taken.values.tolist() == [[9, 10, 11], [3, 4, 5], [3, 4, 5]]
    assert np.argmax(taken.elements, axis=1).tolist() == [3, 1, 1]
    assert taken.codes.tolist() == ["", "E-FEATURE-FAILED", "E-FEATURE-FAILED"]
    assert (taken.names, taken.fingerprint) == (matrix.names, "f00d")
    assert taken.details == {}  # keyed by row, which has changed
    assert matrix.details == {1: "it broke"}
