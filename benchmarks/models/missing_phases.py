"""What a hull lacks, and how wrong differences of candidates are: the evidence behind the energy above the hull.

The packaged sample of relaxed candidates, all of compositions that the lists of 2017 lack, is placed by CHGNet on the
hull of the phases listed by then. The truth is SevenNet's place on the hull of 2019, which holds nearly three times as
many phases; a candidate's own composition is left out of both. So the truth counts both what CHGNet gets wrong and what
the hull lacked. "Before" are the errors alone, with a probability of at most a half where the place shows that
references are missing; "after" is the distribution that counts missing phases, learned from other chemical systems.

``python benchmarks/models/missing_phases.py`` takes a quarter of a minute of one core.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import itertools  # noqa: E402  # after the thread limits
from dataclasses import replace  # noqa: E402
from typing import NamedTuple  # noqa: E402

import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from sklearn.metrics import roc_auc_score  # noqa: E402

from matloop.data.candidates.compositions import Compositions, composition_keys  # noqa: E402
from matloop.data.packaged.materials import load_materials  # noqa: E402
from matloop.data.packaged.relaxed_children import load_relaxed_children  # noqa: E402
from matloop.models.grouped_folds import grouped_folds  # noqa: E402
from matloop.models.potentials.contract import GGA_AND_U  # noqa: E402
from matloop.models.stability.competition import Competition, places_among_polymorphs  # noqa: E402
from matloop.models.stability.computed_hull import computed_hull, computed_phases  # noqa: E402
from matloop.models.stability.coverage import ELEMENT_PRODUCTS, incomplete_references  # noqa: E402
from matloop.models.stability.elemental_references import ElementalReferences  # noqa: E402
from matloop.models.stability.error_distribution import ErrorDistribution  # noqa: E402
from matloop.models.stability.hull import Hull, HullDistances, packaged_references  # noqa: E402
from matloop.models.stability.packaged_stability import (  # noqa: E402
    DATABASE,
    database_formation_energies,
    earlier_phases,
    rises_between,
    sample_energies,
)
from matloop.models.stability.place_prediction import predict_places  # noqa: E402
from matloop.workflows.bench.hardware import describe  # noqa: E402

LIMIT = 0.05  # eV/atom
DEPTHS = (-np.inf, -0.1, -0.06, -0.03, 0.0, 0.05, np.inf)
STEPS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.01)
Numbers = NDArray[np.float64]
Rows = NDArray[np.bool_]


class Sample(NamedTuple):
    """The relaxed candidates.

    Attributes:
        compositions: Of n candidates.
        then: Where CHGNet puts them on the hull of 2017.
        now: CHGNet's place on the hull of 2019 in eV/atom, shape (n,).
        truth: SevenNet's place there, shape (n,).
        listed: Whether the database of 2019 lists the composition, shape (n,).
    """

    compositions: Compositions
    then: HullDistances
    now: Numbers
    truth: Numbers
    listed: Rows

    @property
    def errors(self) -> Numbers:
        """SevenNet less CHGNet, in eV/atom, shape (n,)."""
        return self.truth - self.now


class Said(NamedTuple):
    """What is said of n candidates, each of shape (n,)."""

    chance: Numbers
    value: Numbers
    low: Numbers
    high: Numbers


def read_sample() -> Sample:
    """Place the packaged sample on both hulls."""
    table, crystals, source = load_relaxed_children(), load_materials(), computed_phases(DATABASE).source
    labels, places = database_formation_energies(crystals), {}
    for name in ("chgnet", "sevennet"):
        elements = ElementalReferences.fitted(packaged_references(crystals, name), labels, corrected=GGA_AND_U)
        formation = replace(elements.formation_energies(sample_energies(table, name)), source=source)
        for year, hull in (("2017", Hull(earlier_phases())), ("2019", computed_hull(DATABASE))):
            places[name, year] = hull.distances(formation, leave_out_own_composition=True)
    now, truth = (places[name, "2019"].energy_above_hull for name in ("chgnet", "sevennet"))
    return Sample(formation.compositions, places["chgnet", "2017"], now, truth, table["listed"].to_numpy())


def print_rises(sample: Sample) -> None:
    """How much higher candidates lie on the hull of 2019, by where they lay on that of 2017."""
    place, rise = sample.then.energy_above_hull, sample.now - sample.then.energy_above_hull
    beside = incomplete_references(sample.compositions, sample.then)
    elements = np.array([ELEMENT_PRODUCTS in codes for codes in beside])
    print("\nRise of the place from the hull of 2017 to that of 2019 by CHGNet, eV/atom")
    heads = "".join(f"{word:>8}" for word in ("rows", "rose", "median", "90 %", "95 %", "most"))
    print(f"  {'place in 2017':<18}{'competes with':<16}{heads}")
    for low, high in itertools.pairwise(DEPTHS):
        for words, kind in (("compounds", ~elements), ("an element", elements)):
            found = rise[(place >= low) & (place < high) & kind]
            figures = (found > 0.001).mean(), *np.quantile(found, (0.5, 0.9, 0.95, 1.0))
            cells = "".join(f"{value:>8.3f}" for value in figures)
            print(f"  {f'{low:+.2f} to {high:+.2f}':<18}{words:<16}{len(found):>8}{cells}")


def print_differences(sample: Sample) -> None:
    """How wrong places are, and differences of places."""
    errors, keys = sample.errors, composition_keys(sample.compositions)
    systems = np.unique(sample.compositions.element_mask(), axis=0, return_inverse=True)[1].ravel()
    phases = sample_energies(load_relaxed_children(), "chgnet")
    _, lowest = places_among_polymorphs(phases)
    higher = np.flatnonzero(lowest != np.arange(len(lowest)))
    behind = phases.energies[higher] - phases.energies[lowest[higher]]
    of_pair = errors[higher] - errors[lowest[higher]]
    one, other = np.nonzero(np.triu(systems[:, None] == systems) & (keys[:, None] != keys))
    random = np.random.default_rng(0).permutation(len(errors))
    print("\nSevenNet less CHGNet, eV/atom")
    print(f"  {'':<52}{'rows':>6}{'median':>8}{'mean size':>11}")
    for words, found in (
        ("place, composition not listed", errors[~sample.listed]),
        ("difference of two random candidates", errors - errors[random]),
        ("of two of one chemical system, other compositions", np.concatenate([errors[one] - errors[other]])),
        ("of a crystal and the lowest of its composition", of_pair),
        ("the same, at most 0.01 eV/atom apart", of_pair[behind <= 0.01]),
        ("the same, 0.01 to 0.05 eV/atom apart", of_pair[(behind > 0.01) & (behind <= 0.05)]),
    ):
        print(f"  {words:<52}{len(found):>6}{np.median(found):>+8.3f}{np.abs(found).mean():>11.3f}")


def predicted(sample: Sample, *, counts_missing: bool) -> Said:
    """What is said of each candidate by what candidates of other chemical systems teach."""
    n = len(sample.truth)
    said = Said(*np.full((4, n), np.nan))
    systems = np.unique(sample.compositions.element_mask(), axis=0, return_inverse=True)[1].ravel()
    place = sample.then.energy_above_hull
    for train, test in grouped_folds(systems):
        new = train[~sample.listed[train]]
        errors = ErrorDistribution.of(sample.now[new], sample.truth[new], sample.compositions.take(new), local=False)
        missing = rises_between(place[train], sample.now[train]) if counts_missing else None
        there = replace(
            sample.then, energy_above_hull=place[test], codes=np.full(len(test), ""),
            products=[sample.then.products[row] for row in test.tolist()],
        )  # fmt: skip
        found = predict_places(errors, Competition.of_nobody(there), sample.compositions.take(test), missing=missing)
        low, high = found.interval(0.9)
        for column, values in zip(said, (found.share_between(-np.inf, LIMIT), found.median, low, high), strict=True):
            column[test] = values
    return said


def print_verdicts(sample: Sample, ways: dict[str, Said], flagged: Rows) -> None:
    """How well each way tells stable candidates from others, and whether its numbers agree."""
    stable, above = sample.truth <= LIMIT, np.maximum(sample.truth, 0)
    words = "AUC", "Brier", "unstable passed", "recall", "precision", "held", "flagged held", "open", "contradict"
    print(f"\nStable within {LIMIT} eV/atom of the hull of 2019 by SevenNet; intervals of 90 %")
    print(f"  {'':<34}{'rows':>6}{'stable':>8}" + "".join(f"{word:>{len(word) + 4}}" for word in words))
    for part, rows in (("not listed", ~sample.listed), ("listed", sample.listed), ("references missing", flagged)):
        for name, way in ways.items():
            yes, truth = way.chance[rows] > 0.5, stable[rows]
            held = (above >= way.low - 1e-9) & (above <= way.high + 1e-9)
            contradict = ((way.chance > 0.5) != (way.value <= LIMIT)) | ((way.high == 0) & (way.chance < 0.9))
            figures = (
                roc_auc_score(truth, way.chance[rows]), np.mean((way.chance[rows] - truth) ** 2), yes[~truth].mean(),
                yes[truth].mean(), truth[yes].mean() if yes.any() else np.nan, held[rows].mean(),
                held[rows & flagged].mean(), np.isinf(way.high[rows]).mean(), contradict[rows].mean(),
            )  # fmt: skip
            cells = "".join(f"{value:>{len(word) + 4}.3f}" for word, value in zip(words, figures, strict=True))
            print(f"  {f'{part}, {name}':<34}{rows.sum():>6}{truth.mean():>8.3f}{cells}")
    print("\nProbability:share of stable (rows)")
    for name, way in ways.items():
        for part, rows in (("not listed", ~sample.listed), ("all", np.ones(len(stable), bool))):
            cells = []
            for low, high in itertools.pairwise(STEPS):
                step = rows & (way.chance >= low) & (way.chance < high)
                if step.any():
                    cells.append(f"{way.chance[step].mean():.2f}:{stable[step].mean():.2f} ({step.sum()})")
            print(f"  {f'{name}, {part}':<34}{'  '.join(cells)}")


def main() -> None:
    """Print all blocks."""
    print(describe("numpy"))
    sample = read_sample()
    print(f"{len(sample.truth):,} candidates, {(~sample.listed).sum()} of compositions that the list of 2019 lacks too")
    print_rises(sample)
    print_differences(sample)
    flagged = incomplete_references(sample.compositions, sample.then) != ""
    errors_alone = predicted(sample, counts_missing=False)
    limited = errors_alone._replace(chance=np.where(flagged, np.minimum(errors_alone.chance, 0.5), errors_alone.chance))
    ways = {"errors alone": errors_alone, "before": limited, "after": predicted(sample, counts_missing=True)}
    print_verdicts(sample, ways, flagged)


if __name__ == "__main__":
    main()
