"""Each finalist against everything known."""

import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.packaged.materials import load_materials
from matloop.screening.explaining.novelty import Novelty, NoveltyReport, novelty_reports
from tests.strategies import batch_of


@pytest.fixture(scope="module")
def known() -> CandidateBatch:
    return load_materials().take(np.arange(0, 6317, 5))


def names(batch: CandidateBatch) -> list[str]:
    return batch.table["material_id"].to_pylist()


def rows_of(batch: CandidateBatch, formula: str) -> np.ndarray:
    return np.flatnonzero(batch.table["formula"].to_numpy() == formula)


def reports(finalists: CandidateBatch, known: CandidateBatch) -> list[NoveltyReport]:
    return novelty_reports(finalists, known, names=names(known))


def test_a_known_crystal_in_another_cell_is_known_and_not_its_own_neighbour(known: CandidateBatch) -> None:
    structures = [known.structure(row).make_supercell([1, 2, 1], in_place=False) for row in (3, 40)]
    finalists = CandidateBatch.from_structures(structures).batch
    for row, report in zip((3, 40), reports(finalists, known), strict=True):
        assert report.novelty is Novelty.KNOWN
        assert names(known)[row] in report.equal
        assert report.equal_count >= 1
        assert not {near.name for near in report.nearest_structures} & set(report.equal)


def test_a_known_composition_in_a_new_structure(known: CandidateBatch) -> None:
    silica = rows_of(known, "SiO2")
    rest = np.setdiff1d(np.arange(len(known)), silica[:1])
    report = reports(known.take(silica[:1]), known.take(rest))[0]
    assert report.novelty is Novelty.NEW_STRUCTURE
    assert report.same_composition_count == len(silica) - 1
    assert set(report.same_composition) <= {names(known)[row] for row in silica[1:]}
    assert len(report.same_composition) == min(5, len(silica) - 1)
    assert "SiO2" not in {near.formula for near in report.nearest_compositions}


def rock_salts() -> tuple[CandidateBatch, CandidateBatch]:
    """Crystals of KCl and MgO, and two others in their structure: one of NaCl, one of a compound nobody lists."""
    materials = load_materials()
    cubic = materials.column("space_group_number") == 225
    halides = {f: next(r for r in rows_of(materials, f) if cubic[r]) for f in ("NaCl", "KCl", "MgO")}
    salt = materials.structure(halides["NaCl"])
    unheard = salt.copy().replace_species({"Na": "Fr", "Cl": "Ts"}, in_place=False)
    finalists = CandidateBatch.from_structures([salt, unheard]).batch
    return finalists, materials.take([halides["KCl"], halides["MgO"]])


def test_a_new_composition_names_its_prototype() -> None:
    finalists, known = rock_salts()
    salt, unheard = reports(finalists, known)
    assert salt.novelty is Novelty.KNOWN_COMPOSITION, "no crystal of it to compare, but lists hold it"
    assert salt.known_to == "packaged_crystals, transport, materials_project, oqmd"
    assert (unheard.novelty, unheard.known_to) == (Novelty.NEW_COMPOSITION, "")
    for report in (salt, unheard):
        assert report.same_composition == report.equal == ()
        # All are rock salt; the tie is settled by composition.
        assert report.nearest_structures[0].structure_distance == pytest.approx(0, abs=1e-6)
    assert [near.formula for near in salt.nearest_structures] == ["KCl", "MgO"]
    assert salt.nearest_compositions[0].composition_distance == pytest.approx(0.5)


def test_without_crystals_only_compositions_are_compared(known: CandidateBatch) -> None:
    report, other = reports(batch_of("SiO2", "Li3FeOs7"), known)
    assert (report.novelty, other.novelty) == (Novelty.KNOWN_COMPOSITION, Novelty.NEW_COMPOSITION)
    assert report.nearest_structures == ()
    assert report.same_composition
    plain = novelty_reports(known.take([3]), batch_of(known.formulas[3]), names=["one"])[0]
    assert plain.novelty is Novelty.KNOWN_COMPOSITION


def test_nothing_known_but_a_list(known: CandidateBatch) -> None:
    report, other = novelty_reports(batch_of("Pd", "Li3FeOs7"), known.take([]), names=[])
    assert (report.novelty, other.novelty) == (Novelty.KNOWN_COMPOSITION, Novelty.NEW_COMPOSITION)
    assert report.nearest_structures == report.nearest_compositions == ()


def test_order_of_the_known_does_not_matter(known: CandidateBatch) -> None:
    finalists = known.take(np.arange(0, 100, 10))
    shuffled = known.take(np.random.default_rng(0).permutation(len(known)))
    assert reports(finalists, known) == reports(finalists, shuffled)
