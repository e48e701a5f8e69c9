"""What is to be kept: how it is written, what meets it, and what is refused."""

import numpy as np
import pytest

from matloop.data.errors import MatloopError, SubstitutionError, UnitError, UnknownNameError
from matloop.screening.substitution.kept_property import KeptProperty, read_kept_property


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("refractive_index within 5%", KeptProperty("refractive_index", "share", 0.05)),
        ("refractive_index within 5 ％", KeptProperty("refractive_index", "share", 0.05)),
        ("refractive_index>=2.2", KeptProperty("refractive_index", "at_least", 2.2)),
        ("band_gap ≥ 2500 meV", KeptProperty("band_gap", "at_least", 2.5)),
        ("bulk_modulus_vrh <= 100 GPa", KeptProperty("bulk_modulus_vrh", "at_most", 100.0)),
    ],
)
def test_conditions_are_read(text: str, read: KeptProperty) -> None:
    found = read_kept_property(text)
    assert found[:2] == read[:2]
    assert found.limit == pytest.approx(read.limit)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", SubstitutionError),
        ("refractive_index around 5%", SubstitutionError),
        ("refractive_index within -5%", SubstitutionError),
        ("refractive_index >= 5%", SubstitutionError),
        ("refractive_index within 5% or so", SubstitutionError),
        ("__import__('os') within 5%", SubstitutionError),
        ("refractive_index within " + "9" * 5000, SubstitutionError),
        ("shininess within 5%", UnknownNameError),
        ("band_gap within 0.3", UnitError),
        ("band_gap within 3 GPa", UnitError),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_code(text: str, error: type[MatloopError]) -> None:
    with pytest.raises(error, match=f"^{error.code}: "):
        read_kept_property(text)


def test_a_share_counts_from_the_old_value() -> None:
    share = KeptProperty("band_gap", "share", 0.1)
    assert share.met(np.array(-2.0), np.array([-1.8, -2.2, -2.3])).tolist() == [True, True, False]
    assert share.met(np.array(0.0), np.array([0.0, 0.1])).tolist() == [True, False]
    least = KeptProperty("band_gap", "at_least", 2.0)
    assert least.met(np.zeros(3), np.array([[1.0], [2.0]])).tolist() == [[False] * 3, [True] * 3]
