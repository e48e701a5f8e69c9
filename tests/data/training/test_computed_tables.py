"""The packaged tables of computed values by composition, as training sets."""

import numpy as np
import pytest

from matloop.data.errors import UnknownNameError
from matloop.data.packaged.computed_properties import load_computed_properties
from matloop.data.training.computed_tables import (
    check_computed_table,
    computed_tables,
    computed_training_set,
    sha256_of_computed_table,
)


def test_a_table_is_one_training_set_of_one_provenance_with_its_licence() -> None:
    training, table = computed_training_set("phonon_peak"), load_computed_properties("phonon_peak")
    assert training.rows.formulas == table["formula"].to_pylist()
    assert (training.values == table["value"].to_numpy()).all()
    assert training.provenance == "dft:pbe"
    assert training.licence == "Materials Project, CC BY 4.0"
    assert "Petretto" in training.citation
    assert len(np.unique(training.groups)) == len(training)


def test_each_table_has_a_hash_of_its_own() -> None:
    hashes = [sha256_of_computed_table(*one) for one in computed_tables()]
    assert len(set(hashes)) == len(hashes) == 8
    assert ("formation_energy_per_atom", "oqmd") in computed_tables()


def test_unknown_tables_are_refused_with_what_there_is() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'oqmd'"):
        check_computed_table("band_gap", "oqdm")
    with pytest.raises(UnknownNameError, match="band_gap"):
        check_computed_table("bulk_modulus_vrh", "oqmd")
