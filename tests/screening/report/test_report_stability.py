"""What the report says of the energies by which stability was judged."""

from matloop.screening.report.stability import formation_energy_words
from matloop.screening.runs.run_summary import FormationEnergies, RunSummary


def summary(fit: FormationEnergies | None) -> RunSummary:
    return RunSummary(
        campaign="x", seed=0, rows_in=1, outcomes={}, funnel=(), ranges={}, python="3", versions={}, seconds={},
        sessions=1, workers=1, energies="sevennet-l3i5-a7ff190d41ef", formation_energies=fit,
    )  # fmt: skip


def test_corrections_are_told_with_the_error_before_and_after_in_both_languages() -> None:
    fit = FormationEnergies(crystals=3938, corrections={"Fe": 2.696}, error=0.0104, error_uncorrected=0.0316)
    words = formation_energy_words(summary(fit))
    assert words is not None
    for text in words:
        assert all(part in text for part in ("sevennet-l3i5-a7ff190d41ef", "3,938", "Fe −2.696", "0.010", "0.032"))
    assert "修正" in words.zh


def test_a_potential_without_corrections_says_so() -> None:
    words = formation_energy_words(summary(FormationEnergies(crystals=3938, error=0.0305, error_uncorrected=0.0305)))
    assert words is not None
    assert words.en.endswith("No element is corrected.")
    assert words.zh.endswith("未对任何元素作修正。")
    assert formation_energy_words(summary(None)) is None
