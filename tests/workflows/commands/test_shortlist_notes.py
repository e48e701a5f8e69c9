"""What the command line says below a shortlist of relaxed crystals."""

import numpy as np
import pandas as pd

from matloop.workflows.commands.shortlist_notes import shortlist_notes


def shortlist(rows: int = 3, **columns: object) -> pd.DataFrame:
    return pd.DataFrame({"shortlisted": np.arange(1, rows + 1), "formula": [f"X{k}" for k in range(rows)], **columns})


def test_nothing_is_said_of_candidates_that_were_not_relaxed() -> None:
    assert shortlist_notes(shortlist()) == []
    assert shortlist_notes(shortlist(hull_distance=[np.nan] * 3, relaxation_volume_change=[np.nan] * 3)) == []
    assert shortlist_notes(shortlist(rows=0, hull_distance=[], relaxation_volume_change=[])) == []


def test_the_hull_distance_is_told_as_it_is() -> None:
    (note,) = shortlist_notes(shortlist(hull_distance=[-0.05776, np.nan, 0.0237]))
    assert note.endswith("below it negative: 1 X0 -0.058, 3 X2 0.024.")


def test_a_volume_that_changed_much_is_named() -> None:
    (note,) = shortlist_notes(shortlist(relaxation_volume_change=[0.2, -0.213, 0.31]))
    assert note.startswith("Look at these")
    assert "more than 20%" in note
    assert note.endswith("2 X1 -21%, 3 X2 +31%.")


def test_a_long_list_is_cut() -> None:
    (note,) = shortlist_notes(shortlist(rows=40, relaxation_volume_change=[0.5] * 40))
    assert note.endswith("30 X29 +50% and 10 more.")


def test_names_do_not_move_the_cursor() -> None:
    frame = shortlist(rows=1, hull_distance=[0.1]).assign(formula="Si\x1b[31m\nO2")
    assert "\x1b" not in shortlist_notes(frame)[0]
    assert "\n" not in shortlist_notes(frame)[0]
