"""Decorated prototypes against pymatgen's own reading of the library, its structure matcher and known compounds."""

import itertools
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Composition, Element, Lattice, Structure
from pymatgen.core.structure_matcher import StructureMatcher

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import Compositions
from matloop.data.chemistry.charge_balance import charge_balance
from matloop.data.errors import DatasetError, GeneratorError, UnknownNameError
from matloop.data.generators import aflow_prototypes
from matloop.data.generators.aflow_prototypes import Prototype, load_prototypes, read_prototype
from matloop.data.generators.prototype_decoration import PrototypeDecoration, volume_ratios
from matloop.data.generators.published_prototypes import all_prototypes
from tests.strategies import batch_of

SALTS = {"elements": {"A": ["Cl"], "B": ["K", "Na"]}, "prototypes": ["B1"]}


def named(label: str) -> Prototype:
    return next(one for one in load_prototypes() if label in (one.label, one.mineral, one.strukturbericht))


def structure_of(prototype: Prototype, elements: list[str]) -> Structure:
    species = [elements[role] for role in prototype.roles]
    return Structure(Lattice(prototype.lattice), species, prototype.frac_coords)


def rows_of(source: PrototypeDecoration, size: int = 5000) -> list[tuple[str, str]]:
    columns = ("candidate_id", "origin")
    return [
        row
        for intake in source.intakes(size)
        for row in zip(*(intake.batch.table.column(name).to_pylist() for name in columns), strict=True)
    ]


def test_library_is_the_one_pymatgen_reads() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pymatgen.analysis.prototypes._data import AFLOW_PROTOTYPE_LIBRARY
    theirs = sorted((entry["tags"]["aflow"], entry["snl"].structure.formula) for entry in AFLOW_PROTOTYPE_LIBRARY)
    ours = sorted(
        (one.label, structure_of(one, [Element.from_Z(z).symbol for z in one.elements]).formula)
        for one in load_prototypes()
    )
    assert ours == theirs
    assert len(ours) == 288


@pytest.mark.parametrize(
    ("name", "label", "space_group", "alike"),
    [("B1", "AB_cF8_225_a_b", 225, 2),
     ("Spinel", "A2BC4_cF56_227_d_a_e", 227, 1), ("Heusler", "AB2C_cF16_225_a_c_b", 225, 2),
     ("Cinnabar", "AB_hP6_154_a_b", 154, 1)],
)  # fmt: skip
def test_what_is_read_of_a_prototype(name: str, label: str, space_group: int, alike: int) -> None:
    prototype = named(name)
    assert (prototype.label, prototype.space_group) == (label, space_group)
    assert len(prototype.symmetries) == alike


def test_roles_are_alike_where_the_structure_matcher_says_so() -> None:
    matcher = StructureMatcher(ltol=1e-3, stol=1e-3, angle_tol=0.05, primitive_cell=True, scale=False)
    checked = 0
    for prototype in load_prototypes():
        counts = prototype.counts
        if len(counts) == 2 and counts[0] == counts[1] and len(prototype.roles) <= 8:
            same = matcher.fit(structure_of(prototype, ["Na", "Cl"]), structure_of(prototype, ["Cl", "Na"]))
            assert same == (len(prototype.symmetries) == 2), prototype.label
            checked += 1
    assert checked > 20


def test_salts_are_made_with_real_cell_lengths() -> None:
    (intake,) = PrototypeDecoration(**SALTS).intakes(10)
    batch = intake.batch
    assert batch.formulas == ["NaCl", "KCl"]
    assert batch.column("origin").tolist()[0] == "AB_cF8_225_a_b (Halite, Rock Salt), A=Cl, B=Na"
    assert batch.crystals is not None
    edges = np.cbrt(batch.crystals.volumes * 8 / batch.crystals.site_counts)
    assert edges == pytest.approx([5.64, 6.29], rel=0.02)  # Å, measured


def test_roles_that_are_alike_are_filled_once() -> None:
    pool = PrototypeDecoration(["Na", "Cl"], prototypes=["B1"])
    assert [row[1] for row in rows_of(pool)] == ["AB_cF8_225_a_b (Halite, Rock Salt), A=Na, B=Cl"]
    # The other order has to be made where the pools of the roles allow no other.
    assert PrototypeDecoration({"A": ["Cl"], "B": ["Na"]}, prototypes=["B1"]).count() == 1
    assert PrototypeDecoration(["Na", "Cl"], prototypes=["Cinnabar"]).count() == 2


@pytest.mark.parametrize("charge_neutral", [False, True])
def test_count_is_the_number_of_distinct_choices(charge_neutral: bool) -> None:
    pool = ["Li", "Mg", "Fe", "Al", "O", "S", "F"]
    source = PrototypeDecoration(
        pool, prototypes=["B1", "Spinel", "half-Heusler"], charge_neutral=charge_neutral, max_sites=60
    )
    expected = 0
    for prototype in source.prototypes:
        counts = prototype.counts.tolist()
        choices = list(itertools.permutations(pool, len(counts)))
        if charge_neutral:
            formulas = ["".join(f"{e}{n}" for e, n in zip(choice, counts, strict=True)) for choice in choices]
            neutral = charge_balance(batch_of(*formulas).compositions).neutral
            choices = [choice for choice, kept in zip(choices, neutral, strict=True) if kept]
        expected += len(choices) // len(prototype.symmetries)
    rows = rows_of(source)
    assert source.count() == len(rows) == len({row[0] for row in rows}) == expected
    if not charge_neutral:
        assert expected == math.perm(7, 2) // 2 + math.perm(7, 3) + math.perm(7, 3) // 2


def test_neutral_decorations_have_charges_that_balance_for_pymatgen() -> None:
    source = PrototypeDecoration(["Na", "Ca", "Al", "Ti", "O", "F"], max_sites=12)
    compositions = {Composition(intake.batch.formulas[0]) for intake in source.intakes(20)}
    assert len(compositions) > 5
    for composition in compositions:
        # Peroxides and superoxides are allowed beside sodium and calcium.
        guesses = composition.oxi_state_guesses(
            oxi_states_override={"O": [-2, -1, 0], "Ti": [2, 3, 4], "Na": [1], "Ca": [2], "Al": [3], "F": [-1]}
        )
        assert guesses, composition


def test_crystals_keep_the_prototype() -> None:
    source = PrototypeDecoration(["Mg", "Ti", "O"], max_sites=12)
    matcher = StructureMatcher(primitive_cell=False)
    for intake in source.intakes(3):
        batch = intake.batch
        assert batch.crystals is not None
        label = batch.column("prototype")[0]
        own = [
            one for one in all_prototypes() if one.label == label and len(one.roles) == batch.crystals.site_counts[0]
        ]
        assert any(
            matcher.fit_anonymous(
                batch.structure(0), structure_of(one, [Element.from_Z(z).symbol for z in one.elements])
            )
            for one in own
        )


def test_limit_and_batches_do_not_change_the_stream() -> None:
    settings = {"elements": ["Li", "Mg", "Fe", "O", "F"], "max_sites": 8}
    whole = rows_of(PrototypeDecoration(**settings))
    few = PrototypeDecoration(**settings, limit=101)
    assert few.count() == 101
    assert rows_of(few, 17) == whole[:101]


def test_selection_by_space_group_number_of_elements_and_size() -> None:
    source = PrototypeDecoration(["Ba", "Ti", "O"], space_groups=[221, 225], fewest_elements=3, max_sites=10)
    assert source.prototypes
    assert all(one.space_group in (221, 225) and len(one.elements) == 3 for one in source.prototypes)
    assert all(len(one.roles) <= 10 for one in source.prototypes)
    assert "BaTiO3" in {formula for intake in source.intakes(100) for formula in intake.batch.formulas}


def test_crystals_with_atoms_too_close_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = "matloop.data.generators.prototype_decoration.volume_ratios"
    monkeypatch.setattr(module, lambda compositions, reference: np.array([1.0, 0.001]))
    (intake,) = PrototypeDecoration(**SALTS).intakes(10)
    assert (intake.batch.formulas, [(r.row, r.code) for r in intake.refused]) == (["NaCl"], [(1, "E-STRUCT-VOLUME")])


def test_volumes_scale_by_ions_or_by_the_elements() -> None:
    oxides, metals = batch_of("MgO", "FeO", "NiAl", "Ni3Al"), batch_of("SrO", "CaO", "CoAl", "Fe3Al")
    ratios = volume_ratios(as_written(oxides), as_written(metals))
    assert ratios == pytest.approx(
        [74.7 / 137.6, 81.0 / 111.3, 24.0 / 23.4, 45.4 / 48.3], rel=0.1
    )  # measured cells, Å3


def as_written(batch: CandidateBatch) -> Compositions:
    """Entries with the larger amounts first, so that those of two batches correspond."""
    parts = batch.compositions
    order = np.lexsort((parts.elements == 8, -parts.amounts, parts.rows))
    order = np.lexsort((np.isin(parts.elements, [8, 13]), parts.rows))
    return Compositions(parts.offsets, parts.elements[order], parts.amounts[order])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"elements": []}, "no elements"),
        ({"elements": ["Og", "O"]}, "Og, of unknown volume"),
        ({"elements": {"B": ["Na"], "A": ["Cl"]}}, "A, B, ... in that order"),
        ({"space_groups": [231]}, "from 1 to 230"),
        ({"prototypes": "B1"}, "as one text"),
        ({"prototypes": ["Spinel"], "most_elements": 2}, "no prototype of 2 to 2"),
        ({"max_sites": 0}, "at least 1"),
        ({"fewest_elements": 0}, "from 1 to 5"),
        ({"most_elements": 6}, "from 2 to 5"),
        ({"charge_neutral": 1}, "true or false"),
        ({"limit": 2.5}, "at least 1"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict, message: str) -> None:
    with pytest.raises(GeneratorError, match=f"E-GENERATOR: .*{message}"):
        PrototypeDecoration(**{"elements": ["Na", "Cl"], **wrong})


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown prototype 'Spinell'.*did you mean 'Spinel'"):
        PrototypeDecoration(["Na", "Cl"], prototypes=["Spinell"])
    with pytest.raises(UnknownNameError, match=r"unknown element 'na'.*did you mean 'Na'"):
        PrototypeDecoration(["na", "Cl"])


def entry(**changes: object) -> dict:
    sites = [{"species": [{"element": s, "occu": 1.0}], "abc": [x, x, x]} for s, x in (("Cs", 0.0), ("Cl", 0.5))]
    crystal = {"lattice": {"matrix": [[4.1, 0, 0], [0, 4.1, 0], [0, 0, 4.1]]}, "sites": sites, "@module": "os"}
    tags = {"aflow": "AB_cP2_221_b_a", "mineral": "", "strukturbericht": "None"}
    return {"snl": {**crystal, **changes}, "tags": {**tags, **changes}}


def test_an_entry_is_read_as_numbers_and_texts() -> None:
    prototype = read_prototype(entry())
    assert (prototype.elements.tolist(), prototype.roles.tolist()) == ([17, 55], [1, 0])
    assert (prototype.strukturbericht, len(prototype.symmetries)) == ("", 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"sites": [{"species": [{"element": "Cs", "occu": 0.5}], "abc": [0, 0, 0]}]},
        {"sites": [{"species": [{"element": "Cs", "occu": 1.0}] * 2, "abc": [0, 0, 0]}]},
        {"sites": [{"species": [{"element": "Xx", "occu": 1.0}], "abc": [0, 0, 0]}]},
        {"sites": [{"species": [{"element": "Cs", "occu": 1.0}], "abc": [0, 0]}]},
        {"sites": [{"species": [{"element": "Cs", "occu": 1.0}], "abc": [0, 0, float("nan")]}]},
        {"lattice": {"matrix": [[1, 2], [3, 4]]}},
        {"lattice": None},
        {"aflow": "cesium chloride"},
    ],
)
def test_other_entries_are_refused(changes: dict) -> None:
    with pytest.raises(DatasetError, match="E-DATASET-HASH: an entry"):
        read_prototype(entry(**changes))


def test_another_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aflow_prototypes, "LIBRARY", aflow_prototypes.LIBRARY._replace(sha256="0" * 64))
    load_prototypes.cache_clear()
    with pytest.raises(DatasetError, match=r"aflow_prototypes\.json\.gz has sha256.*install pymatgen"):
        load_prototypes()
    moved = aflow_prototypes.LIBRARY._replace(path=Path("gone.json.gz"))
    monkeypatch.setattr(aflow_prototypes, "LIBRARY", moved)
    with pytest.raises(DatasetError, match="no file gone"):
        load_prototypes()
