"""What diversity costs in a run, and how its finalists stand a move of each limit by 20 %.

For several settings of ``diversity`` and ``structural_diversity`` the shortlist is chosen again from the ranked
candidates of the run: mean probability of meeting all targets, and mean distance of two finalists. The first line,
without diversity, is what the others are compared with. Then each limit is moved, as runs do by themselves.
Probabilities under unmoved limits are computed again too, and must be those of the run.

``python benchmarks/screening/diversity_price.py RUN``
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

from matloop.data.bounded_files import read_table
from matloop.data.candidates.batch import CandidateBatch
from matloop.data.properties.columns import Column
from matloop.screening.ranking.criteria import MOST_PROBABLE, merits
from matloop.screening.ranking.spread import price_of_diversity
from matloop.screening.runs.run_view import RunView, in_catalogue_of_run
from matloop.workflows.deciding.rank_stability import Judged, moved_chances, rank_stability
from matloop.workflows.running.partition_jobs import competitors_file
from matloop.workflows.stages.potential import STAGE as POTENTIAL_STAGE
from matloop.workflows.stages.scoring import ScoringTask

SETTINGS = ((0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (0.0, 0.5), (0.0, 1.0), (0.5, 0.25), (0.5, 0.5), (1.0, 1.0))
SIZES = (3, 10)


def print_prices(run: RunView) -> None:
    """A line for each setting and size of a list."""
    print("size  diversity  structural   mean P  price   ElMD  structure")
    ranked, merit = run.ranked, merits(run.ranked.table)
    probability = ranked.column(Column.PROBABILITY)
    for size in SIZES:
        for chemistry, structure in SETTINGS:
            changes = {"size": size, "diversity": chemistry, "structural_diversity": structure}
            wanted = run.campaign.shortlist.model_copy(update=changes)
            price = price_of_diversity(merit, ranked, wanted, probability=probability)
            if price is None:
                continue
            own, cost = price.chosen, price.undiversified.probability - price.chosen.probability
            apart = [f"{value:.2f}" if value is not None else "-" for value in (own.chemistry, own.structure)]
            print(
                f"{size:4d} {chemistry:10.2f} {structure:11.2f} {own.probability:8.3f} {cost:6.3f} {apart[0]:>6s}"
                f" {apart[1]:>10s}"
            )


def relaxed_of(run: RunView) -> CandidateBatch:
    """Every candidate that the potential relaxed; the ranked ones where the run has no potential."""
    if run.campaign.potential is None:
        return run.ranked
    parts = [read_table(path, inside=run.folder) for path in run.parts(run.paths.best / POTENTIAL_STAGE)]
    return CandidateBatch.from_arrow(pa.concat_tables(parts, promote_options="permissive"))


def print_moves(run: RunView) -> None:
    """How the finalists stand moved limits."""
    ranges = {
        name: (-np.inf if low is None else low, np.inf if high is None else high)
        for name, (low, high) in run.ranges.items()
    }
    task = ScoringTask(run.campaign, run.folder.resolve(), ranges, run.last_stage)
    path, relaxed, ranked = competitors_file(task, run.manifest), relaxed_of(run), run.ranked
    place = {name: row for row, name in enumerate(relaxed.ids)}
    again = Judged.of(task, relaxed, path).chances(ranges).probability[[place[name] for name in ranked.ids]]
    off = np.abs(again - ranked.column(Column.PROBABILITY)).max()
    print(f"\nProbabilities of {len(ranked)} ranked candidates, limits unmoved: off by {off:.1e} at most, wanted 0")
    found = rank_stability(ranked, run.campaign, MOST_PROBABLE, moved_chances(task, relaxed, path, ranked.ids))
    size = int((ranked.column(Column.SHORTLISTED) > 0).sum())
    print("\nmoved limit                       from       to   stay   leave -> enter")
    for move in found.moves:
        print(
            f"{move.name:28s} {move.before:9.4g} {move.after:8.4g}   {move.stay} of {size}   "
            f"{', '.join(move.leave) or '-'} -> {', '.join(move.enter) or '-'}"
        )
    print("\nplace  formula            P(all)  on the list  rank  worst rank")
    at, probability, rank = (ranked.column(name) for name in (Column.SHORTLISTED, Column.PROBABILITY, Column.RANK))
    for row in np.argsort(at, kind="stable").tolist():
        if at[row]:
            share, worst = found.columns[Column.LISTED_WHEN_MOVED][row], found.columns[Column.WORST_RANK][row]
            told = f"{at[row]:5d}  {ranked.formulas[row]:16s} {probability[row]:8.3f}"
            print(f"{told} {share:11.0%} {rank[row]:5d} {worst}")


@in_catalogue_of_run
def main(run: RunView) -> None:
    """Print the price of diversity and how the list stands moved limits."""
    print_prices(run)
    print_moves(run)


if __name__ == "__main__":
    main(RunView(Path(sys.argv[1])))
