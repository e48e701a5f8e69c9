"""A calculator of ASE in a campaign: the user allows it, weights are compared, and its failures are fates of rows."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from matloop.data.allowed_modules import VARIABLE, allowed_modules, allowing
from matloop.data.cache_folder import cache_folder
from matloop.data.candidates.crystals import Crystals
from matloop.data.errors import CampaignError, NotAllowedError, PotentialError, RunChangedError
from matloop.data.sources.embedded import EmbeddedCrystals
from matloop.models.potentials.reference_store import ReferenceEnergies, ReferenceStore
from matloop.screening.campaign.stage_settings import PotentialStage
from matloop.workflows.cli import app
from matloop.workflows.clusters.submission import Submission, scripts_of
from matloop.workflows.inspecting.validation import validate
from matloop.workflows.resume import fork, resume
from matloop.workflows.running.plug_ins import plug_ins_used
from matloop.workflows.running.reference_phases import REFERENCES, ReferenceSet, require_energies
from matloop.workflows.screen import ScreeningRun, screen
from tests.plugins import install_calculators

WEIGHTS = "0.02"
CAMPAIGN = """
name: springs
sources: [{{structure_files: {{path: salts}}}}]
targets: [{{property: piezoelectric_modulus, goal: at_least, value: 0.0, unit: C/m2}}]
surrogates: {{features: [stoichiometry], keep: 10}}
potential:
  name: ase
  calculator: toy_calculators:Springs
  options: {{weights: $weights}}
  weights: weights.txt
  sha256: {sha256}
  seconds: 2
  steps: 20
  competitors: 0
  second: {{name: ase, calculator: toy_calculators:Springs, options: {{stiffness: 0.05}}}}
shortlist: {{size: 3, explore: true}}
"""
SALT = "{metal}F\n1.0\n0 2.6 2.6\n2.6 0 2.6\n2.6 2.6 0\n{metal} F\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("toys")
    with pytest.MonkeyPatch.context() as patch, install_calculators(folder):
        patch.delenv(VARIABLE, raising=False)
        patch.setenv("MATLOOP_CACHE", str(folder / "cache"))
        yield folder


@pytest.fixture(scope="module")
def path(toys: Path) -> Path:
    """A campaign file, with the weights and the crystals beside it."""
    (toys / "salts").mkdir()
    for metal in ("Li", "Na", "K", "Rb", "Cs", "Ba"):
        (toys / "salts" / f"{metal}F.poscar").write_text(SALT.format(metal=metal), "utf-8")
    (toys / "weights.txt").write_text(WEIGHTS, "utf-8")
    campaign = toys / "springs.yaml"
    campaign.write_text(CAMPAIGN.format(sha256=digest()), "utf-8")
    return campaign


def digest() -> str:
    return hashlib.sha256(WEIGHTS.encode()).hexdigest()


def energies_of(crystals: Crystals, stiffness: float = float(WEIGHTS)) -> np.ndarray:
    """What the calculator gives, eV/atom, shape (n,)."""
    sums = np.add.reduceat(crystals.species.astype(float), crystals.offsets[:-1])
    too_large = crystals.volumes / crystals.site_counts - 20
    return stiffness / 2 * too_large**2 - sums / crystals.site_counts / 1000


def keep_references(path: Path) -> None:
    """Put the energies of the packaged crystals into the store of the user: one by one they would take a minute."""
    with allowing(["toy_calculators"]):
        campaign = validate(path)[0].campaign
        assert campaign is not None
        assert campaign.potential is not None
        stages = [(campaign.potential, float(WEIGHTS)), (campaign.potential.second_stage, 0.05)]
        sets = [(ReferenceSet.of(EmbeddedCrystals(), stage, packaged=True), stiffness) for stage, stiffness in stages]
    for phases, stiffness in sets:
        energies = np.concatenate([energies_of(batch.crystals, stiffness) for batch in phases.batches])
        found = ReferenceEnergies(np.arange(len(energies)), energies, np.full(len(energies), "", object))
        ReferenceStore(cache_folder() / REFERENCES).keep(phases.key, phases.ids, found)


@pytest.fixture(scope="module")
def finished(path: Path) -> ScreeningRun:
    keep_references(path)
    return screen(path, output=path.parent / "run", workers=2, allow=["toy_calculators"])


def test_campaign_with_a_calculator_ends_with_a_shortlist(finished: ScreeningRun) -> None:
    ranked = finished.ranked
    assert sorted(ranked.formulas) == ["KF", "LiF", "NaF"]
    assert len(finished.shortlist) == 3
    energies = ranked.column("relaxation_energy")
    assert ranked.crystals is not None
    np.testing.assert_allclose(energies, energies_of(ranked.crystals), atol=1e-9)
    np.testing.assert_allclose(ranked.crystals.volumes / 2, 20, rtol=0.05)
    assert np.isfinite(ranked.column("hull_distance")).all()
    energies_from = str(finished.summary.energies)
    assert energies_from.startswith("ase-toy-calculators 1.0-" + hashlib.sha256(WEIGHTS.encode()).hexdigest()[:12])
    assert finished.view.identity.plug_ins["calculator: toy_calculators:Springs"].startswith("toy-calculators 1.0, con")


def test_a_second_potential_gives_the_relaxed_crystals_an_energy_of_its_own(finished: ScreeningRun) -> None:
    ranked, identity = finished.ranked, finished.view.identity.model_dump()
    assert ranked.crystals is not None
    expected = energies_of(ranked.crystals, 0.05)
    np.testing.assert_allclose(ranked.column("second_energy"), expected, atol=1e-9)
    assert not np.allclose(ranked.column("relaxation_energy"), expected, atol=1e-6)
    assert identity["second_energies"] != identity["energies"]
    assert (finished.folder / "second_references.parquet").is_file()


def test_a_second_potential_that_is_the_first_one_is_refused(path: Path) -> None:
    other = path.with_name("twice.yaml")
    other.write_text(path.read_text("utf-8").replace("stiffness: 0.05", "weights: $weights").replace(
        "second: {name: ase,", f"second: {{name: ase, weights: weights.txt, sha256: {digest()},"
    ), "utf-8")  # fmt: skip
    with allowing(["toy_calculators"]):
        (problem,) = validate(other)[1]
    assert (problem.where, "those of the first one" in problem.message) == ("potential.second", True)
    missing = path.with_name("missing.yaml")
    missing.write_text(
        path.read_text("utf-8").replace("toy_calculators:Springs, options: {stiff", "nope:X, options: {stiff")
    )
    with allowing(["toy_calculators", "nope"]):
        assert [problem.where for problem in validate(missing)[1]] == ["potential.second.calculator"]


def test_failures_of_the_calculator_are_fates(finished: ScreeningRun) -> None:
    fates = pq.read_table(finished.folder / "partitions" / "potential").to_pylist()
    codes = {row["formula"]: row["code"] for row in fates if row["outcome"] == "quarantined"}
    assert codes == {"RbF": "E-POTENTIAL-FAILED", "BaF": "E-POTENTIAL-FAILED", "CsF": "E-POTENTIAL-NONFINITE"}


def test_forbidden_calculator_is_refused_before_anything_runs(path: Path, tmp_path: Path) -> None:
    with pytest.raises(CampaignError, match=r"potential\.calculator: E-NOT-ALLOWED: .*--allow toy_calculators"):
        screen(path, output=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert [problem.where for problem in validate(path)[1]] == ["potential.calculator", "potential.second.calculator"]
    with allowing(["toy_calculators"]):
        assert validate(path)[1] == []
    refused = CliRunner().invoke(app, ["validate", str(path)])
    assert refused.exit_code == 1
    assert "--allow toy_calculators" in refused.stderr
    assert CliRunner().invoke(app, ["validate", str(path), "--allow", "toy_calculators"]).exit_code == 0


def test_a_run_brings_no_permission_of_its_own(finished: ScreeningRun, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished.folder, run)
    for name in ("run.json", "report.html"):
        (run / name).unlink()
    with pytest.raises(NotAllowedError, match="--allow toy_calculators"):
        resume(run)
    with pytest.raises(CampaignError, match="E-NOT-ALLOWED"):
        fork(run, tmp_path / "new")
    resumed = resume(run, workers=1, allow=["toy_calculators"])
    assert resumed.ranked.ids == finished.ranked.ids
    assert allowed_modules() == ()


def test_other_weights_are_another_run(finished: ScreeningRun, path: Path) -> None:
    weights = path.with_name("weights.txt")
    weights.write_text("0.03", "utf-8")
    try:
        with allowing(["toy_calculators"]):
            (problem,) = validate(path)[1]
        assert "have sha256" in problem.message
        other = path.with_name("other.yaml")
        other.write_text(CAMPAIGN.format(sha256=hashlib.sha256(b"0.03").hexdigest()), "utf-8")
        with pytest.raises(RunChangedError, match=r"potential\.sha256"):
            screen(other, output=finished.folder, allow=["toy_calculators"])
    finally:
        weights.write_text(WEIGHTS, "utf-8")


def test_reference_phases_of_other_elements_are_not_evaluated(path: Path) -> None:
    with allowing(["toy_calculators"]):
        found = validate(path)[0].campaign
        assert found is not None
        assert found.potential is not None
        stage = found.potential.model_copy(update={"elements": ("Na", "F")})
        phases = ReferenceSet.of(EmbeddedCrystals(), stage, packaged=True)
        refused = phases.refused(stage, ReferenceEnergies.none())
        assert set(refused.codes) == {"E-POTENTIAL-ELEMENT"}
        left = [formula for _, batch in phases.parts_without(refused) for formula in batch.formulas]
        assert {"Na", "NaF"} <= set(left) <= {"Na", "F2", "F", "NaF"}
        assert len(left) + len(refused.rows) == len(phases.ids)
        with pytest.raises(PotentialError, match=r"of any of the 6,.* crystals by ase-toy.*E-POTENTIAL-ELEMENT"):
            require_energies(stage, [phases], [refused])


def test_jobs_get_the_permission_on_their_command_lines(tmp_path: Path) -> None:
    given = {"campaign": "springs.yaml", "run": tmp_path / "run", "system": "slurm", "array": 2}
    scripts = scripts_of(Submission(**given, allow=("mace.calculators", "other")))  # type: ignore[arg-type]
    assert "allowed=(--allow mace.calculators --allow other)" in scripts["steps.sh"]
    lines = "\n".join(scripts.values()).replace("\\\n", "").splitlines()
    calls = [line for line in lines if line.strip().startswith("work ")]
    assert len(calls) == 5
    assert all('"${allowed[@]}"' in line for line in calls)
    assert "allowed=()" in scripts_of(Submission(**given))["steps.sh"]  # type: ignore[arg-type]


def test_submit_refuses_what_is_not_allowed(path: Path, tmp_path: Path) -> None:
    words = ["submit", str(path), "--cluster", "slurm", "--output", str(tmp_path / "run"), "--dry-run"]
    refused = CliRunner().invoke(app, words)
    assert isinstance(refused.exception, CampaignError)
    shown = CliRunner().invoke(app, [*words, "--allow", "toy_calculators"])
    assert shown.exit_code == 0
    assert "--allow toy_calculators" in shown.stdout


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"name": "ase"}, "needs a 'calculator'"),
        ({"name": "chgnet", "calculator": "a:b"}, "goes with 'name: ase'"),
        ({"sha256": "0" * 64}, "goes with 'name: ase'"),
        ({"name": "ase", "calculator": "a:b", "sha256": "abc"}, "sha256"),
        ({"elements": ["Ni"]}, "goes with 'name: ase'"),
    ],
)
def test_keys_of_a_calculator_go_with_ase(written: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        PotentialStage.model_validate(written)


def test_package_of_a_calculator_is_part_of_the_identity(path: Path) -> None:
    used = plug_ins_used({"potential": {"calculator": "ase.calculators.lj:LennardJones"}, "other": [1, {"x": "y"}]})
    assert list(used) == ["calculator: ase.calculators.lj:LennardJones"]
    assert used["calculator: ase.calculators.lj:LennardJones"].startswith("ase 3.")


@pytest.mark.parametrize("name", ["nope", "all_changes"])
def test_a_name_that_makes_no_calculator_is_told_before_a_run(name: str, tmp_path: Path) -> None:
    (tmp_path / "salts").mkdir()
    (tmp_path / "salts" / "LiF.poscar").write_text(SALT.format(metal="Li"), "utf-8")
    written = CAMPAIGN.replace("toy_calculators:Springs", f"ase.calculators.lj:{name}").split("  options")[0]
    (tmp_path / "lj.yaml").write_text(written.format() + "shortlist: {size: 3}\n", "utf-8")
    with allowing(["ase.calculators.lj"]):
        _, (problem,) = validate(tmp_path / "lj.yaml")
    assert problem.where == "potential.calculator"
    assert f"ase.calculators.lj defines no class or function {name}" in problem.message
