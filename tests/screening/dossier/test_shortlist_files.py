import csv
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.packaged.materials import load_materials
from matloop.data.runs.directory import RunDirectory
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.stage_settings import PotentialStage
from matloop.screening.campaign.target import Target
from matloop.screening.dossier.shortlist_files import safe_name, write_shortlist
from tests.strategies import batch_of

CAMPAIGN = Campaign.model_validate(
    {
        "name": "example",
        "sources": ["embedded"],
        "targets": [
            {"property": "refractive_index", "goal": "maximize", "unit": "1"},
            {"property": "band_gap", "goal": "at_least", "value": 2500, "unit": "meV"},
        ],
        "surrogates": {"features": ["magpie"], "keep": 10},
        "shortlist": {"size": 3},
    }
)
PLACES = np.array([0, 3, 0, 1, 2, 0])


def with_predictions(batch: CandidateBatch, targets: tuple[Target, ...] = CAMPAIGN.targets) -> CandidateBatch:
    rng = np.random.default_rng(0)
    columns = {}
    for target in targets:
        for suffix in ("pred", "sigma", "lo", "hi"):
            columns[f"{target.property}_{suffix}"] = rng.normal(5.0, 1.0, len(batch))
        columns[f"probability_{target.property}"] = rng.random(len(batch))
    return batch.with_columns(
        probability=rng.random(len(batch)),
        in_domain=np.ones(len(batch), bool),
        origin=[f"={row} (mp-{row})" for row in range(len(batch))],
        shortlisted=PLACES[: len(batch)],
        **columns,
    )


@pytest.fixture(scope="module")
def ranked() -> CandidateBatch:
    materials = load_materials()
    rows = np.linspace(100, 6000, len(PLACES)).astype(int)
    batch = CandidateBatch.from_crystals(materials.crystals.take(rows))
    return with_predictions(batch.with_columns(space_group_number=materials.column("space_group_number")[rows]))


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory.create(tmp_path / "run", "example")


def rows_of(run: RunDirectory) -> list[dict[str, str]]:
    with run.shortlist.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_csv_has_the_chosen_rows_in_order(run: RunDirectory, ranked: CandidateBatch) -> None:
    write_shortlist(run, ranked, CAMPAIGN)
    rows = rows_of(run)
    chosen = [3, 4, 1]
    assert [row["place"] for row in rows] == ["1", "2", "3"]
    assert [row["candidate_id"] for row in rows] == [ranked.ids[at] for at in chosen]
    assert [row["formula"] for row in rows] == [ranked.formulas[at] for at in chosen]
    assert [int(row["space_group_number"]) for row in rows] == ranked.column("space_group_number")[chosen].tolist()
    for column, name in {
        "probability_of_all_targets": "probability",
        "refractive_index": "refractive_index_pred",
        "band_gap (eV)": "band_gap_pred",
        "band_gap 90 % from (eV)": "band_gap_lo",
        "band_gap 90 % to (eV)": "band_gap_hi",
        "probability_band_gap": "probability_band_gap",
    }.items():
        np.testing.assert_allclose([float(row[column]) for row in rows], ranked.column(name)[chosen], rtol=5e-4)
    assert {row["in_domain"] for row in rows} == {"True"}


def test_headings_carry_units_and_every_target(run: RunDirectory, ranked: CandidateBatch) -> None:
    write_shortlist(run, ranked, CAMPAIGN)
    assert list(rows_of(run)[0]) == [
        "place", "candidate_id", "formula", "space_group_number", "probability_of_all_targets",
        "refractive_index", "refractive_index 90 % from", "refractive_index 90 % to", "probability_refractive_index",
        "band_gap (eV)", "band_gap 90 % from (eV)", "band_gap 90 % to (eV)", "probability_band_gap",
        "in_domain", "origin",
    ]  # fmt: skip


def test_what_the_potential_found_and_what_is_new_goes_along(run: RunDirectory, ranked: CandidateBatch) -> None:
    n = len(ranked)
    relaxed = ranked.with_columns(
        relaxation_outcome=["not_converged" if row == 4 else "converged" for row in range(n)],
        relaxation_largest_force=np.arange(n) / 10,
        hull_distance=np.arange(n) / 100 - 0.02,
        hull_products=[f"1 X{row}" for row in range(n)],
        hull_incomplete=["far_below" if row == 3 else "" for row in range(n)],
        hull_coverage=np.full(n, 19 / 22),
        hull_known_compositions=np.full(n, 22),
        hull_without_energy=["La2Ti2O7, La4Ti9O24"] * n,
        hull_distance_own=np.full(n, -0.058),
        relaxation_rattle_gain=np.full(n, 0.027),
        band_gap_hi=np.where(np.arange(n) == 4, np.inf, 5.0),
    )
    novelty = [{"candidate_id": ranked.ids[row], "novelty": f"label {row}"} for row in (3, 4)]
    write_shortlist(run, relaxed, CAMPAIGN, novelty=novelty)
    told = ("relaxation_outcome", "relaxation_largest_force (eV/Å)", "hull_distance (eV/atom)", "hull_products",
            "hull_incomplete", "novelty", "band_gap 90 % to (eV)")  # fmt: skip
    assert [[row[name] for name in told] for row in rows_of(run)] == [
        ["converged", "0.3", "0.01", "1 X3", "far_below", "label 3", "5.0"],
        ["not_converged", "0.4", "0.02", "1 X4", "", "label 4", "inf"],
        ["converged", "0.1", "-0.01", "1 X1", "", "", "5.0"],
    ]
    names = ("hull_coverage", "hull_known_compositions", "hull_without_energy", "hull_distance_own (eV/atom)",
             "relaxation_rattle_gain (eV/atom)")  # fmt: skip
    assert [rows_of(run)[0][name] for name in names] == ["0.8636", "22", "La2Ti2O7, La4Ti9O24", "-0.058", "0.027"]


@pytest.fixture
def relaxed(ranked: CandidateBatch) -> CandidateBatch:
    """Candidates relaxed with a potential; the volume of the second finalist changed by more than a fifth."""
    changes = np.zeros(len(ranked))
    changes[[3, 4, 1]] = 0.2, -0.2041, np.nan
    return ranked.with_columns(
        energy_above_hull_pred=np.zeros(len(ranked)), energy_above_hull_lo=np.zeros(len(ranked)),
        energy_above_hull_hi=np.full(len(ranked), 0.07), probability_energy_above_hull=np.ones(len(ranked)),
        relaxation_outcome=["converged"] * len(ranked), relaxation_energy=np.arange(len(ranked)) - 9.123456,
        relaxation_volume_change=changes.astype(np.float32), hull_distance=np.arange(len(ranked)) / 100 - 0.08,
    )  # fmt: skip


STABLE = CAMPAIGN.model_copy(
    update={
        "targets": (
            *CAMPAIGN.targets,
            Target(property="energy_above_hull", goal="at_most", value=0.05, unit="eV/atom"),
        ),
        "potential": PotentialStage(),
    }
)


def test_a_volume_that_changed_much_is_flagged(run: RunDirectory, relaxed: CandidateBatch) -> None:
    write_shortlist(run, relaxed, STABLE)
    told = [(row["relaxation_volume_change (%)"], row["large_volume_change"]) for row in rows_of(run)]
    assert told == [("20.0", "False"), ("-20.41", "True"), ("", "False")]


def test_the_hull_distance_stands_beside_the_prediction_that_ends_at_zero(
    run: RunDirectory, relaxed: CandidateBatch
) -> None:
    write_shortlist(run, relaxed, STABLE)
    headings = list(rows_of(run)[0])
    assert headings.index("hull_distance (eV/atom)") == headings.index("probability_energy_above_hull") + 1
    assert headings.count("hull_distance (eV/atom)") == 1
    assert [(row["energy_above_hull (eV/atom)"], row["hull_distance (eV/atom)"]) for row in rows_of(run)] == [
        ("0.0", "-0.05"), ("0.0", "-0.04"), ("0.0", "-0.07"),
    ]  # fmt: skip


def test_a_cif_tells_energies_and_their_potential(run: RunDirectory, relaxed: CandidateBatch) -> None:
    write_shortlist(run, relaxed, STABLE, energies="chgnet-0.3.0-abc")
    (first,) = run.cif.glob("01_*")
    text = first.read_text("utf-8")
    for line in (
        f"_matloop_candidate_id '{relaxed.ids[3]}'",
        "_matloop_potential 'chgnet-0.3.0-abc'",
        "_matloop_relaxed_energy_eV_per_atom -6.12346",
        "_matloop_hull_distance_eV_per_atom -0.05",
        "_matloop_predicted_energy_above_hull_eV_per_atom 0",
        "_matloop_predicted_energy_above_hull_eV_per_atom_90_to 0.07",
        f"_space_group_IT_number {relaxed.column('space_group_number')[3]}",
    ):
        assert f"\n{line}\n" in text


def test_a_crystal_that_was_not_relaxed_names_no_potential(run: RunDirectory, ranked: CandidateBatch) -> None:
    write_shortlist(run, ranked, CAMPAIGN, energies="")
    assert not [path for path in run.cif.iterdir() if "_matloop_potential" in path.read_text("utf-8")]


def test_r33_shares_of_misses_that_are_all_the_same_are_not_shown(run: RunDirectory, ranked: CandidateBatch) -> None:
    name, shares = "expected_share_of_misses_among_ranked", np.linspace(0.1, 0.5, len(ranked))
    for values, shown in (
        (np.full(len(ranked), 0.3), None), (np.full(len(ranked), np.nan), None),
        (shares, [f"{share:.4g}" for share in shares[[3, 4, 1]]]),
        (np.where(np.arange(len(ranked)) == 4, np.nan, 0.3), ["0.3", "", "0.3"]),
    ):  # fmt: skip
        write_shortlist(run, ranked.with_columns(expected_misses=values), CAMPAIGN)
        rows = rows_of(run)
        assert ([row[name] for row in rows] if name in rows[0] else None) == shown


def test_text_of_users_is_no_spreadsheet_formula(run: RunDirectory, ranked: CandidateBatch) -> None:
    write_shortlist(run, ranked, CAMPAIGN)
    assert [row["origin"] for row in rows_of(run)] == ["'=3 (mp-3)", "'=4 (mp-4)", "'=1 (mp-1)"]


def test_cifs_are_the_same_crystals(run: RunDirectory, ranked: CandidateBatch) -> None:
    write_shortlist(run, ranked, CAMPAIGN)
    names = sorted(path.name for path in run.cif.iterdir())
    for place, row in enumerate([3, 4, 1], start=1):
        name = names[place - 1]
        assert name == f"{place:02d}_{safe_name(ranked.formulas[row])}_{ranked.ids[row]}.cif"
        read, expected = Structure.from_file(run.cif / name), ranked.structure(row)
        assert read.volume / len(read) == pytest.approx(expected.volume / len(expected), rel=1e-4)
        assert StructureMatcher(ltol=0.01, stol=0.01, angle_tol=0.1, scale=False).fit(read, expected)
        again = CandidateBatch.from_structures([read])
        assert not again.refused
        assert again.batch.formulas == [ranked.formulas[row]]
    assert len(names) == 3


def test_compositions_without_crystals_have_no_cif(run: RunDirectory) -> None:
    write_shortlist(run, with_predictions(batch_of("NaCl", "MgO", "Ba(PO3)2", "ZnS")), CAMPAIGN)
    assert [(row["place"], row["formula"]) for row in rows_of(run)] == [("1", "ZnS"), ("3", "MgO")]
    assert "space_group_number" not in rows_of(run)[0]
    assert list(run.cif.iterdir()) == []


def test_nothing_shortlisted_leaves_a_heading(run: RunDirectory, ranked: CandidateBatch) -> None:
    write_shortlist(run, ranked.with_columns(shortlisted=np.zeros(len(ranked), int)), CAMPAIGN)
    assert rows_of(run) == []
    assert run.shortlist.read_text("utf-8-sig").startswith("place,candidate_id,formula")
    assert list(run.cif.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NaCl", "NaCl"),
        ("Ba(PO3)2", "Ba-PO3-2"),
        ("../../etc/passwd", "etc-passwd"),
        ("..", "unnamed"),
        ("", "unnamed"),
        ("中文", "unnamed"),
        ("a b\n\0c", "a-b-c"),
        (".hidden", "hidden"),
        ("-rf", "rf"),
        ("x" * 200, "x" * 80),
        ("CON:", "CON"),
    ],
)
def test_safe_name(text: str, expected: str) -> None:
    assert safe_name(text) == expected


@given(st.text(max_size=120))
def test_any_text_gives_a_safe_name(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,79}", safe_name(text))
    assert safe_name(safe_name(text)) == safe_name(text)
