"""Insulator or metal: how well the classifier tells them apart, and what it does to P(band gap >= 0.5 eV).

python benchmarks/models/metals.py

Every composition is judged by trees that did not learn from it. The rivals know one number of a composition: whether
usual oxidation states balance, and the largest difference in electronegativity. Then whole classes of compounds are
hidden. At last, compositions that stand in neither source are judged against gaps of the Materials Project of 2019.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import Compositions, composition_keys
from matloop.data.candidates.formula import parse_formulas
from matloop.data.chemistry.charge_balance import charge_balance
from matloop.data.chemistry.oxidation_states import METALS
from matloop.data.elements import ATOMIC_NUMBERS
from matloop.data.packaged.computed_properties import load_computed_properties
from matloop.data.packaged.insulators import SMALLEST_SEEBECK, InsulatorLabels, insulator_labels
from matloop.data.packaged.transport import load_transport
from matloop.data.training.packaged_tables import packaged_training_set
from matloop.models.surrogates.insulators import InsulatorClassifier, area_under_curve
from matloop.models.surrogates.surrogate import Surrogate
from matloop.workflows.stages.insulators import composition_features, train_insulators

NAMED = ("ReO3", "NbO", "LaNiO3", "CrO2", "Ti2O3")
"""Metals at room temperature or above; Ti2O3 only above 450 K."""
LIMIT = 0.5
_ANIONS = {"oxides": "O", "halides": "F Cl Br I", "chalcogenides": "S Se Te", "nitrides": "N"}


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="name every composition on which the sources disagree")
    options = parser.parse_args()
    labels = insulator_labels()
    describe(labels, listed=options.list)
    classifier = train_insulators(labels, threads=options.threads)
    batch = labels.batch
    chance = classifier.predict_as_new(composition_features().featurize(batch), batch.compositions).probability
    by_chemistry(labels, batch, chance)
    hidden_classes(labels, batch, threads=options.threads)
    of_dielectrics(classifier)
    surrogate = gap_surrogate()
    named_metals(labels, surrogate, threads=options.threads)
    against_other_gaps(labels, classifier, surrogate)


def describe(labels: InsulatorLabels, *, listed: bool) -> None:
    """Print how many compositions either source knows, and where the two disagree."""
    computed, measured = np.isfinite(labels.computed), np.isfinite(labels.measured)
    print(f"{computed.sum():,} computed compositions, {(labels.computed >= 0.5).sum():,} of them insulators")
    print(f"{measured.sum():,} measured ones, {(labels.measured >= 0.5).sum():,} of them insulators")
    unlike = labels.disagreeing
    print(f"{(computed & measured).sum():,} stand in both, which disagree on {unlike.sum()}:")
    for words, rows in (
        ("a gap was measured, computed as metals", unlike & (labels.measured > 0.5)),
        ("called metals, computed as insulators", unlike & (labels.measured < 0.5)),
    ):
        names = sorted(labels.formulas[row] for row in np.flatnonzero(rows))
        print(f"  {len(names)} {words}: {', '.join(names if listed else names[:10])}{'' if listed else ' ...'}")


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


def by_chemistry(labels: InsulatorLabels, batch: CandidateBatch, chance: NDArray[np.float64]) -> None:
    """Print the area under the curve for each chemistry and source, beside the rivals."""
    rivals = {name: np.nan_to_num(values) for name, values in rivals_of(batch).items()}
    everything = {"all": np.ones(len(batch), bool), **chemistry_of(batch.compositions)}
    print("\ncomposition held out: AUC (compositions, share of insulators)")
    for source, said in (("computed", labels.computed), ("measured", labels.measured)):
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
    print("\nwhole class hidden: AUC, mean probability promised, share of insulators")
    values = labels.values
    for name, rows in chemistry_of(batch.compositions).items():
        other = train_insulators(labels.take(np.flatnonzero(~rows)), threads=threads)
        at = np.flatnonzero(rows & (values != 0.5))
        chance = other.predict(composition_features().featurize(batch.take(at))).probability
        share = (values[at] > 0.5).mean()
        print(f"  {name:15} {area_under_curve(chance, values[at]):.3f}  {chance.mean():.2f}  {share:.2f}")


def of_dielectrics(classifier: InsulatorClassifier) -> None:
    """Print what becomes of the packaged dielectrics, all of which have a gap."""
    gaps = packaged_training_set("refractive_index").rows
    features = composition_features().featurize(gaps)
    print(f"\n{len(gaps):,} packaged dielectrics: mean P(insulator), and how many below 0.5")
    for words, chance in (
        ("composition held out", classifier.predict_as_new(features, gaps.compositions).probability),
        ("as a run judges them", classifier.predict(features).probability),
    ):
        print(f"  {words} {chance.mean():.3f}, {(chance < 0.5).sum()}")
    transport = load_transport()
    smaller = np.minimum(*(np.abs(transport[f"seebeck_{sign}_dft"].to_numpy()) for sign in "pn"))
    compositions, _ = parse_formulas(transport["formula"].to_pylist(), exact=True)
    of_dielectric = np.isin(composition_keys(compositions), composition_keys(gaps.compositions))
    marked = (smaller > SMALLEST_SEEBECK)[of_dielectric]
    share = f"{marked.mean():.1%} of their {len(marked):,} rows"
    print(f"  {share} in the transport table are insulators by Seebeck coefficients")


def gap_surrogate() -> Surrogate:
    """The surrogate of the packaged gaps by composition."""
    gaps = packaged_training_set("band_gap")
    return Surrogate.fit(
        "band_gap", composition_features().featurize(gaps.rows), gaps.values, gaps.groups, ids=gaps.rows.ids
    )  # fmt: skip


def chances_of_gap(
    classifier: InsulatorClassifier, surrogate: Surrogate, batch: CandidateBatch
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """P(insulator) and P(gap >= limit | insulator) of n candidates, each (n,)."""
    features = composition_features().featurize(batch)
    return classifier.predict(features).probability, surrogate.predict(features).probability_between(LIMIT, np.inf)


def named_metals(labels: InsulatorLabels, surrogate: Surrogate, *, threads: int) -> None:
    """Print the probabilities of known metals that the classifier did not learn from."""
    batch = CandidateBatch.from_formulas(list(NAMED)).batch
    other = train_insulators(labels.without(NAMED), threads=threads)
    print(f"\nleft out of training: P(insulator), P(gap >= {LIMIT} eV | insulator), P(gap >= {LIMIT} eV)")
    for name, insulator, gap in zip(batch.formulas, *chances_of_gap(other, surrogate, batch), strict=True):
        print(f"  {name:7} {insulator:.2f}  {gap:.2f}  {insulator * gap:.2f}")


def against_other_gaps(labels: InsulatorLabels, classifier: InsulatorClassifier, surrogate: Surrogate) -> None:
    """Print promised against met for compositions that neither the classifier nor the surrogate learned from."""
    gaps = load_computed_properties("band_gap")
    batch, refused = CandidateBatch.from_formulas(gaps["formula"].to_pylist(), exact=True)
    values = np.delete(gaps["value"].to_numpy(), [row.row for row in refused])
    learned = [labels.batch.compositions, packaged_training_set("band_gap").rows.compositions]
    keys = composition_keys(batch.compositions)
    new = np.flatnonzero(~np.isin(keys, np.concatenate([composition_keys(each) for each in learned])))
    insulator, gap = chances_of_gap(classifier, surrogate, batch.take(new))
    told = np.isfinite(gap)
    truth, insulator, gap = values[new][told], insulator[told], gap[told]
    print(
        f"\n{told.sum():,} other compositions with a computed gap (of {len(new):,}; the rest has elements without one)"
    )
    print(f"  share with a gap {(truth > 0).mean():.3f}, mean P(insulator) {insulator.mean():.3f}, "
          f"AUC {area_under_curve(insulator, truth > 0):.3f}")  # fmt: skip
    reached = truth >= LIMIT
    print(f"  gap >= {LIMIT} eV: met by {reached.mean():.3f}")
    for name, chance in (("surrogate alone", gap), ("with the classifier", insulator * gap)):
        promised(name, chance, reached)


def promised(name: str, chance: NDArray[np.float64], reached: NDArray[np.bool_]) -> None:
    """Print promised over met, the Brier score and the area under the curve, and how often high promises are met."""
    high = chance >= 0.8
    print(f"  {name:20} promised {chance.mean():.3f}, Brier score {np.mean((chance - reached) ** 2):.3f}, "
          f"AUC {area_under_curve(chance, reached * 1.0):.3f}; of {high.sum():,} with 0.8 or more, "
          f"{chance[high].mean():.3f} promised, {reached[high].mean():.3f} met")  # fmt: skip


if __name__ == "__main__":
    main()
