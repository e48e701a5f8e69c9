"""Insulator or metal: how well the classifier tells them apart, and what it does to P(band gap >= 0.5 eV).

python benchmarks/models/metals.py [--classes]

Every composition is judged by trees that did not learn from it. The rivals know one number of a composition: whether
usual oxidation states balance, and the largest difference in electronegativity. With ``--classes`` whole classes of
compounds are hidden too, which takes minutes. Then the gap itself: compositions of the Materials Project, which the
trees that judge them did not see and no packaged crystal has, and compositions that stand in no source, against gaps of
the OQMD. At last, named metals that are left out of training.
"""

from __future__ import annotations

import argparse
import functools
import itertools
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.data.candidates.formula import parse_formulas
from matloop.data.chemistry.charge_balance import charge_balance
from matloop.data.chemistry.oxidation_states import METALS
from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.feature_matrix import FeatureMatrix
from matloop.data.packaged.computed_properties import load_computed_properties
from matloop.data.packaged.insulators import GAPS, SMALLEST_SEEBECK, SOURCES, InsulatorLabels, insulator_labels
from matloop.data.packaged.transport import load_transport
from matloop.data.training.packaged_tables import packaged_training_set
from matloop.featurizers.base import FeatureSet
from matloop.featurizers.registry import feature_set
from matloop.models.surrogates.insulators import InsulatorClassifier, area_under_curve
from matloop.models.surrogates.prediction import Prediction
from matloop.models.surrogates.surrogate import Surrogate
from matloop.workflows.bench.hardware import describe as describe_hardware
from matloop.workflows.stages.insulators import composition_features, train_insulators
from matloop.workflows.train import OF_COMPOSITIONS

NAMED = ("ReO3", "NbO", "LaNiO3", "CrO2", "Ti2O3")
"""Metals at room temperature or above; Ti2O3 only above 450 K."""
LIMIT = 0.5
_ANIONS = {"oxides": "O", "halides": "F Cl Br I", "chalcogenides": "S Se Te", "nitrides": "N"}


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--classes", action="store_true", help="hide whole classes of compounds")
    parser.add_argument("--rows", type=int, default=40_000, help="compositions of the OQMD that are predicted")
    parser.add_argument("--list", action="store_true", help="name every composition on which the sources disagree")
    options = parser.parse_args()
    print(describe_hardware("lightgbm"))
    labels = insulator_labels()
    describe(labels, listed=options.list)
    classifier = train_insulators(labels, threads=options.threads)
    batch = labels.batch
    features = composition_features().featurize(batch)
    by_chemistry(labels, batch, classifier, features)
    if options.classes:
        hidden_classes(labels, batch, threads=options.threads)
    of_dielectrics(classifier)
    surrogate = gap_surrogate()
    against_gaps_of_held_out(labels, batch, classifier, surrogate)
    against_other_gaps(labels, classifier, surrogate, rows=options.rows)
    named_metals(labels, surrogate, threads=options.threads)


def describe(labels: InsulatorLabels, *, listed: bool) -> None:
    """Print how many compositions each source knows, and where two of them disagree."""
    for source in SOURCES:
        known, insulating = np.isfinite(labels.of(source)), labels.of(source) > 0.5
        print(f"{known.sum():,} compositions with {source}, {insulating.sum():,} of them insulators")
    for first, second in itertools.combinations(SOURCES, 2):
        both = np.isfinite(labels.of(first)) & np.isfinite(labels.of(second))
        unlike = (labels.of(first) - 0.5) * (labels.of(second) - 0.5) < 0
        print(f"{both.sum():,} stand in {first} and in {second}, which disagree on {unlike.sum():,}:")
        for words, rows in (
            (f"insulators by {first} alone", unlike & (labels.of(first) > 0.5)),
            (f"metals by {first} alone", unlike & (labels.of(first) < 0.5)),
        ):
            names = sorted(labels.formulas[row] for row in np.flatnonzero(rows))
            shown = ", ".join(names if listed else names[:6])
            print(f"  {len(names)} {words}: {shown}{'' if listed else ' ...'}")


def chemistry_of(compositions: Compositions) -> dict[str, NDArray[np.bool_]]:
    """Rows of each chemistry: compounds with one kind of anion, and compounds of metals alone."""
    present = compositions.element_mask()
    having = {name: present[:, [ATOMIC_NUMBERS[s] for s in text.split()]].any(axis=1) for name, text in _ANIONS.items()}
    kinds = np.sum(list(having.values()), axis=0)
    found = {name: rows & (kinds == 1) for name, rows in having.items()}
    nonmetal = np.ones(present.shape[1], bool)
    nonmetal[[ATOMIC_NUMBERS[symbol] for symbol in METALS]] = False
    found["intermetallics"] = ~present[:, nonmetal].any(axis=1)
    found["others"] = ~np.logical_or.reduce(list(found.values()))
    return found


def rivals_of(batch: CandidateBatch) -> dict[str, NDArray[np.float64]]:
    """One number of each composition, larger for what looks like an insulator."""
    features = composition_features().featurize(batch)
    balance = charge_balance(batch.compositions)
    return {
        "balanced charges": balance.neutral * 1.0,
        "electronegativities": features.values[:, features.names.index("MagpieData range Electronegativity")],
    }


def by_chemistry(
    labels: InsulatorLabels, batch: CandidateBatch, classifier: InsulatorClassifier, features: FeatureMatrix
) -> None:
    """Print the area under the curve for each chemistry and source, beside the rivals."""
    rivals = {name: np.nan_to_num(values) for name, values in rivals_of(batch).items()}
    everything = {"all": np.ones(len(batch), bool), **chemistry_of(batch.compositions)}
    print("\ncomposition held out: AUC (compositions, share of insulators)")
    for source in SOURCES:
        said, chance = labels.of(source), classifier.predict_as_new(features, batch.compositions, source).probability
        known = np.isfinite(said) & (said != 0.5)
        for name, rows in everything.items():
            at = np.flatnonzero(rows & known)
            others = [f"{rival} {area_under_curve(values[at], said[at]):.3f}" for rival, values in rivals.items()]
            print(
                f"  {source} {name:15} {area_under_curve(chance[at], said[at]):.3f}  {', '.join(others)}  "
                f"({len(at):,}, {(said[at] > 0.5).mean():.2f})"
            )


def hidden_classes(labels: InsulatorLabels, batch: CandidateBatch, *, threads: int) -> None:
    """Print the area under the curve where all compounds of the class are left out of training."""
    print(f"\nwhole class hidden, {GAPS}: AUC, mean probability promised, share of insulators")
    said = labels.of(GAPS)
    for name, rows in chemistry_of(batch.compositions).items():
        other = train_insulators(labels.take(np.flatnonzero(~rows)), threads=threads)
        at = np.flatnonzero(rows & np.isfinite(said))
        chance = other.predict(composition_features().featurize(batch.take(at)), GAPS).probability
        share = (said[at] > 0.5).mean()
        print(f"  {name:15} {area_under_curve(chance, said[at]):.3f}  {chance.mean():.2f}  {share:.2f}", flush=True)


def of_dielectrics(classifier: InsulatorClassifier) -> None:
    """Print what becomes of the packaged dielectrics, all of which have a gap."""
    gaps = packaged_training_set("refractive_index").rows
    features = composition_features().featurize(gaps)
    print(f"\n{len(gaps):,} packaged dielectrics: mean P(insulator), and how many below 0.5")
    for words, chance in (
        ("composition held out", classifier.predict_as_new(features, gaps.compositions, GAPS).probability),
        ("as a run judges them", classifier.predict(features, GAPS).probability),
    ):
        print(f"  {words} {chance.mean():.3f}, {(chance < 0.5).sum()}")
    transport = load_transport()
    smaller = np.minimum(*(np.abs(transport[f"seebeck_{sign}_dft"].to_numpy()) for sign in "pn"))
    compositions, _ = parse_formulas(transport["formula"].to_pylist(), exact=True)
    of_dielectric = np.isin(composition_keys(compositions), composition_keys(gaps.compositions))
    marked = (smaller > SMALLEST_SEEBECK)[of_dielectric]
    share = f"{marked.mean():.1%} of their {len(marked):,} rows"
    print(f"  {share} in the transport table are insulators by Seebeck coefficients")


@functools.cache
def surrogate_features() -> FeatureSet:
    """What the surrogate of the gap knows of a composition."""
    return feature_set(OF_COMPOSITIONS)


def gap_surrogate() -> Surrogate:
    """The surrogate of the packaged gaps by composition."""
    gaps = packaged_training_set("band_gap")
    return Surrogate.fit(
        "band_gap", surrogate_features().featurize(gaps.rows), gaps.values, gaps.groups, ids=gaps.rows.ids
    )  # fmt: skip


def chances_of_gap(
    classifier: InsulatorClassifier, surrogate: Surrogate, batch: CandidateBatch
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """P(insulator) and P(gap >= limit | insulator) of n candidates, each (n,)."""
    features = composition_features().featurize(batch)
    chance = surrogate.predict(surrogate_features().featurize(batch)).probability_between(LIMIT, np.inf)
    return classifier.predict(features, GAPS).probability, chance


def named_metals(labels: InsulatorLabels, surrogate: Surrogate, *, threads: int) -> None:
    """Print the probabilities of known metals that the classifier did not learn from."""
    batch = CandidateBatch.from_formulas(list(NAMED)).batch
    other = train_insulators(labels.without(NAMED), threads=threads)
    print(f"\nleft out of training: P(insulator), P(gap >= {LIMIT} eV | insulator), P(gap >= {LIMIT} eV)")
    for name, insulator, gap in zip(batch.formulas, *chances_of_gap(other, surrogate, batch), strict=True):
        print(f"  {name:7} {insulator:.2f}  {gap:.2f}  {insulator * gap:.2f}")


def against_gaps_of_held_out(
    labels: InsulatorLabels, batch: CandidateBatch, classifier: InsulatorClassifier, surrogate: Surrogate
) -> None:
    """Print how far mixture intervals hold on metals and insulators that nothing which judges them learned from."""
    table = load_computed_properties("band_gap")
    gap_of = dict(zip(table["formula"].to_pylist(), table["value"].to_pylist(), strict=True))
    truth = np.array([gap_of.get(formula, np.nan) for formula in batch.formulas])
    learned = composition_keys(packaged_training_set("band_gap").rows.compositions)
    new = np.flatnonzero(np.isfinite(truth) & ~np.isin(composition_keys(batch.compositions), learned))
    others = batch.take(new)
    features = composition_features().featurize(others)
    chance = classifier.predict_as_new(features, others.compositions, GAPS).probability
    prediction = surrogate.predict(surrogate_features().featurize(others))
    print(f"\n{len(new):,} compositions of the Materials Project, held out; 90 % intervals")
    tell_intervals(truth[new], prediction, chance)


def against_other_gaps(
    labels: InsulatorLabels, classifier: InsulatorClassifier, surrogate: Surrogate, *, rows: int
) -> None:
    """Print promised against met for compositions of another database, which nothing learned from."""
    gaps = load_computed_properties("band_gap", "oqmd")
    batch, refused = CandidateBatch.from_formulas(gaps["formula"].to_pylist(), exact=True)
    values = np.delete(gaps["value"].to_numpy(), [row.row for row in refused])
    learned = [labels.batch.compositions, packaged_training_set("band_gap").rows.compositions]
    keys = composition_keys(batch.compositions)
    new = np.flatnonzero(~np.isin(keys, np.concatenate([composition_keys(each) for each in learned])))
    chosen = np.sort(np.random.default_rng(0).choice(new, min(rows, len(new)), replace=False))
    others, truth = batch.take(chosen), values[chosen]
    insulator, gap = chances_of_gap(classifier, surrogate, others)
    told = np.isfinite(gap)
    print(f"\n{told.sum():,} of {len(new):,} compositions of the OQMD that stand in no source")
    print(f"  share with a gap {(truth > 0)[told].mean():.3f}, mean P(insulator) {insulator[told].mean():.3f}")
    rivals = {name: np.nan_to_num(numbers) for name, numbers in rivals_of(others).items()}
    for name, which in {"all": told, **chemistry_of(others.compositions)}.items():
        at = np.flatnonzero(which & told)
        said = [f"{rival} {area_under_curve(numbers[at], truth[at] > 0):.3f}" for rival, numbers in rivals.items()]
        print(f"  {name:15} AUC {area_under_curve(insulator[at], truth[at] > 0):.3f}  {', '.join(said)}  "
              f"({len(at):,}, {(truth[at] > 0).mean():.3f})")  # fmt: skip
    reached = truth[told] >= LIMIT
    print(f"  gap >= {LIMIT} eV: met by {reached.mean():.3f}, Brier score of promising that {reached.var():.3f}")
    for name, chance in (("surrogate alone", gap), ("with the classifier", insulator * gap)):
        promised(name, chance[told], reached)


def tell_intervals(truth: NDArray[np.float64], prediction: Prediction, chance: NDArray[np.float64]) -> None:
    """Print coverage and width of the intervals with P(insulator) and without, for metals and for insulators."""
    told = np.isfinite(prediction.centre)
    for name, one in (("surrogate alone", prediction), ("with the classifier", replace(prediction, insulator=chance))):
        low, high = one.interval(0.9)
        held = (low <= truth) & (truth <= high)
        inside, metal = told & prediction.in_domain, truth == 0
        print(f"  {name:20} hold {held[told].mean():.3f} (metals {held[told & metal].mean():.3f}, insulators "
              f"{held[told & ~metal].mean():.3f}; in domain {held[inside].mean():.3f}), "
              f"{np.mean((high - low)[told]):.2f} eV wide, error {np.abs(one.mean - truth)[told].mean():.3f} eV "
              f"(mean {np.abs(truth - truth.mean()).mean():.3f})")  # fmt: skip
    met = truth[told] >= LIMIT
    gap = prediction.probability_between(LIMIT, np.inf)[told]
    print(f"  gap >= {LIMIT} eV: met by {met.mean():.3f}, Brier score of promising that {met.var():.3f}")
    for name, each in (("surrogate alone", gap), ("with the classifier", chance[told] * gap)):
        promised(name, each, met)


def promised(name: str, chance: NDArray[np.float64], reached: NDArray[np.bool_]) -> None:
    """Print promised over met, the Brier score and the area under the curve, and how often high promises are met."""
    high = chance >= 0.8
    print(f"  {name:20} promised {chance.mean():.3f}, Brier score {np.mean((chance - reached) ** 2):.3f}, "
          f"AUC {area_under_curve(chance, reached * 1.0):.3f}; of {high.sum():,} with 0.8 or more, "
          f"{chance[high].mean():.3f} promised, {reached[high].mean():.3f} met")  # fmt: skip


if __name__ == "__main__":
    main()
