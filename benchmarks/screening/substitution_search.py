"""The search for replacements, judged where the answer is known, and what it costs.

Cadmium is replaced in CdS, CdSe and CdTe. The labels of ZnS, ZnSe and ZnTe are left out of the training set, and their
computed indices count as unknown, so that the search has to predict them. Beside the place of each zinc compound stand
its places by the substitution probability alone and by the change of the radius alone, and that of a draw by chance.
Then cobalt, indium and tellurium are replaced in LiCoO2, In2O3 and Bi2Te3 with all labels, and the command is timed
with an empty store of models and with one that an earlier search filled, each in a process of its own.

``python benchmarks/screening/substitution_search.py``
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time

from matloop.workflows.bench.hardware import describe
from matloop.workflows.substitute import substitute
from matloop.workflows.substituting.known_values import known_values
from matloop.workflows.substituting.materials import materials_of
from matloop.workflows.substituting.search import Replacement, Replacements

KEEP = "refractive_index within 5%"
CADMIUM = {"CdS": "ZnS", "CdSe": "ZnSe", "CdTe": "ZnTe"}
OTHERS = (
    ("LiCoO2", "Co", "band_gap within 0.5 eV"),
    ("In2O3", "In", "refractive_index within 10%"),
    ("Bi2Te3", "Te", "band_gap within 0.3 eV"),
)
SHOWN = 5


def known_index(formula: str) -> float:
    """The index that the Materials Project computed."""
    (found,) = known_values(
        "refractive_index", materials_of(formula)[0], about={"provenance": "dft:pbe"}, training=None
    )  # fmt: skip
    assert found is not None
    return found.value


def place(found: list[Replacement], formula: str) -> int:
    """Place of a formula among replacements, from 1."""
    return 1 + [one.material.formula for one in found].index(formula)


def judge_zinc() -> None:
    """Print the place of each zinc compound, and whether its known index lies within the interval."""
    print(f"Cd replaced, kept: {KEEP}; labels of {', '.join(CADMIUM.values())} left out")
    print("material  zinc   place  of   by P(substitution)  by radius  chance  predicted n [90 %]  known n  inside")
    for formula, zinc in CADMIUM.items():
        result = substitute(formula, replace="Cd", keep=[KEEP], left_out=list(CADMIUM.values()))
        found = list(result.found)
        by_probability = sorted(found, key=lambda one: -one.replacing.probability)
        by_radius = sorted(found, key=lambda one: abs(one.replacing.radius_change))
        one = found[place(found, zinc) - 1]
        value, known = one.outlooks[0].value, known_index(zinc)
        assert value.known is None
        print(
            f"{formula:<10}{zinc:<7}{place(found, zinc):>5}{len(found):>4}{place(by_probability, zinc):>21}"
            f"{place(by_radius, zinc):>11}{(len(found) + 1) / 2:>8.0f}  {value.predicted:.2f} [{value.low:.2f}, "
            f"{value.high:.2f}]{known:>14.2f}  {'yes' if value.low <= known <= value.high else 'NO'}"
            f"   in domain: {value.in_domain}, P(kept) {one.kept:.2f}"
        )


def show(result: Replacements) -> None:
    """Print the first replacements of one search."""
    old, (outlooks,) = result.material, result.properties
    was = f"{old.values[0].best:.2f} ({'known' if old.values[0].known else 'predicted'})"
    print(f"\n{result.leaving} in {old.formula}: {outlooks.condition.words.en}, which is {was}")
    for at, one in enumerate(result.found[:SHOWN], start=1):
        (outlook,) = one.outlooks
        known = "–" if outlook.value.known is None else f"{outlook.value.known.value:.2f}"
        print(
            f"  {at} {one.material.formula:<8} P(substitution) {one.replacing.probability:.3f}, known {known}, "
            f"predicted {outlook.value.predicted:.2f} [{outlook.value.low:.2f}, {outlook.value.high:.2f}], "
            f"P(kept) {outlook.kept:.2f}, "
            f"P(phase) {one.material.phases.probability:.2f}, price {one.price_change:+.2f} USD/mol"
        )


def time_command(name: str, cache: str) -> None:
    """Time one search in a process of its own, with its largest memory so far among all such processes."""
    command = [sys.executable, "-m", "matloop.workflows.cli", "substitute", "--material", "CdS", "--replace", "Cd"]
    start = time.perf_counter()
    subprocess.run(
        [*command, "--keep", KEEP], env={**os.environ, "MATLOOP_CACHE": cache}, stdout=subprocess.DEVNULL, check=True
    )
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{name:<12}{seconds:7.1f} s wall, largest memory {used.ru_maxrss / 1e6:.2f} GB")


def main() -> None:
    """Judge, show and time."""
    print(describe("lightgbm"))
    judge_zinc()
    for material, element, keep in OTHERS:
        show(substitute(material, replace=element, keep=[keep]))
    print()
    with tempfile.TemporaryDirectory() as cache:
        for name in ("empty store", "warm store"):
            time_command(name, cache)


if __name__ == "__main__":
    main()
