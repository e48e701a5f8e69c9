"""Stability from a potential and the hull of computed phases, judged on known crystals and on a sample of candidates.

Known crystals are judged as new: the phases of their own composition are left out of the hull, and the energies of the
elements and the errors come from folds that have not seen the composition (or, once more, any crystal of the same
elements). The truth is their formation energy by density functional theory in the same hull; stable means within 50
meV/atom. CHGNet and SevenNet learned from relaxations of the Materials Project that hold most of these crystals, so
they are better here than among candidates. "Before" is the hull of the packaged crystals by the potential alone, with
the errors of the 300 crystals nearest in distance. What the hull lacks is left out here, because the truth stands
in the same hull; ``benchmarks/models/missing_phases.py`` counts it.

The sample of candidates was relaxed with CHGNet; SevenNet judges the same crystals. Those of compositions that the
Materials Project does not list are what candidates are. Of those that it lists the truth of the composition is known,
which may have a lower polymorph than the candidate, or a higher one where the database never computed the best.

``python benchmarks/models/stability.py`` takes half a minute of one core.
"""

from __future__ import annotations

import itertools
import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import time  # noqa: E402  # after the thread limits
from dataclasses import replace  # noqa: E402

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from sklearn.metrics import roc_auc_score  # noqa: E402

from matloop.data.candidates.compositions import Compositions, composition_keys  # noqa: E402
from matloop.data.packaged.materials import load_materials  # noqa: E402
from matloop.data.packaged.relaxed_children import load_relaxed_children  # noqa: E402
from matloop.data.properties.columns import Column  # noqa: E402
from matloop.models.grouped_folds import grouped_folds  # noqa: E402
from matloop.models.potentials.contract import GGA_AND_U  # noqa: E402
from matloop.models.stability.competition import Competition  # noqa: E402
from matloop.models.stability.computed_hull import computed_hull, computed_phases  # noqa: E402
from matloop.models.stability.coverage import DEEPEST, incomplete_references  # noqa: E402
from matloop.models.stability.elemental_references import ElementalReferences  # noqa: E402
from matloop.models.stability.error_distribution import ErrorDistribution, NearbyValues  # noqa: E402
from matloop.models.stability.formation_energies import held_out_formation_energies  # noqa: E402
from matloop.models.stability.hull import Hull, HullDistances, PhaseEnergies, packaged_references  # noqa: E402
from matloop.models.stability.makeable import earlier_compositions  # noqa: E402
from matloop.models.stability.packaged_stability import (  # noqa: E402
    database_formation_energies,
    missing_phases,
    place_candidates,
    sample_energies,
)
from matloop.models.stability.place_prediction import predict_places  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402

LIMIT = 0.05  # eV/atom
POTENTIALS = {"CHGNet": "chgnet", "SevenNet": "sevennet"}
DATABASE = "materials_project"
STEPS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.01)
WIDTHS = (34, 6, 7, 8, 7, 10, 8, 10, 7, 9)
Chances = NDArray[np.float64]
Rows = NDArray[np.bool_]


def print_verdict(name: str, chance: Chances, stable: Rows, rows: Rows) -> None:
    """One line: how well a probability above a half tells the stable from the unstable."""
    rows = rows & np.isfinite(chance)
    said, truth = chance[rows] > 0.5, stable[rows]
    if truth.all() or not truth.any() or not said.any():
        print(f"  {name:<34}{rows.sum():>6}  too few of either kind")
        return
    recall, precision, share = said[truth].mean(), truth[said].mean(), truth.mean()
    f1, always = 2 * recall * precision / (recall + precision), 2 * share / (1 + share)
    print(
        f"  {name:<34}{rows.sum():>6}{roc_auc_score(truth, chance[rows]):>7.3f}{share:>8.3f}{said.mean():>7.3f}"
        f"{said[~truth].mean():>10.3f}{recall:>8.3f}{precision:>10.3f}{f1:>7.3f}{always:>9.3f}"
    )


def print_header() -> None:
    """Names of the columns of :func:`print_verdict`."""
    first = ("", "rows", "AUC", "stable", "said", "unstable", "recall", "precision", "F1", "F1 of")
    second = ("", "", "", "", "", "passed", "", "", "", "all yes")
    for words in (first, second):
        print("  " + "".join(f"{word:>{width}}" for word, width in zip(words, WIDTHS, strict=True)))


def print_reliability(name: str, chance: Chances, stable: Rows, rows: Rows) -> None:
    """Mean probability and share of stable rows by steps of probability."""
    parts = []
    for low, high in itertools.pairwise(STEPS):
        step = rows & (chance >= low) & (chance < high)
        if step.any():
            parts.append(f"{chance[step].mean():.2f}:{stable[step].mean():.2f} ({step.sum()})")
    print(f"  {name:<30}{'  '.join(parts)}")


def kinds(compositions: Compositions) -> dict[str, Rows]:
    """Rows by their most electronegative anion."""
    holds = compositions.element_mask()
    left, found = np.ones(len(compositions), bool), {}
    anions = {
        "oxides": [8], "nitrides": [7], "halides": [9, 17, 35, 53], "chalcogenides": [16, 34, 52],
        "with H, B, C, Si, P or As": [1, 5, 6, 14, 15, 33],
    }  # fmt: skip
    for name, elements in anions.items():
        found[name] = left & holds[:, elements].any(axis=1)
        left &= ~found[name]
    return {**found, "intermetallics": left}


def chances(above: Chances, truth: Chances, compositions: Compositions, groups: NDArray[np.integer]) -> Chances:
    """Probability of being stable by the errors of crystals in other folds."""
    usable = np.flatnonzero(np.isfinite(above - truth))
    found = np.full(len(above), np.nan)
    for train, test in grouped_folds(np.unique(groups[usable], return_inverse=True)[1].ravel()):
        rows, held = usable[train], usable[test]
        errors = ErrorDistribution.of(above[rows], truth[rows], compositions.take(rows), local=False)
        codes = np.full(len(held), "")
        prediction = errors.around("energy_above_hull", above[held], compositions.take(held), codes)
        found[held] = prediction.probability_between(-np.inf, LIMIT)
    return found


def chances_before(potential: str, groups: NDArray[np.integer]) -> Chances:
    """The same from the hull of the packaged crystals by the potential, and from their labels."""
    crystals = load_materials()
    labels = crystals.column("formation_energy_per_atom_dft").astype(float)
    corrected = GGA_AND_U if potential == "sevennet" else ()
    references = packaged_references(crystals, potential)
    elements = ElementalReferences.fitted(references, labels, corrected=corrected)
    formation = elements.formation_energies(references)
    above = Hull(formation.joined(elements.elements())).distances(formation, leave_out_own_composition=True)
    truth = crystals.column("energy_above_hull_dft").astype(float)
    residuals = truth - np.maximum(above.energy_above_hull, 0)
    usable = np.flatnonzero(np.isfinite(residuals))
    found = np.full(len(truth), np.nan)
    # Every crystal is judged, also those without a label.
    judged = np.flatnonzero(np.isfinite(above.energy_above_hull))
    for train, test in grouped_folds(np.unique(groups, return_inverse=True)[1].ravel()):
        rows = np.intersect1d(usable, train)
        rows = rows[np.argsort(above.energy_above_hull[rows])]
        held = np.intersect1d(judged, test)
        first = np.searchsorted(above.energy_above_hull[rows], above.energy_above_hull[held]) - 150
        near = residuals[rows][np.clip(first, 0, len(rows) - 300)[:, None] + np.arange(300)]
        values = np.maximum(above.energy_above_hull[held], 0)[:, None] + near
        found[held] = (values <= LIMIT).mean(axis=1)
    return found


def judge_known_crystals() -> None:
    """Known crystals as new: before, after, both potentials, by chemistry, and in OQMD."""
    crystals, hull = load_materials(), computed_hull(DATABASE)
    compositions, known = crystals.compositions, database_formation_energies(crystals)
    compounds = compositions.lengths > 1
    dft = PhaseEnergies(hull.references.source, compositions, np.where(compounds, known, np.nan), crystals.ids)
    truth = hull.distances(dft, leave_out_own_composition=True).energy_above_hull
    stable, mixture = truth <= LIMIT, known - truth
    keys = composition_keys(compositions)
    systems = np.unique(compositions.element_mask(), axis=0, return_inverse=True)[1].ravel()
    print(f"\nKnown crystals judged as new: {np.isfinite(truth).sum()} with a truth")
    print_header()
    after, errors = {}, []
    for name, potential in POTENTIALS.items():
        rows = np.isfinite(truth)
        print_verdict(f"{name}, before", chances_before(potential, keys), stable, rows)
        for words, groups in (("after", keys), ("after, folds of systems", systems)):
            references = packaged_references(crystals, potential)
            found = held_out_formation_energies(references, known, corrected=GGA_AND_U, groups=groups)
            errors.append(f"{name}, {words}, {np.nanmean(np.abs(found - known)):.4f}")
            after[name, words] = chances(found - mixture, truth, compositions, groups)
            print_verdict(f"{name}, {words}", after[name, words], stable, rows)
    ours = {name: after[name, "after"] for name in POTENTIALS}
    ours["both potentials, pooled"] = (ours["CHGNet"] + ours["SevenNet"]) / 2
    agree = (ours["CHGNet"] > 0.5) == (ours["SevenNet"] > 0.5)
    print_verdict("both potentials, pooled", ours["both potentials, pooled"], stable, np.isfinite(truth))
    print_verdict("both, where they agree", ours["both potentials, pooled"], stable, agree)
    print_verdict("random order", np.random.default_rng(0).random(len(truth)), stable, np.isfinite(truth))
    print("  mean error of formation energies that the fit has not seen, in eV/atom: " + "; ".join(errors))
    for name, chance in ours.items():
        print(f"\n{name}, by chemistry")
        print_header()
        for kind, rows in kinds(compositions).items():
            print_verdict(kind, chance, stable, rows & np.isfinite(truth))
    print("\nProbability:share of stable (rows)")
    for name, chance in ours.items():
        print_reliability(name, chance, stable, np.isfinite(chance))
    print_outside_test(ours, compositions, keys)


def print_outside_test(ours: dict[str, Chances], compositions: Compositions, keys: NDArray[np.uint64]) -> None:
    """The same probabilities against the hull of OQMD, which nothing here was learned from."""
    hull, phases = computed_hull("oqmd"), computed_phases("oqmd")
    at = {key: row for row, key in enumerate(composition_keys(phases.compositions).tolist())}
    rows = np.array([at.get(key, -1) for key in keys.tolist()])
    energies = np.where((rows >= 0) & (compositions.lengths > 1), phases.energies[rows], np.nan)
    judged = PhaseEnergies(phases.source, compositions, energies, [""] * len(keys))
    above = hull.distances(judged, leave_out_own_composition=True).energy_above_hull
    print("\nAgainst OQMD: lowest phase of the composition in its own hull, own composition left out")
    print_header()
    for name, chance in ours.items():
        print_verdict(name, chance, above <= LIMIT, np.isfinite(above))


def judge_sample() -> None:
    """The sample of candidates: where they lie, and what the probability of CHGNet is worth."""
    table, crystals, hull = load_relaxed_children(), load_materials(), computed_hull(DATABASE)
    known, formulas = database_formation_energies(crystals), table[Column.FORMULA].to_pylist()
    listed = table["listed"].to_numpy()
    places, flags, there = {}, {}, {}
    for name, potential in POTENTIALS.items():
        references = packaged_references(crystals, potential)
        elements = ElementalReferences.fitted(references, known, corrected=GGA_AND_U)
        phases = sample_energies(table, potential)
        there[name] = distances = place_candidates(phases, elements)
        places[name] = distances.energy_above_hull
        flags[name] = incomplete_references(phases.compositions, distances) != ""
        own = elements.formation_energies(references)
        if name == "CHGNet":
            by_potential = Hull(own.joined(elements.elements())).distances(elements.formation_energies(phases))
            places["CHGNet, its own hull (before)"] = by_potential.energy_above_hull
    compositions = phases.compositions
    print(
        f"\nA sample of candidates: {len(formulas)}, {(~listed).sum()} of compositions that the database does not list"
    )
    print(f"  {'':<32}{'new: below hull':>16}{'within 50 meV':>15}{'median':>8}")
    for name, above in places.items():
        new = above[~listed & np.isfinite(above)]
        print(f"  {name:<32}{(new < 0).mean():>16.3f}{(new <= LIMIT).mean():>15.3f}{np.median(new):>+8.3f}")
    higher = (places["SevenNet"] - places["CHGNet"])[~listed]
    size = np.nanmean(np.abs(higher))
    print(f"  SevenNet less CHGNet, new: median {np.nanmedian(higher):+.3f}, mean size {size:.3f} eV/atom")
    chance = held_out_chances(places, there["CHGNet"], compositions, listed)
    stable = places["SevenNet"] <= LIMIT
    print(
        "\nCHGNet's probability, errors of new candidates in other folds of compositions; the truth is SevenNet's place"
    )
    print_header()
    print_verdict("new compositions", chance, stable, ~listed)
    print_verdict("listed compositions", chance, stable, listed)
    uncalibrated = (places["CHGNet"] <= LIMIT).astype(float)
    print_verdict("new, place within 50 meV", uncalibrated, stable, ~listed)
    counting = held_out_chances(places, there["CHGNet"], compositions, listed, missing_phases(load_materials()))
    print_verdict("new, counting missing phases", counting, stable, ~listed)
    print_reliability("new compositions", chance, stable, ~listed)
    print_reliability("new, counting missing phases", counting, stable, ~listed)
    print_reliability("listed compositions", chance, stable, listed)
    shares = [flags["CHGNet"][~listed & rows].mean() for rows in (stable, ~stable)]
    print(f"  called incomplete, new: {shares[0]:.1%} of the stable and {shares[1]:.1%} of the others")
    print("\nListed compositions; the truth is the place of the lowest phase that the database has of the composition")
    print_header()
    phases = computed_phases(DATABASE)
    at = {key: row for row, key in enumerate(composition_keys(phases.compositions).tolist())}
    rows = [at.get(key, -1) for key in composition_keys(compositions).tolist()]
    truth = np.where(np.array(rows) >= 0, phases.energies[rows], np.nan)
    lowest = PhaseEnergies(phases.source, compositions, truth, formulas)
    above = hull.distances(lowest, leave_out_own_composition=True).energy_above_hull
    rows = listed & np.isfinite(above)
    print_verdict("CHGNet's probability", chance, above <= LIMIT, rows)
    print_verdict("SevenNet, place within 50 meV", stable.astype(float), above <= LIMIT, rows)
    print_reliability("CHGNet's probability", chance, above <= LIMIT, rows)


def judge_later_compounds() -> None:
    """What the rules about missing references say of compounds that were added after 2017, by the hull of 2017."""
    phases, keys = computed_phases(DATABASE), composition_keys(earlier_compositions())
    elements = phases.compositions.lengths == 1
    earlier = np.isin(composition_keys(phases.compositions), keys) | elements
    later = phases.take(np.flatnonzero(~earlier))
    stable = computed_hull(DATABASE).distances(later, leave_out_own_composition=True).energy_above_hull <= LIMIT
    found = Hull(phases.take(np.flatnonzero(earlier))).distances(later)
    flags = incomplete_references(later.compositions, found) != ""
    print(f"\nCompounds listed after 2017: {len(stable):,}, {stable.mean():.1%} stable in the hull of 2019")
    deep = (found.energy_above_hull < DEEPEST).mean()
    print(f"  more than {-1000 * DEEPEST:.0f} meV/atom below the hull of 2017: {deep:.1%}")
    shares = flags[stable].mean(), flags[~stable].mean()
    print(f"  called incomplete: {shares[0]:.1%} of the stable and {shares[1]:.1%} of the others")


def held_out_chances(
    places: dict[str, Chances], there: HullDistances, compositions: Compositions, listed: Rows,
    missing: NearbyValues | None = None,
) -> Chances:  # fmt: skip
    """CHGNet's probability by the errors of new candidates whose composition is in other folds."""
    above, truth = places["CHGNet"], places["SevenNet"]
    usable, found = np.flatnonzero(np.isfinite(above - truth)), np.full(len(above), np.nan)
    for train, test in grouped_folds(np.unique(composition_keys(compositions)[usable], return_inverse=True)[1].ravel()):
        rows, held = usable[train], usable[test]
        rows = rows[~listed[rows]]
        errors = ErrorDistribution.of(above[rows], truth[rows], compositions.take(rows), local=False)
        products = [there.products[row] for row in held.tolist()]
        judged = replace(there, energy_above_hull=above[held], codes=there.codes[held], products=products)
        lone = Competition.of_nobody(judged)
        prediction = predict_places(errors, lone, compositions.take(held), missing=missing)
        found[held] = prediction.probability_between(-np.inf, LIMIT)
    return found


def main() -> None:
    """Print all blocks."""
    start = time.process_time()
    print(describe("numpy", "numba"))
    judge_known_crystals()
    judge_sample()
    judge_later_compounds()
    print(f"\n{time.process_time() - start:.0f} s of one core")


if __name__ == "__main__":
    main()
