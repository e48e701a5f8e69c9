"""Measure what outcomes of a laboratory are worth: does P(made) get better for the compounds it has not tried?

No packaged data tell failed syntheses. Lists of computed compounds stand in for them: compositions that ionic
substitution makes and that the lists of 2017 lack, of which the list of 2019 names some near its hull. A laboratory
works on the compositions with one element. It tries some of them, drawn at random, and learns which the later list
names. The prior is P(makeable phase), learned from compositions without the element. The score is the mean
logarithmic loss on the compositions with the element that were not tried, beside that of the prior and of the
laboratory's own rate of success.

The standard deviations of the correction are compared on the elements of even atomic number; those of the package are
reported on the odd ones, which no choice has seen.

    python benchmarks/models/laboratory_outcomes.py
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.data.elements import SYMBOLS
from matloop.models.stability.kinship import Kinship
from matloop.models.stability.laboratory_outcomes import ALIKE, COMMON, LaboratoryOutcomes
from matloop.models.stability.makeable import (
    MakeablePhase,
    Traits,
    earlier_compositions,
    listed_distances,
    substituted_compositions,
)

LIMIT = 0.05  # eV/atom above the hull
TRIED = (5, 20, 80)
REPEATS = 3
FEWEST, MOST_MET = 400, 0.95  # compositions of an element, and their share of successes
MOST_JUDGED = 2000
OTHERS = ((0.25, 0.5), (0.5, 0.5), (0.5, 1.0), (1.0, 1.0), (0.5, 2.0), (1.0, 2.0))


class Chemistry(NamedTuple):
    """Compositions with one element, the prior of each, and which the later list names."""

    symbol: str
    compositions: Compositions
    prior: NDArray[np.float64]
    met: NDArray[np.bool_]


def chemistries(children: int) -> Iterator[Chemistry]:
    """The elements with enough compositions, each with a prior that saw none of them."""
    earlier, made = earlier_compositions(), substituted_compositions(children)
    new = made.take(np.flatnonzero(~np.isin(composition_keys(made), composition_keys(earlier))))
    traits, met = Traits.of(new, Kinship.of(earlier)), np.isfinite(listed_distances(new))
    met &= np.nan_to_num(listed_distances(new), posinf=np.inf) <= LIMIT
    mask = new.element_mask()
    for number in np.flatnonzero(mask.sum(axis=0) >= FEWEST).tolist():
        rows = np.flatnonzero(mask[:, number])
        if not 20 <= met[rows].sum() <= MOST_MET * len(rows):
            continue
        others = np.flatnonzero(~mask[:, number])
        prior = MakeablePhase.fit(traits.take(others), met[others], limit=LIMIT).probability(traits.take(rows))
        yield Chemistry(SYMBOLS[number], new.take(rows), prior, met[rows])


def loss(chance: NDArray[np.float64], met: NDArray[np.bool_]) -> float:
    """Mean logarithmic loss."""
    chance = np.clip(chance, 1e-6, 1 - 1e-6)
    return float(-(xlogy(met, chance) + xlogy(~met, 1 - chance)).mean())


def losses(one: Chemistry, tried: int, spreads: Sequence[tuple[float, float]], seed: int) -> list[float]:
    """Losses of the prior, of the rate of success, and of the correction with each pair of standard deviations."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(one.met))
    seen, rest = order[:tried], order[tried:][:MOST_JUDGED]
    success = one.met[seen].astype(float)
    rate = np.full(len(rest), (success.sum() + 1) / (tried + 2))
    found = [loss(one.prior[rest], one.met[rest]), loss(rate, one.met[rest])]
    for common, alike in spreads:
        outcomes = LaboratoryOutcomes.fit(
            one.compositions.take(seen), one.prior[seen], success, common=common, alike=alike
        )  # fmt: skip
        found.append(loss(outcomes.probability(one.compositions.take(rest), one.prior[rest]), one.met[rest]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--children", type=int, default=60_000, help="Children of ionic substitution.")
    found = list(chemistries(parser.parse_args().children))
    halves = {
        "even atomic numbers, for the choice": [one for one in found if SYMBOLS.index(one.symbol) % 2 == 0],
        "odd atomic numbers, unseen by the choice": [one for one in found if SYMBOLS.index(one.symbol) % 2],
    }
    for name, chosen in halves.items():
        rows, met = sum(len(one.met) for one in chosen), np.mean([one.met.mean() for one in chosen])
        print(f"{name}: {len(chosen)} elements, {rows:,} compositions, {100 * met:.1f} % of them listed")
        spreads = OTHERS if "choice" in name and "unseen" not in name else ((COMMON, ALIKE),)
        heads = ["prior", "own rate", *(f"common {common:g}, alike {alike:g}" for common, alike in spreads)]
        for tried in TRIED:
            table = np.array([
                losses(one, tried, spreads, seed) for one in chosen for seed in range(REPEATS)
            ])  # fmt: skip
            print(f"  {tried} tried; mean logarithmic loss on the others, and share of laboratories below the prior:")
            for at, head in enumerate(heads):
                better = "" if at == 0 else f"   {100 * (table[:, at] < table[:, 0]).mean():.0f} %"
                print(f"    {head:24} {table[:, at].mean():.4f}{better}")


if __name__ == "__main__":
    main()
