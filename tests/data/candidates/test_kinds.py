"""What tells one candidate from another does not change; what a kind says, it says of its own candidates alone."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import COMPOSITIONS, CRYSTALS
from matloop.data.candidates.crystals import Crystals
from matloop.data.candidates.kinds import COMPOSITION, CRYSTAL, KINDS, CompositionKind, rows_by_kind
from matloop.data.comparison.likeness import DISTANCES
from matloop.data.errors import BatchError
from tests.strategies import batch_of

SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
ZINCITE = Structure(
    Lattice.hexagonal(3.25, 5.2), ["Zn", "Zn", "O", "O"],
    [[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5], [1 / 3, 2 / 3, 0.382], [2 / 3, 1 / 3, 0.882]],
)  # fmt: skip


def mixed() -> CandidateBatch:
    """Rock salt and zincite as crystals, and between them NaCl known by composition alone."""
    crystals = CandidateBatch.from_structures([SALT, ZINCITE]).batch.crystals
    assert crystals is not None
    sites = crystals.site_counts
    offsets = np.array([0, sites[0], sites[0], sites.sum()])
    lattice = np.insert(crystals.lattice, 1, 0.0, axis=0)
    empty_between = Crystals(lattice, offsets, crystals.species, crystals.frac_coords)
    return batch_of("NaCl", "NaCl", "ZnO").with_block(CRYSTALS, empty_between)


def test_ids_stay_what_they_always_were() -> None:
    compositions = batch_of("NaCl", "Fe4O6", "Li0.5CoO2", "Ba(PO3)2", "Ti0.9995Nb0.0005O2")
    expected = [
        "cc47a70a0c12e7e21e5ca", "c091beee4d8070d51f0eb", "c88a3a7b030e9aa0a1e04", "c211c8f9997f18eeb9b19",
        "cb78350b3f5fdae923eeb",
    ]  # fmt: skip
    assert compositions.ids == COMPOSITION.ids(compositions.blocks) == expected
    crystals = CandidateBatch.from_structures([SALT, ZINCITE]).batch
    assert crystals.ids == CRYSTAL.ids(crystals.blocks) == ["x1dfaee8b9bfedd26611e", "x363be3420e1c7ed10837"]


def test_a_batch_may_mix_kinds() -> None:
    assert [kind.name for kind in mixed().kinds] == ["crystal", "composition", "crystal"]
    assert [kind.name for kind in mixed().take([2, 1]).kinds] == ["crystal", "composition"]
    assert mixed().take([]).kinds == []


def test_a_formula_is_one_group_whatever_is_known_of_it() -> None:
    assert len(set(mixed().groups().tolist())) == 2
    first, second, other = mixed().groups()
    assert first == second != other
    assert len(mixed().take([]).groups()) == 0


@pytest.mark.filterwarnings("ignore:Issues encountered while parsing CIF")
def test_a_crystal_is_handed_over_as_a_file_and_a_composition_as_its_formula() -> None:
    batch = mixed()
    salt, plain, zincite = batch.kinds
    assert (plain.file_ending, plain.export(batch, 1)) == (None, "NaCl")
    for row, kind, given in ((0, salt, SALT), (2, zincite, ZINCITE)):
        assert kind.file_ending == "cif"
        read = Structure.from_str(kind.export(batch, row), fmt="cif")
        assert (len(read), read.composition) == (len(given), given.composition)
        assert read.volume == pytest.approx(given.volume, rel=1e-4)


def test_every_kind_says_how_alike_two_of_it_are() -> None:
    batch = mixed()
    for kind in KINDS.values():
        rows = rows_by_kind(batch)[kind.name]
        own = batch.take(rows)
        distances = DISTANCES[kind.likeness](own, own)
        assert distances.shape == (len(rows), len(rows))
        assert (distances.diagonal() == 0).all()
    assert DISTANCES[CRYSTAL.likeness](batch, batch)[0, 2] > 0.1
    assert np.isnan(DISTANCES[CRYSTAL.likeness](batch, batch)[1]).all()
    assert np.isnan(DISTANCES[CRYSTAL.likeness](batch, batch_of("NaCl", "ZnO"))).all()
    assert DISTANCES[COMPOSITION.likeness](batch, batch)[0].tolist()[:2] == [0, 0]


class AnonymousKind(CompositionKind):
    """Candidates of which nothing but the composition may be told, by another name."""

    name = "anonymous"
    blocks = frozenset({COMPOSITIONS, "secrets"})


def test_a_kind_comes_before_those_whose_blocks_it_has_too() -> None:
    kinds = {"anonymous": AnonymousKind(), **KINDS}
    assert list(rows_by_kind(batch_of("NaCl"), kinds)) == ["composition"]
    secret = batch_of("NaCl").with_block("secrets", batch_of("NaCl").compositions)
    assert list(rows_by_kind(secret, kinds)) == ["anonymous"]


def test_a_candidate_of_no_kind_is_refused() -> None:
    batch = batch_of("NaCl")
    bare = CandidateBatch(batch.table, {"secrets": batch.compositions})
    with pytest.raises(BatchError, match="with the blocks secrets"):
        _ = bare.kinds
    with pytest.raises(BatchError, match="one with crystals"):
        CRYSTAL.ids(batch.blocks)
