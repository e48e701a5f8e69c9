"""Check a campaign: every problem at once, and what becomes of every row of its labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from matloop.data.allowed_modules import allowing
from matloop.data.own_labels.label_account import LabelAccount
from matloop.data.plain_text import one_line
from matloop.data.properties.catalogue import using
from matloop.data.training.known_formulas import read_known_formulas
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.source_paths import with_absolute_paths
from matloop.workflows.inspecting.validation import check_campaign, checked_campaign
from matloop.workflows.running.labelled_candidates import asks_what_is_known, labelled_candidates
from matloop.workflows.running.own_data import label_columns, label_rows, read_own_data, training_of, transfer_lines

_MOST_SHOWN = 5


@dataclass(frozen=True)
class ValidCampaign:
    """A campaign with which nothing is wrong, and its labels.

    Attributes:
        campaign: The campaign, with absolute paths.
        labels: What became of the rows of each set of own labels that a target asks for.
        remarks: What is learned by transfer, what is said of candidates that have labels already, and which rows of
            the campaign's list of known formulas count.
    """

    campaign: Campaign
    labels: tuple[LabelAccount, ...]
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(cls, campaign: Campaign) -> ValidCampaign:
        """Read the labels of a campaign that was checked.

        Raises:
            MatloopError: If labels cannot be read, or too few rows teach.
        """
        with using(campaign.catalogue):
            own = read_own_data(campaign)
            has_transfers = any(target.transfer is not None for target in campaign.targets)
            transfers = transfer_lines(training_of(campaign, own)) if has_transfers else []
            known = []
            if campaign.known is not None:
                known = read_known_formulas(campaign.known).lines(is_asked=asks_what_is_known(campaign))
            told = map(one_line, (*transfers, *labelled_candidates(campaign, own.sets)))
            return cls(campaign, tuple(own.accounts), (*told, *known))

    def lines(self, property_name: str | None = None) -> list[str]:
        """Say what became of the labels, of all properties or of one, one line each; of all, also the remarks."""
        chosen = [account for account in self.labels if property_name in (None, account.property_name)]
        with using(self.campaign.catalogue):
            lines = [line for account in chosen for line in _account_lines(account)]
        return [*lines, *(self.remarks if property_name is None else ())]

    def __str__(self) -> str:
        return "\n".join([*self.lines(), f"{self.campaign.name}: no problems"])

    def to_pandas(self) -> Any:
        """Every row of own labels as a pandas DataFrame: where it stands, its value, and why it teaches nothing.

        Values are in the unit of the property; the column ``code`` is empty where a row teaches.
        """
        with using(self.campaign.catalogue):
            columns, texts = label_columns(self.labels), label_columns(())
            rows = [dict(zip(columns, row, strict=True)) for row in label_rows(self.labels)]
        numbers = ("value", "uncertainty", "weight", *(name for name in columns if name not in texts))
        schema = pa.schema([(name, pa.float64() if name in numbers else pa.string()) for name in columns])
        return pa.Table.from_pylist(rows, schema).to_pandas()


def validate(campaign: str | Path | Campaign, *, allow: Sequence[str] = ()) -> ValidCampaign:
    """Check a campaign without running it, and read its labels.

    Args:
        campaign: A campaign file, the name of a packaged campaign, or a campaign.
        allow: Modules of other packages that the campaign may call, as for :func:`matloop.workflows.screen.screen`.

    Raises:
        CampaignError: Listing every problem of the campaign.
        MatloopError: If labels cannot be read, or too few rows teach.

    >>> print(validate("optical_window"))
    optical_window: no problems
    """
    with allowing(allow):
        if not isinstance(campaign, Campaign):
            return ValidCampaign.of(checked_campaign(campaign))
        chosen = with_absolute_paths(campaign, Path.cwd())
        with using(chosen.catalogue):
            check_campaign(chosen)
        return ValidCampaign.of(chosen)


def _account_lines(account: LabelAccount) -> Sequence[str]:
    """Summary of a set of labels, its first rows that teach nothing, and what looks wrong, one line each."""
    left_out = [row for row in account.rows if row.code and row.detail]
    below = [f"{row.place}: {row.code}: {row.detail}" for row in left_out[:_MOST_SHOWN]]
    if len(left_out) > _MOST_SHOWN:
        below.append(f"and {len(left_out) - _MOST_SHOWN} more; training_rows.csv of a run lists all of them")
    below += [f"look at: {sentence}" for sentence in account.suspicious[:_MOST_SHOWN]]
    return [one_line(str(account)), *(f"  {one_line(line)}" for line in below)]
