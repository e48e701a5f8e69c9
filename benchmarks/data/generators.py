"""Generators: what the charge check lets through, how fast candidates come, how well scaled volumes fit.

``python benchmarks/data/generators.py``

The check is set against the rule of Davies et al., Chem 1, 617 (2016) (one oxidation state for each element, every
cation less electronegative than every anion) on the same table of oxidation states. A rule that refuses nothing is
useless, so both also judge made-up compositions: the known ones with their elements drawn anew, as often as each
element occurs. Where the smact package is installed, its own function is run as well.
"""

from __future__ import annotations

import itertools
import time
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.data.candidates.formula import write_formulas
from matloop.data.chemistry.charge_balance import ChargeBalance, charge_balance, element_roles
from matloop.data.chemistry.oxidation_states import METALS, OXIDATION_STATES
from matloop.data.elements import ATOMIC_NUMBERS, SYMBOLS
from matloop.data.generators.alloy_grid import AlloyGrid
from matloop.data.generators.composition_enumeration import CompositionEnumeration
from matloop.data.generators.prototype_decoration import PrototypeDecoration, volume_ratios
from matloop.data.packaged.materials import load_materials
from matloop.workflows.bench.hardware import describe

POOL = (
    "Li Na K Rb Cs Mg Ca Sr Ba Sc Y La Ce Nd Gd Ti Zr Hf V Nb Ta Cr Mo W Mn Fe Co Ni Cu Zn Cd Al Ga In Tl Si Ge Sn Pb "
    "B C N P As Sb Bi O S Se Te F Cl Br I H Ag Pd Pt Ru Ir".split()
)
MADE_UP = 10_000


def known_compositions() -> Compositions:
    """The distinct reduced compositions of the packaged crystals."""
    reduced, _ = load_materials().compositions.reduced()
    return reduced.take(np.sort(np.unique(composition_keys(reduced), return_index=True)[1]))


def made_up(known: Compositions, n: int) -> Compositions:
    """Known compositions with other elements; those that happen to be known are left in."""
    random = np.random.default_rng(0)
    part = known.take(random.integers(0, len(known), n))
    often = np.bincount(known.elements, minlength=len(SYMBOLS)) / len(known.elements)
    drawn = [random.choice(len(SYMBOLS), width, replace=False, p=often) for width in part.lengths]
    return Compositions(part.offsets, np.concatenate(drawn).astype(np.uint8), part.amounts)


def plain_rule(compositions: Compositions) -> NDArray[np.bool_]:
    """The published rule, on our table of oxidation states."""
    electronegativity = element_roles().electronegativity
    passes = np.zeros(len(compositions), bool)
    for row, (start, stop) in enumerate(itertools.pairwise(compositions.offsets.tolist())):
        z, amounts = compositions.elements[start:stop], compositions.amounts[start:stop]
        passes[row] = len(z) == 1
        for states in itertools.product(*(OXIDATION_STATES.get(SYMBOLS[element], ()) for element in z)):
            if abs(np.dot(states, amounts)) < 1e-6:
                sign = np.sign(states)
                cations, anions = electronegativity[z[sign > 0]], electronegativity[z[sign < 0]]
                if len(anions) and cations.max() < anions.min():
                    passes[row] = True
                    break
    return passes


def families(compositions: Compositions) -> dict[str, NDArray[np.bool_]]:
    mask = compositions.element_mask()

    def holds(symbols: str) -> NDArray[np.bool_]:
        return mask[:, [ATOMIC_NUMBERS[symbol] for symbol in symbols.split()]].any(axis=1)

    metals = np.array([symbol in METALS for symbol in SYMBOLS])
    oxide, halide, chalcogenide = holds("O"), holds("F Cl Br I"), holds("S Se Te")
    named = {
        "all": np.ones(len(compositions), bool),
        "metals only": ~mask[:, ~metals].any(axis=1),
        "oxides": oxide,
        "halides": halide & ~oxide,
        "chalcogenides": chalcogenide & ~oxide & ~halide,
    }
    rest = ~np.any([part for name, part in named.items() if name != "all"], axis=0)
    return {**named, "pnictides": rest & holds("N P As Sb Bi"), "all others": rest & ~holds("N P As Sb Bi")}


def smact_rule(compositions: Compositions) -> NDArray[np.bool_] | None:
    """smact's own function with its own table, or None where smact is not installed."""
    try:
        from smact.screening import smact_validity
    except ImportError:
        return None
    return np.array([bool(smact_validity(formula)) for formula in write_formulas(compositions)])


def check() -> None:
    """Share of known and of made-up compositions that each rule refuses, by family."""
    known = known_compositions()
    fiction = made_up(known, MADE_UP)
    judged = []
    for compositions in (known, fiction):
        found: ChargeBalance = charge_balance(compositions)
        plain, metals = plain_rule(compositions), families(compositions)["metals only"]
        rules = {
            "published": plain,
            "published, metals exempt": plain | metals,
            "ours, charges only": found.neutral,
            "ours, metals exempt": found.neutral | metals,
            "ours, metallic exempt": found.neutral | found.metallic,
        }
        if (own := smact_rule(compositions)) is not None:
            rules["smact"] = own
        judged.append((families(compositions), rules))
    (groups, rules), (fiction_groups, fiction_rules) = judged
    print(f"refused of {len(known):,} known | of {len(fiction):,} made-up compositions ('published' is Davies 2016)")
    for group, rows in groups.items():
        print(f"  {group} ({rows.sum():,} | {fiction_groups[group].sum():,})")
        for rule, passes in rules.items():
            refused = 1 - passes[rows].mean()
            print(f"    {rule:26} {refused:6.1%} | {1 - fiction_rules[rule][fiction_groups[group]].mean():6.1%}")
    apart = ~groups["metals only"]
    print(f"  known with a non-metal ({apart.sum():,} | {(~fiction_groups['metals only']).sum():,})")
    for rule, passes in rules.items():
        made = fiction_rules[rule][~fiction_groups["metals only"]]
        print(f"    {rule:26} {1 - passes[apart].mean():6.1%} | {1 - made.mean():6.1%}")
    if "smact" not in rules:
        print("  smact is not installed; its own function was not run")
    start = time.process_time()
    charge_balance(load_materials().compositions)
    print(f"  check: {len(load_materials()) / (time.process_time() - start):,.0f} compositions/s")


def rates() -> None:
    """Exact counts and candidates per second of processor time."""
    small = CompositionEnumeration([*POOL[:9], "O"], limit=100)
    next(small.intakes(50))  # compiles the kernels
    for width in (3, 4):
        source = CompositionEnumeration(POOL, fewest_elements=width, most_elements=width)
        start = time.process_time()
        total = source.count()
        print(
            f"{total:,} neutral compositions of {width} of 60 elements counted in {time.process_time() - start:.1f} s"
        )
    source = CompositionEnumeration(POOL, fewest_elements=4, most_elements=4, limit=2_000_000)
    stream("quaternary compositions as arrays", (len(part) for part in source.compositions(50_000)))
    source = CompositionEnumeration(POOL, limit=200_000)
    stream("... as batches with ids, formulas and origin", (len(part.batch) for part in source.intakes(20_000)))
    next(AlloyGrid(["Fe", "Ni"]).intakes(5))
    grid = AlloyGrid("Al Co Cr Fe Mn Ni Ti".split(), step="1/30")
    print(f"alloy grid of 7 elements in steps of 1/30: {grid.count():,} compositions")
    stream("alloys as arrays", (len(part) for part in grid.compositions(50_000)))
    next(PrototypeDecoration([*POOL[:20], "O"], limit=10).intakes(10))
    start = time.process_time()
    prototypes = PrototypeDecoration(POOL)
    total = prototypes.count()
    seconds = time.process_time() - start
    print(f"{total:,} decorations of {len(prototypes.prototypes)} prototypes counted in {seconds:.1f} s")
    few = PrototypeDecoration(POOL, limit=50_000)
    few.count()
    stream("decorated crystals", (len(part.batch) for part in few.intakes(5_000)))


def stream(what: str, sizes: object) -> None:
    start = time.process_time()
    total = sum(sizes)  # type: ignore[call-overload]
    print(f"{what}: {total / (time.process_time() - start):,.0f}/s")


def volumes() -> None:
    """Volume per atom of a packaged crystal taken over from one of the same space group, stoichiometry and orbits."""
    materials = load_materials()
    crystals, (reduced, _) = materials.crystals, materials.compositions.reduced()
    own = crystals.volumes / crystals.site_counts
    orbits = [len(set(one)) for one in materials.table.column("orbits").to_pylist()]
    alike = defaultdict(list)
    order = []
    for row, group in enumerate(materials.column("space_group_number")):
        entries = np.arange(*reduced.offsets[row : row + 2])
        entries = entries[np.argsort(reduced.amounts[entries], kind="stable")]
        order.append(entries)
        alike[group, tuple(reduced.amounts[entries]), orbits[row]].append(row)
    random = np.random.default_rng(0)
    pairs = [
        random.choice(members, 2, replace=False)
        for members in alike.values()
        for _ in range(min(20, 2 * len(members)) if len(members) > 1 else 0)
    ]
    this, other = np.array(pairs).T

    def sorted_by_amount(rows: NDArray[np.int64]) -> Compositions:
        flat = np.concatenate([order[row] for row in rows])
        offsets = np.concatenate([[0], np.cumsum(reduced.lengths[rows])])
        return Compositions(offsets, reduced.elements[flat], reduced.amounts[flat])

    scaled = np.abs(own[other] / own[this] * volume_ratios(sorted_by_amount(this), sorted_by_amount(other)) - 1)
    plain = np.abs(own[other] / own[this] - 1)
    print(f"volume of {len(pairs):,} pairs, median error: unscaled {np.median(plain):.1%}, ", end="")
    print(f"scaled {np.median(scaled):.1%}")


if __name__ == "__main__":
    print(describe("pymatgen"))
    check()
    rates()
    volumes()
