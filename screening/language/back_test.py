"""What back-tests of whole lists say, in both languages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from matloop.screening.language.text import Words, joined_properties
from matloop.screening.runs.run_summary import BackTestedLists, RunSummary

_NO_GAIN = 0.05  # hits; lists that differ by less look alike with the one decimal that is printed


def list_words(summary: RunSummary, probability: NDArray[np.float64]) -> list[Words]:
    """Say what a shortlist may be expected to hold: back-tests first, then what its probabilities add up to.

    Args:
        summary: Of the run.
        probability: Of the shortlisted candidates to meet all targets, shape (n,).
    """
    places, expected = len(probability), float(np.nansum(probability))
    tested = nearest_in_size(summary.back_tests, places)
    judged = {name for entry in tested for name in entry.targets}
    others = [name for name in summary.ranges if name not in judged]
    told = [back_test_words(entry) for entry in tested]
    told += [words for entry in tested if (words := no_gain_words(entry, summary.back_tests)) is not None]
    if others:
        names = joined_properties(others)
        told.append(Words(f"No back-test of lists speaks of the {names.en}", f"没有针对{names.zh}的名单回测"))
    return [*told, promise_words(tested, expected=expected, places=places)]


def nearest_in_size(tested: Sequence[BackTestedLists], places: int) -> list[BackTestedLists]:
    """Choose the back-test with a list nearest to a shortlist in size, one for each group of targets.

    Args:
        tested: Back-tests of a run.
        places: Places of the shortlist.
    """
    groups = dict.fromkeys(entry.targets for entry in tested)
    return [
        min((entry for entry in tested if entry.targets == targets), key=lambda entry: abs(entry.size - places))
        for targets in groups
    ]


def back_test_words(tested: BackTestedLists) -> Words:
    """Say how many hits lists held, what was promised and what chance gives.

    >>> lists = BackTestedLists(
    ...     targets=("refractive_index", "band_gap"), materials=766, hits=9, size=10, lists=20, met=2.04, promised=1.2,
    ...     random=0.12,
    ... )
    >>> print(back_test_words(lists).en)
    Lists like this held 2.0 hits in 10: of 766 known materials, each predicted as a new one, 9 have the wanted \
refractive index and band gap; lists of 10 made of them like the shortlist held 2.0, their probabilities promised 1.2, \
and 10 drawn at random hold 0.1
    """
    together = joined_properties(tested.targets)
    met, promised, chance = f"{tested.met:.1f}", f"{tested.promised:.1f}", f"{tested.random:.1f}"
    size, materials, hits = f"{tested.size:,}", f"{tested.materials:,}", f"{tested.hits:,}"
    return Words(
        f"Lists like this held {met} hits in {size}: of {materials} known materials, each predicted as a new one, "
        f"{hits} have the wanted {together.en}; lists of {size} made of them like the shortlist held {met}, their "
        f"probabilities promised {promised}, and {size} drawn at random hold {chance}",
        f"同类名单每 {size} 个中达标 {met} 个：{materials} 种已知材料（均作为新材料预测）中有 {hits} 种的"
        f"{together.zh}符合要求；以同样方式从中选出的、每份含 {size} 种材料的名单平均达标 {met} 个，"
        f"概率预计 {promised} 个，"
        f"随机抽取 {size} 个则为 {chance} 个",
    )


def no_gain_words(tested: BackTestedLists, others: Sequence[BackTestedLists]) -> Words | None:
    """Say so where lists held no more hits than shorter ones, so that their later places were worth nothing.

    Args:
        tested: The back-test that is told.
        others: All of the run.

    Returns:
        None where every longer list held more.

    >>> common = {"targets": ("band_gap",), "materials": 766, "hits": 9, "lists": 20, "promised": 1.2, "random": 0.12}
    >>> short, long = (BackTestedLists(size=size, met=2.04, **common) for size in (3, 10))
    >>> print(no_gain_words(long, [short, long]).en)
    Lists of 10 held no more hits than lists of 3 (2.0 and 2.0): the places after the first 3 hold next to none, \
so expect no more of a longer list
    >>> no_gain_words(short, [short, long]) is None
    True
    """
    shorter = [entry for entry in others if entry.targets == tested.targets and entry.size < tested.size]
    alike = [entry for entry in shorter if tested.met - entry.met < _NO_GAIN]
    if not alike:
        return None
    least = min(alike, key=lambda entry: entry.size)
    size, few, held, before = f"{tested.size:,}", f"{least.size:,}", f"{tested.met:.1f}", f"{least.met:.1f}"
    return Words(
        f"Lists of {size} held no more hits than lists of {few} ({held} and {before}): the places after the first "
        f"{few} hold next to none, so expect no more of a longer list",
        f"{size} 个的名单达标数并不多于 {few} 个的名单（分别为 {held} 与 {before}）：第 {few} 名之后几乎没有达标者，"
        "不要对更长的名单抱更多期望",
    )


def promise_words(tested: Sequence[BackTestedLists], *, expected: float, places: int) -> Words:
    """Say how many of the shortlisted the probabilities promise; nothing where back-tests contradict them.

    Args:
        tested: The back-tests that are told beside it.
        expected: Sum of the probabilities of meeting all targets.
        places: Number of shortlisted candidates.
    """
    if any(entry.promises_too_much for entry in tested):
        return Words(
            "Probabilities promised more than these lists held, so no number of hits is promised here",
            "概率所预计的数目多于这些名单的实际达标数，因此此处不作预计",
        )
    return Words(
        f"The probabilities below add up to {expected:.1f} of {places:,} that meet all targets",
        f"下列概率合计为 {places:,} 个中 {expected:.1f} 个满足全部目标",
    )
