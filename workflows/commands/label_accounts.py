"""What became of the rows of own labels, printed for people before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

from matloop.data.own_labels.label_account import LabelAccount
from matloop.data.plain_text import one_line
from matloop.data.properties.catalogue import using
from matloop.screening.campaign.campaign import Campaign
from matloop.workflows.running.own_data import read_own_data

_MOST_SHOWN = 5


def print_label_accounts(campaign: Campaign | None) -> None:
    """Print what became of the labels of a campaign; nothing where there is none."""
    if campaign is None:
        return
    with using(campaign.catalogue):
        for account in read_own_data(campaign).accounts:
            for line in account_lines(account):
                print(one_line(line))


def account_lines(account: LabelAccount) -> Sequence[str]:
    """Summary of a set of labels, its first rows that teach nothing, and what looks wrong, one line each."""
    left_out = [row for row in account.rows if row.code and row.detail]
    lines = [str(account)]
    lines += [f"  {row.place}: {row.code}: {row.detail}" for row in left_out[:_MOST_SHOWN]]
    if len(left_out) > _MOST_SHOWN:
        lines.append(f"  and {len(left_out) - _MOST_SHOWN} more; training_rows.csv of a run lists all of them")
    return [*lines, *(f"  look at: {sentence}" for sentence in account.suspicious[:_MOST_SHOWN])]
