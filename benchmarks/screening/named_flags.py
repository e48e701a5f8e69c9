"""Flags of named candidates that a referee doubted, relaxed by CHGNet, and what the corrections of bond lengths do.

The sums of a few ions in the packaged crystals near the hull stand first: with the published parameters of elements,
and with the bond-valence parameters of ion pairs of the IUCr (bvparm2020, as matminer carries them). PBE crystals are a
little too large, so a sum below the charge is the rule and no misfit.

``python benchmarks/screening/named_flags.py``
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.data.candidates.formula import parse_formulas
from matloop.data.chemistry.assigned_states import states_of_words
from matloop.data.chemistry.bond_valence import SOFTNESS, kinds_of, lengths_between, site_valences
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS
from matloop.data.generators.ionic_substitution import IonicSubstitution
from matloop.data.generators.substitution_record import SubstitutionRecord
from matloop.data.packaged.crystals_near_hull import crystals_near_hull
from matloop.data.packaged.materials import load_materials
from matloop.data.properties.columns import Column
from matloop.models.potentials.guarded_relaxation import GuardedRelaxationSettings, relax_guarded
from matloop.models.potentials.relaxed_crystal import RelaxationLimits
from matloop.screening.flags.flags import with_flags
from matloop.screening.flags.site_chemistry import site_chemistry

IONS = ("Zr4+", "Hf4+", "Ti4+", "Sc3+", "La3+", "Si4+", "V5+", "Nb5+", "W6+", "Zn2+")
MADE = ("ZrSc2O5", "Zr3TiO8", "Hf3TiO8", "TiNb2O6")
LONE_PAIRS = (("Bi2WO6", "Bi", "La"), ("Bi2O3", "Bi", "La"), ("LaAsO4", "La", "Bi"))
"""Packaged crystal of lowest energy of a formula, the element that goes, and the one that comes."""
LIMITS = RelaxationLimits(largest_force=0.1, steps=150)


def parameters_of_iucr() -> dict[tuple[str, int, str], float]:
    """R0 in Å by cation, charge and anion, from the table that matminer carries; the first with b of 0.37 counts."""
    found = importlib.util.find_spec("matminer")
    assert found is not None
    assert found.origin is not None
    text = (Path(found.origin).parent / "utils" / "data_files" / "bvparm2020.cif").read_text("latin-1")
    table: dict[tuple[str, int, str], float] = {}
    for parts in map(str.split, text.splitlines()):
        is_row = len(parts) >= 6 and parts[0] in ATOMIC_NUMBERS and parts[2] in ATOMIC_NUMBERS
        if is_row and float(parts[5]) == SOFTNESS:
            table.setdefault((parts[0], int(parts[1]), parts[2]), float(parts[4]))
    return table


def median_sums() -> None:
    """Print the median sum of each ion in the known oxides, by three kinds of bond lengths."""
    known, table = crystals_near_hull(), parameters_of_iucr()
    compositions = known.compositions
    of_oxygen = np.bincount(compositions.rows, compositions.elements == 8, len(known)) > 0
    known = known.take(np.flatnonzero(of_oxygen))
    crystals = known.crystals
    assert crystals is not None
    corrected = site_chemistry(known)
    kinds = kinds_of(crystals, corrected.states)
    published = site_valences(crystals, kinds, lengths_between(kinds)).sums
    lengths = np.full((len(kinds.elements),) * 2, np.nan)
    for one in np.flatnonzero(kinds.charges > 0):
        for other in np.flatnonzero(kinds.charges < 0):
            pair = SYMBOLS[kinds.elements[one]], round(float(kinds.charges[one])), SYMBOLS[kinds.elements[other]]
            lengths[one, other] = lengths[other, one] = table.get(pair, np.nan)
    of_pairs = site_valences(crystals, kinds, lengths).sums
    print(f"{len(known):,} packaged oxides near the hull; median bond-valence sum and 5 % to 95 % of the sites")
    print(f"  {'ion':5} {'sites':>6}   {'element table':>20} {'IUCr pairs':>20} {'corrected':>20}")
    for ion in IONS:
        ((element, state),) = states_of_words(ion).items()
        own = (crystals.species == element) & (corrected.states == state)
        cells = []
        for sums in (published, of_pairs, corrected.sums):
            values = sums[own & np.isfinite(sums)]
            low, middle, high = np.quantile(values, (0.05, 0.5, 0.95)) if len(values) else (np.nan,) * 3
            cells.append(f"{middle:.2f} ({low:.2f} to {high:.2f})")
        print(f"  {ion:5} {own.sum():6,}   " + " ".join(f"{cell:>20}" for cell in cells))


def with_another_element(formula: str, gone: str, comes: str) -> CandidateBatch:
    """The packaged crystal of lowest energy of a formula with one element in place of another, as a child says it."""
    materials = load_materials()
    rows = np.flatnonzero(np.array(materials.formulas) == formula)
    above = np.nan_to_num(materials.column("energy_above_hull_dft")[rows], nan=np.inf)
    row = int(rows[above.argmin()])
    lattice, species, places = materials.cell(row)
    species = np.where(species == ATOMIC_NUMBERS[gone], ATOMIC_NUMBERS[comes], species).astype(np.uint8)
    parent = materials.table[Column.MATERIAL_ID][row].as_py()
    record = SubstitutionRecord(formula, parent, ((f"{gone}3+", f"{comes}3+"),))
    crystals = Crystals(lattice[None], np.array([0, len(species)]), species, places)
    return CandidateBatch.from_crystals(crystals, {Column.ORIGIN: [str(record)]})


def main() -> None:
    """Print the medians and the flags."""
    median_sums()
    made = IonicSubstitution(limit=400_000, min_probability=1e-5).of_compositions(parse_formulas(list(MADE))[0])
    for batch in (made, *(with_another_element(*swap) for swap in LONE_PAIRS)):
        relaxed = with_flags(relax_guarded("chgnet", batch, GuardedRelaxationSettings(limits=LIMITS)))
        for row in relaxed.table.to_pylist():
            facts = (Column.VALENCE_MISFITS, Column.LONE_PAIR_SWAPS, Column.ORDERED_SLICE, Column.OPEN_SHELL)
            told = ", ".join(text for text in (row[name] for name in facts) if text)
            print(f"{row[Column.FORMULA]}, from {row[Column.ORIGIN]}")
            print(f"  {row[Column.OXIDATION_STATES]}; sums {row[Column.BOND_VALENCE_SUMS]}")
            print(f"  flags: {row[Column.FLAGS] or 'none'}" + (f" ({told})" if told else ""))


if __name__ == "__main__":
    main()
