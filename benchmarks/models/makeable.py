"""P(makeable phase): do compositions with many known relatives appear in later lists, and as often as it says?

The earlier lists are those of the Materials Project by 2017: the packaged crystals and the transport data. The later
list is the table of the Materials Project of 2019; a second one are the compositions of OQMD in neither. The candidates
are the 160,000 most probable children of ionic substitution, as in the campaign ``optical_window`` before its filters,
whose compositions the earlier lists lack. Nothing of the later lists enters an order: kinship is that to the earlier
lists, and the curve in the tables of enrichment was learned from which children the earlier lists hold, each judged
without its own composition. What is picked first by each order is compared with random picks (20 draws).

Calibration is shown of that curve, and of the one that a run uses, which is learned from history: here in five folds of
whole chemical systems, so that no composition is judged by a curve that has seen its system.

``python benchmarks/models/makeable.py`` takes five minutes of one core.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import itertools  # noqa: E402  # after the thread limits
from collections.abc import Mapping  # noqa: E402
from typing import NamedTuple  # noqa: E402

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from matloop.data.candidates.compositions import Compositions, composition_keys  # noqa: E402
from matloop.data.candidates.formula import parse_formulas  # noqa: E402
from matloop.data.generators.ionic_substitution import IonicSubstitution  # noqa: E402
from matloop.data.packaged.computed_phases import load_computed_phases  # noqa: E402
from matloop.data.packaged.materials import load_materials  # noqa: E402
from matloop.data.properties.columns import Column  # noqa: E402
from matloop.featurizers.registry import feature_set  # noqa: E402
from matloop.models.stability.kinship import Kinship  # noqa: E402
from matloop.models.stability.makeable import (  # noqa: E402
    CHILDREN,
    MakeablePhase,
    Traits,
    earlier_compositions,
    listed_distances,
)
from matloop.models.surrogates.surrogate import Surrogate  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402

FEATURES = ("magpie", "stoichiometry", "valence_orbital", "charge_balance", "density", "symmetry")
PICKS, DRAWS, FOLDS, LIMIT = (100, 1_000, 5_000), 20, 5, 0.05
STEPS = np.array([0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.01])

Numbers = NDArray[np.float64]
Truths = NDArray[np.bool_]


class Children(NamedTuple):
    """Children of substitution: keys of their compositions, the columns that put them in order, one composition each.

    Attributes:
        keys: Key of each child's composition, shape (n,).
        substitution: Substitution probability, shape (n,).
        stable: P(hull) of the surrogate of the first stage, shape (n,).
        compositions: Each composition once, m of them, in the order of their first child.
        first: Row of the first child of each composition, shape (m,).
        of: Composition of each child, shape (n,).
    """

    keys: NDArray[np.uint64]
    substitution: Numbers
    stable: Numbers
    compositions: Compositions
    first: NDArray[np.int64]
    of: NDArray[np.int64]

    @classmethod
    def made(cls) -> Children:
        """Make them, and judge each as the first stage did without P(makeable phase)."""
        surrogate, features = _stability_surrogate()
        keys, chances, stable, parts = [], [], [], []
        for intake in IonicSubstitution(limit=CHILDREN).intakes(10_000):
            batch = intake.batch
            keys.append(composition_keys(batch.compositions))
            chances.append(batch.column(Column.SUBSTITUTION_PROBABILITY))
            predicted = surrogate.predict(features.featurize(batch)).probability_between(-np.inf, LIMIT)
            stable.append(np.nan_to_num(predicted))
            parts.append(batch.formulas)
        every = np.concatenate(keys)
        _, first, of = np.unique(every, return_index=True, return_inverse=True)
        order = np.argsort(first)
        formulas = np.concatenate([np.array(part, dtype=object) for part in parts])[first[order]]
        compositions, _ = parse_formulas(formulas.tolist(), exact=True)
        return cls(
            every, np.concatenate(chances), np.concatenate(stable), compositions, first[order],
            np.argsort(order)[of.ravel()],
        )  # fmt: skip


def _stability_surrogate() -> tuple[Surrogate, object]:
    """The surrogate of the energy above hull in the first stage of ``optical_window``, and its features."""
    features = feature_set(FEATURES)
    materials = load_materials()
    rows = np.flatnonzero(np.isfinite(materials.column("energy_above_hull_dft")))
    materials = materials.take(rows)
    values = materials.column("energy_above_hull_dft")
    return Surrogate.fit("energy_above_hull", features.featurize(materials), values, materials.groups()), features


def keys_of(source: str) -> NDArray[np.uint64]:
    """Keys of the compositions of a packaged table of phases."""
    formulas = load_computed_phases(source)[Column.FORMULA].to_pylist()
    return composition_keys(parse_formulas(formulas, exact=True)[0])


def shares(order: Numbers, truths: Mapping[str, Truths]) -> dict[str, list[float]]:
    """Share of each truth among the first picks of an order (largest first), for each number of picks."""
    ranked = np.argsort(-order, kind="stable")
    return {name: [float(truth[ranked[:picks]].mean()) for picks in PICKS] for name, truth in truths.items()}


def print_enrichment(orders: Mapping[str, Numbers], truths: Mapping[str, Truths]) -> None:
    """One line per order: shares among the first picks, and how many times those of the substitution probability."""
    n = len(next(iter(truths.values())))
    print("  of all " + f"{n:,}: " + ", ".join(f"{truth.mean():.2%} {name}" for name, truth in truths.items()))
    draws = [shares(np.random.default_rng(seed).random(n), truths) for seed in range(DRAWS)]
    for name in truths:
        drawn = np.array([draw[name] for draw in draws])
        base = shares(orders["substitution probability"], truths)[name]
        print(f"  {name}, among the first " + ", ".join(f"{picks:,}" for picks in PICKS))
        cells = [f"{mean:6.1%} ± {sd:.1%}" for mean, sd in zip(drawn.mean(axis=0), drawn.std(axis=0), strict=True)]
        print(f"    {f'random ({DRAWS} draws)':<44}" + "  ".join(f"{cell:<16}" for cell in cells))
        for words, order in orders.items():
            found = shares(order, truths)[name]
            cells = [f"{share:6.1%} ({share / other:.2f} x)" for share, other in zip(found, base, strict=True)]
            print(f"    {words:<44}" + "  ".join(f"{cell:<16}" for cell in cells), flush=True)


def print_calibration(words: str, chance: Numbers, truths: Mapping[str, Truths]) -> None:
    """Number of compositions, mean P and the shares that came true, by steps of P."""
    print(f"  {words}: mean P {chance.mean():.2%}, " + ", ".join(f"{t.mean():.2%} {n}" for n, t in truths.items()))
    at = np.digitize(chance, STEPS) - 1
    for step in np.unique(at):
        rows = at == step
        told = "  ".join(f"{truth[rows].mean():6.1%} {name}" for name, truth in truths.items())
        ends = f"P {STEPS[step]:.2f} to {min(STEPS[step + 1], 1):.2f}"
        print(f"    {ends}: {rows.sum():>7,} of mean {chance[rows].mean():6.1%}  {told}")


def chances_by_system(compositions: Compositions, traits: Traits, met: Truths, limit: float) -> Numbers:
    """P of each composition by a curve that has seen no composition of its chemical system."""
    systems = np.unique(np.packbits(compositions.element_mask(), axis=1), axis=0, return_inverse=True)[1].ravel()
    fold = np.random.default_rng(0).integers(0, FOLDS, systems.max() + 1)[systems]
    chance = np.full(len(met), np.nan)
    for held_out in (fold == number for number in range(FOLDS)):
        learned = MakeablePhase.fit(traits.take(~held_out), met[~held_out], limit=limit)
        chance[held_out] = learned.probability(traits.take(held_out))
    return chance


def print_invariance(
    compositions: Compositions, scores: Numbers, known: Truths, later: Kinship, listed: Truths
) -> None:
    """Share of compositions that a list holds, by kinship to the rest of it, for the earlier and the later one."""
    print("share of the children's compositions that a list holds, by kinship to the rest of that list")
    edges = [0, 1e-9, *np.expm1([1.0, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5]), np.inf]
    of_later = later.scores(compositions)
    for low, high in itertools.pairwise(edges):
        cells = []
        for values, truth in ((scores, known), (of_later, listed)):
            rows = (values >= low) & (values < high)
            cells.append(f"{truth[rows].mean():6.1%} of {rows.sum():>6,}")
        print(f"    kinship {low:5.1f} to {high:5.1f}:  earlier {cells[0]}   later {cells[1]}")


def main() -> None:
    """Print all tables."""
    print(describe("scikit-learn", "scipy"))
    earlier, children = earlier_compositions(), Children.made()
    earlier_keys, later_keys, oqmd_keys = composition_keys(earlier), keys_of("materials_project"), keys_of("oqmd")
    print(f"earlier lists {len(earlier_keys):,} compositions, later list {len(later_keys):,}, OQMD {len(oqmd_keys):,}")
    keys = composition_keys(children.compositions)
    known, listed = np.isin(keys, earlier_keys), np.isin(keys, later_keys)
    traits = Traits.of(children.compositions, Kinship.of(earlier))
    own_curve = MakeablePhase.fit(traits, known, limit=np.inf)
    chance = own_curve.probability(traits)
    new = np.flatnonzero(~known)
    distances = listed_distances(children.compositions.take(new))
    of_new = {
        "listed later": np.isfinite(distances), "listed by OQMD only": np.isin(keys[new], oqmd_keys) & ~listed[new],
        "listed within 50 meV/atom of the hull": distances <= LIMIT,
    }  # fmt: skip
    best = np.zeros((2, len(keys)))
    np.maximum.at(best[0], children.of, children.substitution)
    np.maximum.at(best[1], children.of, children.stable)
    print("\nenrichment, each new composition once, by its best child")
    print_enrichment(
        {"substitution probability": best[0][new], "P(hull) of the first stage": best[1][new],
         "P(makeable phase)": chance[new]}, of_new,
    )  # fmt: skip
    print("\nenrichment, children of new compositions")
    rows = np.flatnonzero(~known[children.of])
    place = np.cumsum(~known)[children.of[rows]] - 1
    relative = children.substitution / best[0][children.of]
    print_enrichment(
        {"substitution probability": children.substitution[rows], "P(hull) of the first stage": children.stable[rows],
         "P(makeable phase)": chance[children.of[rows]],
         "the same x relative substitution probability": (chance[children.of] * relative)[rows]},
        {name: truth[place] for name, truth in of_new.items()},
    )  # fmt: skip
    print("\ncalibration, each new composition once")
    print_calibration("curve of the earlier lists alone", chance[new], of_new)
    for limit, name in ((np.inf, "listed later"), (LIMIT, "listed within 50 meV/atom of the hull")):
        found = chances_by_system(children.compositions.take(new), traits.take(new), of_new[name], limit)
        print_calibration(f"curve of history, '{name}'", found, of_new)
    print()
    print_invariance(children.compositions, traits.kinship, known, Kinship.of(_later_compositions()), listed)


def _later_compositions() -> Compositions:
    return parse_formulas(load_computed_phases("materials_project")[Column.FORMULA].to_pylist(), exact=True)[0]


if __name__ == "__main__":
    main()
