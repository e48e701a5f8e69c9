"""The funnel: stage by stage how many candidates a run had left, and why the others ended there."""

from __future__ import annotations

from matloop.data.errors import RunError
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.runs.run_summary import FunnelStage, LostRows
from matloop.workflows.stages.fates import REJECTED, SHORTLISTED, FateCounts
from matloop.workflows.stages.stage_names import stage_names


def by_outcome(counts: FateCounts) -> dict[str, int]:
    """Rows by outcome alone; those that a run always has are there where there are none."""
    totals = {REJECTED: 0, SHORTLISTED: 0}
    for ending, n in counts.items():
        totals[ending.outcome] = totals.get(ending.outcome, 0) + n
    return dict(sorted(totals.items()))


def funnel(campaign: Campaign, counts: FateCounts, rows_in: int) -> list[FunnelStage]:
    """Stage by stage: how many went in, how many stayed, and what became of the others.

    Raises:
        RunError: If the last stage leaves others than the shortlisted; a fate has a stage that is not told then.
    """
    stages, remaining = [], rows_in
    for name in stage_names(campaign):
        lost = {ending: n for ending, n in counts.items() if ending.stage == name and ending.outcome != SHORTLISTED}
        left = remaining - sum(lost.values())
        ordered = sorted(lost.items(), key=lambda item: (-item[1], item[0]))
        reasons = tuple(
            LostRows(outcome=end.outcome, code=end.code, value=end.value, limit=end.limit, rows=n) for end, n in ordered
        )
        stages.append(FunnelStage(stage=name, rows_in=remaining, rows_out=left, lost=reasons))
        remaining = left
    shortlisted = by_outcome(counts)[SHORTLISTED]
    if remaining != shortlisted:
        raise RunError(
            f"the funnel leaves {remaining} rows and {shortlisted} are shortlisted",
            "equal numbers",
            "report this as a bug",
        )
    return stages
