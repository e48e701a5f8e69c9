"""Calculators of ASE through the adapter: what is allowed, what is compared, and what becomes of their failures."""

import hashlib
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from matloop.data.allowed_modules import VARIABLE, allowed_modules, allowing
from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.data.errors import MatloopError, NotAllowedError, PlugInImportError, PotentialError, UnknownNameError
from matloop.data.guard.shared_workers import close_shared_workers
from matloop.models.potentials.contract import Evaluates, energy_source, potential_named, shared_potential
from matloop.models.potentials.guarded_relaxation import GuardedRelaxationSettings, relax_guarded
from matloop.models.potentials.relaxed_crystal import RelaxationLimits
from matloop.models.potentials.validation import example_crystals, validate_potential
from tests.plugins import install_calculators

SPRINGS = "toy_calculators:Springs"


@pytest.fixture(autouse=True)
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.delenv(VARIABLE, raising=False)
    with install_calculators(tmp_path):
        yield tmp_path
    close_shared_workers()


def springs(calculator: str = SPRINGS, **written: object) -> Evaluates:
    made = potential_named("ase", calculator=calculator, **written)
    assert isinstance(made, Evaluates)
    return made


def salts(*metals: int) -> CandidateBatch:
    """Rock salts of one formula unit, 5.2 Å wide, of metals by their atomic number."""
    n = len(metals)
    cell = 2.6 * (np.ones((3, 3)) - np.eye(3))
    species = np.array([[metal, 17] for metal in metals], np.uint8).ravel()
    places = np.tile([[0, 0, 0], [0.5, 0.5, 0.5]], (n, 1))
    return CandidateBatch.from_crystals(Crystals(np.tile(cell, (n, 1, 1)), 2 * np.arange(n + 1), species, places))


def test_calculator_of_ase_keeps_the_contract() -> None:
    with allowing(["ase.calculators.lj"]):
        options = {"sigma": 2.5, "epsilon": 0.05, "rc": 6.0, "smooth": True}
        made = springs("ase.calculators.lj:LennardJones", options=options)
        assert validate_potential(made) == ("Evaluates",)


def test_energies_are_those_of_the_calculator() -> None:
    with allowing(["toy_calculators"]):
        made = springs(options={"stiffness": 0.02})
        again = pickle.loads(pickle.dumps(made))  # noqa: S301  # as workers do
        found = again.evaluate(salts(11, 19))
    volume = 2 * 2.6**3 / 2
    expected = 0.01 * (volume - 20) ** 2 - np.array([11 + 17, 19 + 17]) / 2000
    np.testing.assert_allclose(found.energies, expected, atol=1e-12)
    np.testing.assert_allclose(found.stresses[0], 0.02 * (volume - 20) * 160.2176634 * np.eye(3), atol=1e-9)
    assert np.isnan(found.magnetic_moments).all()


def test_a_calculator_is_asked_about_its_elements_alone() -> None:
    with allowing(["toy_calculators"]):
        made = springs(elements=["Cl", "Na"])
        assert made.row_codes(salts(11, 19)).tolist() == ["", "E-POTENTIAL-ELEMENT"]
        found = made.evaluate(salts(11, 19))
        assert np.isfinite(found.energies).tolist() == [True, False]
        assert found.energies[0] == springs().energies(salts(11))[0]
        assert energy_source(made) != energy_source(springs())
        with pytest.raises(PotentialError, match="the element 'Na1'"):
            springs(elements=["Cl", "Na1"])


def test_moments_that_a_calculator_announces_and_lacks_are_left_out() -> None:
    cell = 1.8 * (np.ones((3, 3)) - np.eye(3))
    copper = Crystals(cell[None], np.array([0, 1]), np.array([29], np.uint8), np.zeros((1, 3)))
    with allowing(["ase.calculators.emt"]):
        found = springs("ase.calculators.emt:EMT").evaluate(CandidateBatch.from_crystals(copper))
    assert abs(found.energies[0]) < 0.01  # eV/atom: the calculator counts from fcc metals
    assert np.isnan(found.magnetic_moments).all()


def test_nothing_is_called_that_is_not_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotAllowedError, match=r"--allow toy_calculators .*allow=\['toy_calculators'\].*MATLOOP_ALLOW"):
        springs()
    with allowing(["toy_calculators"]):
        shared_potential("ase", {"calculator": SPRINGS})
    with pytest.raises(NotAllowedError):  # what was allowed once is not allowed for good
        shared_potential("ase", {"calculator": SPRINGS})
    with allowing(["toy_calculator", "toy", "ase"]), pytest.raises(NotAllowedError, match="now: ase, toy, toy_calcula"):
        springs()
    with pytest.raises(NotAllowedError, match="name of a module"), allowing(["toy_calculators:Springs"]):
        pass
    monkeypatch.setenv(VARIABLE, " toy_calculators, other.package")
    assert allowed_modules() == ("other.package", "toy_calculators")
    assert springs().name == "ase"


@pytest.mark.parametrize(
    ("calculator", "error", "said"),
    [
        ("toy_calculators", PotentialError, "module:name"),
        ("toy_calculators:_private", PotentialError, "module:name"),
        ("toy_calculators:smuggled", PlugInImportError, "defines no class or function smuggled"),
        ("toy_calculators:os.system", PlugInImportError, "defines no class or function os.system"),
        ("toy_calculators:Springs.stiff.__func__", PotentialError, "module:name"),
        ("toy_calculators:Nothing", PlugInImportError, "defines no class or function Nothing"),
        ("toy_calculators.inner:Springs", PlugInImportError, "cannot be imported"),
        ("toy_calculators:Flat", PotentialError, "gives no stress"),
        ("toy_calculators:broken", PotentialError, "RuntimeError: no licence server"),
        ("toy_calculators:number", PotentialError, "no calculator of ASE"),
        ("json:loads", PlugInImportError, "belongs to no installed package"),
    ],
)
def test_what_makes_no_calculator_is_refused(calculator: str, error: type[MatloopError], said: str) -> None:
    with allowing(["toy_calculators", "json"]), pytest.raises(error, match=said):
        springs(calculator).evaluate(salts(11))


def test_options_are_checked() -> None:
    with allowing(["toy_calculators"]):
        with pytest.raises(UnknownNameError, match="did you mean 'stiffness'"):
            springs(options={"stifness": 1.0}).evaluate(salts(11))
        stiff = springs("toy_calculators:Springs.stiff").energies(salts(11))
        np.testing.assert_allclose(stiff, springs(options={"stiffness": 0.1}).energies(salts(11)))


def test_another_file_of_the_name_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = tmp_path / "elsewhere"
    (hidden / "chgnet").mkdir(parents=True)
    (hidden / "chgnet" / "__init__.py").write_text("raise SystemExit", "utf-8")
    monkeypatch.syspath_prepend(str(hidden))
    monkeypatch.delitem(sys.modules, "chgnet", raising=False)
    with allowing(["chgnet"]), pytest.raises(PlugInImportError, match=r"would import chgnet from .*elsewhere"):
        springs("chgnet.model:CHGNetCalculator")


def test_weights_are_compared_before_anything_is_loaded(tmp_path: Path) -> None:
    file = tmp_path / "weights.txt"
    file.write_text("0.5", "utf-8")
    sha256 = hashlib.sha256(b"0.5").hexdigest()
    given = {"options": {"weights": "$weights"}, "weights": str(file)}
    with allowing(["toy_calculators"]):
        with pytest.raises(PotentialError, match=f"without sha256.*write sha256: {sha256}"):
            springs(**given)
        made = springs(**given, sha256=sha256)
        assert made.weights_sha256 == sha256
        assert sha256[:12] in energy_source(made)
        np.testing.assert_allclose(made.energies(salts(11)), springs(options={"stiffness": 0.5}).energies(salts(11)))
        with pytest.raises(PotentialError, match="that no option takes"):
            springs(weights=str(file), sha256=sha256)
        with pytest.raises(PotentialError, match=r"has \$weights and no weights"):
            springs(options={"weights": "$weights"})
        with pytest.raises(PotentialError, match="nobody compares its content"):
            springs(options={"weights": str(file)})
        file.write_text("0.6", "utf-8")
        with pytest.raises(PotentialError, match=f"have sha256 .*Allowed: {sha256}"):
            springs(**given, sha256=sha256)
        file.unlink()
        with pytest.raises(PotentialError, match="are no file"):
            springs(**given, sha256=sha256)


def test_source_of_energies_names_distribution_calculator_and_options(toys: Path) -> None:
    with allowing(["toy_calculators"]):
        soft, stiff = springs(), springs(options={"stiffness": 0.1})
        assert energy_source(soft).startswith("ase-toy-calculators 1.0-")
        assert energy_source(soft).endswith('{"calculator": "toy_calculators:Springs", "options": {}}')
        assert energy_source(soft) != energy_source(stiff)


def test_failures_of_a_calculator_are_fates_of_rows() -> None:
    with allowing(["toy_calculators"]):
        found = springs().evaluate(salts(11, 37, 55, 56, 118, 19))
    codes = ["", "E-POTENTIAL-FAILED", "E-POTENTIAL-NONFINITE", "E-POTENTIAL-FAILED", "E-POTENTIAL-ELEMENT", ""]
    assert found.codes.tolist() == codes
    assert np.isfinite(found.energies).tolist() == [code == "" for code in codes]
    assert found.details[1] == "NotImplementedError: no springs for rubidium"
    assert "forces of shape (1, 3), not (2, 3)" in found.details[3]


def test_a_calculator_that_hangs_is_ended_and_the_others_relax() -> None:
    given = {"calculator": SPRINGS, "options": {"hangs_for": "Sr"}}
    short = GuardedRelaxationSettings(limits=RelaxationLimits(seconds=0.5), grace_seconds=0.5, parameters=given)
    with allowing(["toy_calculators"]):
        hanging = relax_guarded("ase", salts(38), short)
        relaxed = relax_guarded("ase", salts(11, 37, 19), GuardedRelaxationSettings(parameters=given))
    assert hanging.column("relaxation_code").tolist() == ["E-POTENTIAL-TIMEOUT"]
    assert relaxed.column("relaxation_code").tolist() == ["", "E-POTENTIAL-FAILED", ""]
    assert relaxed.column("relaxation_detail")[1].startswith("NotImplementedError: no springs for rubidium")
    assert relaxed.crystals is not None
    np.testing.assert_allclose(relaxed.crystals.volumes[[0, 2]] / 2, 20, rtol=0.05)
    with pytest.raises(NotAllowedError):
        relax_guarded("ase", salts(11), short)


def test_examples_are_evaluated_alike_alone_and_together() -> None:
    with allowing(["toy_calculators"]):
        made, batch = springs(), example_crystals()
        alone = [made.energies(batch.take([row]))[0] for row in range(len(batch))]
        np.testing.assert_array_equal(made.energies(batch), alone)
