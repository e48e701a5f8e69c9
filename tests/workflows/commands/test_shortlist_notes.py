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


def test_flags_are_told_of_each_candidate_that_has_some() -> None:
    frame = shortlist(
        flags=["bond_valence, saddle_point, imaginary_vibration", "", None],
        valence_misfits=["La3+ 3.69", "", None],
    )
    (note,) = shortlist_notes(frame)
    assert note.startswith("Look twice at 1 X0: its bonds do not suit the charges; ")
    assert note.endswith("bond-valence sums: La3+ 3.69; fell into a lower symmetry.")


def test_a_long_list_is_cut() -> None:
    (note,) = shortlist_notes(shortlist(rows=40, relaxation_volume_change=[0.5] * 40))
    assert note.endswith("30 X29 +50% and 10 more.")


def test_names_do_not_move_the_cursor() -> None:
    frame = shortlist(rows=1, hull_distance=[0.1]).assign(formula="Si\x1b[31m\nO2")
    assert "\x1b" not in shortlist_notes(frame)[0]
    assert "\n" not in shortlist_notes(frame)[0]


def test_what_the_hull_lacks_is_told() -> None:
    notes = shortlist_notes(
        shortlist(
            hull_distance=[0.02, 0.0, -0.2], hull_distance_second=[0.03, np.nan, 0.1],
            hull_coverage=[19 / 22, 1.0, 0.0], hull_known_compositions=[22, 7, 0],
            hull_incomplete=["", None, "element_products, far_below"],
        )
    )  # fmt: skip
    assert notes[1] == "The same by the second potential: 1 X0 0.030, 3 X2 0.100."
    assert notes[2] == "Known compositions of their elements with an energy: 1 X0 19 of 22."
    assert notes[3].endswith("value and interval count: 3 X2 competes with an element, lies far below the hull.")


def test_imaginary_vibrations_warn() -> None:
    (note,) = shortlist_notes(shortlist(phonon_imaginary=[True, None, False], phonon_lowest=[-1.14, np.nan, 0.2]))
    assert note.endswith("these would distort: 1 X0 1.1 THz.")
