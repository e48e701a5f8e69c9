"""One campaign with CHGNet and with SevenNet: wall time, and formation energies of the same finalists side by side.

Candidates are oxides by ionic substitution. Both potentials get the same survivors of the surrogates. Each relaxes
them by itself, counts from its own elements with its own corrections, and places them on its own hull.

``python benchmarks/models/sevennet_campaign.py``, with the extras ``potentials`` and ``sevennet``; some three minutes.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from matloop.screening.campaign.campaign import Campaign
from matloop.workflows.bench.hardware import describe
from matloop.workflows.screen import ScreeningRun, screen

CAMPAIGN: dict[str, Any] = {
    "name": "oxides",
    "sources": [{"ionic_substitution": {"limit": 3000, "min_probability": 1e-3, "max_sites": 12}}],
    "filters": [{"require_elements": ["O"]}, "exclude_radioactive", "new_compounds"],
    "targets": [
        {"property": "energy_above_hull", "goal": "at_most", "value": 0.05, "unit": "eV/atom"},
        {"property": "formation_energy_per_atom", "goal": "at_most", "value": -1.0, "unit": "eV/atom"},
    ],
    "surrogates": {"features": ["valence_orbital", "stoichiometry"], "keep": 12},
    "shortlist": {"size": 5},
}


def run_with(potential: str, folder: Path) -> tuple[ScreeningRun, float]:
    """The run with a potential, and its wall time in seconds."""
    campaign = Campaign.model_validate({**CAMPAIGN, "potential": {"name": potential}})
    begun = time.perf_counter()
    run = screen(campaign, output=folder / potential, workers=2)
    return run, time.perf_counter() - begun


def energies(run: ScreeningRun) -> dict[str, tuple[str, float, float, float]]:
    """Formula, formation energy, distance from the hull and correction of each ranked candidate, in eV/atom."""
    ranked = run.ranked
    named = ranked.table.column_names
    added = "formation_energy_correction"
    corrections = ranked.column(added) if added in named else np.zeros(len(ranked))
    columns = (ranked.column(name).astype(float) for name in ("formation_energy_per_atom_pred", "hull_distance"))
    rows = zip(ranked.formulas, *columns, corrections, strict=True)
    return dict(zip(ranked.ids, rows, strict=True))


def main() -> None:
    """Print everything."""
    print(describe())
    with tempfile.TemporaryDirectory() as folder:
        runs = {name: run_with(name, Path(folder)) for name in ("chgnet", "sevennet")}
        for name, (run, seconds) in runs.items():
            summary, laps = run.summary, run.summary.seconds
            fit = summary.formation_energies
            assert fit is not None
            print(
                f"{name}: {summary.rows_in:,} candidates, {len(run.ranked)} relaxed and ranked, {seconds:.0f} s in all"
            )
            print("  " + ", ".join(f"{step} {took:.0f} s" for step, took in laps.items()))
            print(f"  formation energies: error {fit.error} eV/atom, without corrections {fit.error_uncorrected}")
        print("formation energy (distance from the hull) in eV/atom, and what SevenNet's corrections add")
        chgnet, sevennet = (energies(run) for run, _ in runs.values())
        for name in [name for name in sevennet if name in chgnet]:
            formula, formation, distance, correction = sevennet[name]
            _, other, other_distance, _ = chgnet[name]
            told = f"CHGNet {other:+.3f} ({other_distance:+.3f})  SevenNet {formation:+.3f} ({distance:+.3f})"
            print(f"  {formula:<14} {told}  {correction:+.3f}")


if __name__ == "__main__":
    main()
