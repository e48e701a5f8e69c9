import importlib.util
import pickle
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.data.errors import ROW_CODES, PotentialError, UnknownNameError
from matloop.data.packaged.materials import load_materials
from matloop.models.potentials import chgnet as chgnet_potential
from matloop.models.potentials import chgnet_network, contract
from matloop.models.potentials.chgnet_graph import graph_sizes, neighbour_graph
from matloop.models.potentials.contract import Evaluation, Potential, energy_source, potential_named
from matloop.models.potentials.relaxation import relax_crystal
from matloop.models.potentials.relaxed_crystal import RelaxationLimits, RelaxedCrystal
from matloop.models.potentials.validation import example_crystals, validate_potential
from tests.models.potentials.pair_potential import PairPotential


@pytest.fixture(scope="module")
def chgnet() -> Potential:
    pytest.importorskip("torch", reason="torch is not installed (extra potentials)")
    pytest.importorskip("chgnet", reason="chgnet is not installed (extra potentials)")
    return potential_named("chgnet")


@pytest.fixture(scope="module")
def some_crystals() -> CandidateBatch:
    """Sixteen packaged crystals with at most 20 sites."""
    materials = load_materials()
    small = np.flatnonzero(materials.crystals.site_counts <= 20)
    return materials.take(np.sort(np.random.default_rng(5).choice(small, 16, replace=False)))


def one_cell(edge: float, species: list[int], places: list[list[float]]) -> CandidateBatch:
    offsets = np.array([0, len(species)])
    return CandidateBatch.from_crystals(
        Crystals(edge * np.eye(3)[None], offsets, np.array(species, np.uint8), np.array(places, float))
    )


def test_pair_potential_keeps_the_contract() -> None:
    assert validate_potential(PairPotential()) == ("Evaluates", "Embeds")


class OnlyEvaluates:
    """The pair potential without its embedding."""

    name, version, weights_sha256, licence = "only", "1", "0" * 64, "none"
    neutral_options, batch_sites = frozenset({"threads"}), 1

    def __init__(self, depth: float = 0.2, threads: int = 1) -> None:
        self.settings: dict[str, Any] = {} if depth == 0.2 else {"depth": depth}
        self.pair = PairPotential()
        self.pair.depth = depth

    def row_codes(self, batch: CandidateBatch) -> np.ndarray:
        return self.pair.row_codes(batch)

    def energies(self, batch: CandidateBatch) -> np.ndarray:
        return self.pair.energies(batch)

    def evaluate(self, batch: CandidateBatch) -> Evaluation:
        return self.pair.evaluate(batch)


class OnlyEmbeds:
    name, version, weights_sha256, licence = "vectors", "1", "0" * 64, "none"
    neutral_options, batch_sites, settings = frozenset[str](), 1, MappingProxyType[str, Any]({})

    def row_codes(self, batch: CandidateBatch) -> np.ndarray:
        return PairPotential().row_codes(batch)

    def embeddings(self, batch: CandidateBatch) -> np.ndarray:
        return PairPotential().embeddings(batch)


class Together(PairPotential):
    """Relaxes crystals one after the other and calls it a batch."""

    def relax_batch(self, batch: CandidateBatch, *, limits: RelaxationLimits, relax_cell: bool) -> list[RelaxedCrystal]:
        rows = range(len(batch))
        return [relax_crystal(batch.atoms(row), self, limits=limits, relax_cell=relax_cell) for row in rows]


class LeavesOneOut(Together):
    def relax_batch(self, batch: CandidateBatch, **given: Any) -> list[RelaxedCrystal]:
        return super().relax_batch(batch, **given)[:-1]


class GoesUphill(Together):
    def relax_batch(self, batch: CandidateBatch, **given: Any) -> list[RelaxedCrystal]:
        ends = super().relax_batch(batch, **given)
        return [end._replace(energies=(end.energies[0], end.energies[1] + 1.0)) for end in ends]


class ForgetsTheCell(Together):
    def relax_batch(self, batch: CandidateBatch, *, limits: RelaxationLimits, relax_cell: bool) -> list[RelaxedCrystal]:
        return super().relax_batch(batch, limits=limits, relax_cell=True)


class HalfThere(OnlyEmbeds):
    def energies(self, batch: CandidateBatch) -> np.ndarray:
        return PairPotential().energies(batch)


class Nothing(OnlyEmbeds):
    embeddings = property()  # type: ignore[assignment]  # raises AttributeError


class Whimsical(OnlyEmbeds):
    """Its numbers depend on the company a crystal keeps."""

    def embeddings(self, batch: CandidateBatch) -> np.ndarray:
        return super().embeddings(batch) + len(batch)


def test_exactly_what_a_potential_offers_is_checked() -> None:
    assert validate_potential(OnlyEvaluates()) == ("Evaluates",)
    assert validate_potential(OnlyEmbeds()) == ("Embeds",)
    assert validate_potential(Together()) == ("Evaluates", "Embeds", "RelaxesBatches")


@pytest.mark.parametrize(
    ("broken", "clause"),
    [
        (LeavesOneOut, "4 crystals are relaxed into 3"), (GoesUphill, "raises an energy|last energy"),
        (ForgetsTheCell, "the cell relaxes although"), (HalfThere, "Evaluates also needs evaluate"),
        (Nothing, "no capability"), (Whimsical, "the embedding depends on the batch"),
    ],
)  # fmt: skip
def test_broken_promise_of_a_capability_is_named(broken: type, clause: str) -> None:
    with pytest.raises(PotentialError, match=clause):
        validate_potential(broken())


@pytest.mark.parametrize(
    ("fact", "value", "clause"),
    [
        ("name", "", "not empty"), ("weights_sha256", "abc", "hexadecimal"), ("batch_sites", 0, "at least 1"),
        ("settings", {"threads": 2}, "neutral"), ("settings", {"cutoff": np.inf}, "plain JSON"),
        ("settings", {"path": Path("x")}, "plain JSON"),
    ],
)  # fmt: skip
def test_what_a_potential_says_of_itself_is_checked(fact: str, value: Any, clause: str) -> None:
    potential = OnlyEvaluates()
    setattr(potential, fact, value)
    with pytest.raises(PotentialError, match=clause):
        validate_potential(potential)


class Secretive(OnlyEvaluates):
    def __init__(self, depth: float = 0.2, threads: int = 1) -> None:
        super().__init__(depth, threads)
        self.settings = {}


def test_settings_are_part_of_the_energy_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "POTENTIALS", {"only": f"{__name__}:OnlyEvaluates", "chgnet": "never:loaded"})
    plain = energy_source(potential_named("only"))
    assert plain == "only-1-000000000000"
    assert energy_source(potential_named("only", depth=0.2, threads=4)) == plain
    assert energy_source(potential_named("only", depth=0.3)) == 'only-1-000000000000 {"depth": 0.3}'
    lengthy = [OnlyEvaluates(), OnlyEvaluates()]
    for potential, last in zip(lengthy, "ab", strict=True):
        potential.settings = {"mixture": "x" * 300 + last}
    sources = [energy_source(potential) for potential in lengthy]
    assert sources[0] != sources[1]
    assert all(len(source) < 120 for source in sources)
    with pytest.raises(UnknownNameError, match=r"option of only 'dept'.*did you mean 'depth'"):
        potential_named("only", dept=0.3)
    monkeypatch.setattr(contract, "POTENTIALS", {"only": f"{__name__}:Secretive", "other": f"{__name__}:OnlyEvaluates"})
    assert energy_source(potential_named("only", depth=0.2)) == plain
    with pytest.raises(PotentialError, match=r"depth = 0.3, which is not among its settings"):
        potential_named("only", depth=0.3)
    with pytest.raises(PotentialError, match=r"'other', which calls itself 'only'"):
        potential_named("other")


class Extensive(PairPotential):
    def evaluate(self, batch: CandidateBatch) -> Evaluation:
        result = super().evaluate(batch)
        counts = batch.crystals.site_counts
        return Evaluation(
            result.energies * counts, result.forces, result.stresses, result.magnetic_moments, result.codes
        )


class Pressure(PairPotential):
    def evaluate(self, batch: CandidateBatch) -> Evaluation:
        result = super().evaluate(batch)
        return Evaluation(result.energies, result.forces, -result.stresses, result.magnetic_moments, result.codes)


class Gradient(PairPotential):
    def evaluate(self, batch: CandidateBatch) -> Evaluation:
        result = super().evaluate(batch)
        return Evaluation(result.energies, -result.forces, result.stresses, result.magnetic_moments, result.codes)


class RelativeToBatch(PairPotential):
    def evaluate(self, batch: CandidateBatch) -> Evaluation:
        result = super().evaluate(batch)
        energies = result.energies - np.nanmean(result.energies) if len(batch) else result.energies
        return Evaluation(energies, result.forces, result.stresses, result.magnetic_moments, result.codes)


class Guess(PairPotential):
    def row_codes(self, batch: CandidateBatch) -> np.ndarray:
        return np.full(len(batch), "", dtype="<U32")


@pytest.mark.parametrize(
    ("broken", "clause"),
    [
        (Extensive, "supercell"), (Pressure, "slopes .* along strain"), (Gradient, "slopes .* of the energy"),
        (RelativeToBatch, "depends on the batch"), (Guess, "oganesson"),
    ],
)  # fmt: skip
def test_broken_contract_is_named(broken: type[PairPotential], clause: str) -> None:
    with pytest.raises(PotentialError, match=clause):
        validate_potential(broken())


def test_graph_of_rock_salt() -> None:
    salt = example_crystals().take([0])
    sizes = graph_sizes(salt.crystals)
    graph = neighbour_graph(salt.crystals, sizes)
    # Within 6 Å (edge 5.64 Å): 6 neighbours at a/2, 12 at a/sqrt 2, 8 at 0.87 a, 6 at a. Within 3 Å: the first 6.
    assert sizes.bonds.tolist() == [8 * 32 // 2]
    assert sizes.angles.tolist() == [8 * 6 * 5] == [len(graph.corner)]
    assert not sizes.isolated.any()
    ends = np.bincount(np.concatenate([graph.first, graph.second]), minlength=8)
    assert ends.tolist() == [32] * 8


def test_chgnet_keeps_the_contract(chgnet: Potential) -> None:
    assert validate_potential(chgnet) == ("Evaluates", "Embeds")
    validate_potential(pickle.loads(pickle.dumps(chgnet)))  # noqa: S301  # our own object
    assert energy_source(chgnet) == "chgnet-0.3.0-d14ab7c0f093"
    assert energy_source(potential_named("chgnet", batch_size=2, threads=2)) == energy_source(chgnet)


def test_chgnet_agrees_with_its_own_package(chgnet: Potential, some_crystals: CandidateBatch) -> None:
    import torch
    from chgnet.model.model import CHGNet

    threads = torch.get_num_threads()
    package = CHGNet.load(use_device="cpu", verbose=False)
    assert package.graph_converter.algorithm == "fast"
    ours, embeddings = chgnet.evaluate(some_crystals), chgnet.embeddings(some_crystals)
    assert torch.get_num_threads() == threads
    assert (ours.codes == "").all()
    offsets = some_crystals.crystals.offsets
    sizes = graph_sizes(some_crystals.crystals)
    for row in range(len(some_crystals)):
        sites = slice(offsets[row], offsets[row + 1])
        graph = package.graph_converter(some_crystals.structure(row))
        assert len(graph.undirected2directed) == sizes.bonds[row]
        assert len(graph.bond_graph) == sizes.angles[row]
        theirs: Any = package.predict_graph(graph, task="efsm", return_crystal_feas=True)
        # Theirs works out angles in single precision, which costs up to 3e-4 eV/Å where bonds are straight.
        assert theirs["e"] == pytest.approx(ours.energies[row], abs=1e-5)
        np.testing.assert_allclose(theirs["f"], ours.forces[sites], atol=1e-3)
        np.testing.assert_allclose(theirs["s"], ours.stresses[row], atol=5e-3)
        np.testing.assert_allclose(theirs["m"], ours.magnetic_moments[sites], atol=1e-4)
        np.testing.assert_allclose(
            theirs["crystal_fea"] / (offsets[row + 1] - offsets[row]), embeddings[row], atol=1e-4
        )


def test_batch_size_does_not_matter(chgnet: Potential, some_crystals: CandidateBatch) -> None:
    whole = chgnet.energies(some_crystals)
    np.testing.assert_allclose(potential_named("chgnet", batch_size=1).energies(some_crystals), whole, atol=1e-5)
    np.testing.assert_allclose(potential_named("chgnet", batch_graph=1).energies(some_crystals), whole, atol=1e-5)


def test_what_chgnet_cannot_do_is_coded(chgnet: Potential, monkeypatch: pytest.MonkeyPatch) -> None:
    far, heavy = one_cell(20.0, [11], [[0, 0, 0]]), one_cell(5.0, [96, 8], [[0, 0, 0], [0.5, 0.5, 0.5]])
    formulas = CandidateBatch.from_formulas(["NaCl", "Fe2O3"]).batch
    for batch, code in (
        (far, "E-POTENTIAL-ISOLATED"),
        (heavy, "E-POTENTIAL-ELEMENT"),
        (formulas, "E-POTENTIAL-CRYSTAL"),
    ):
        assert code in ROW_CODES
        assert set(chgnet.row_codes(batch)) == {code}
        assert np.isnan(chgnet.energies(batch)).all()
        assert np.isnan(chgnet.embeddings(batch)).all()
        assert set(chgnet.evaluate(batch).codes) == {code}
    monkeypatch.setattr(chgnet_potential, "LARGEST_GRAPH", 100)
    assert chgnet.row_codes(example_crystals())[0] == "E-POTENTIAL-SIZE"


def test_numbers_that_are_not_finite_are_coded(chgnet: Potential, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(crystals: Crystals, graph: Any, *, gradients: bool) -> chgnet_network.Output:
        n, sites = len(crystals), len(crystals.species)
        return chgnet_network.Output(
            np.full(n, -1.0), np.zeros((n, 64)), np.zeros(sites), np.full((sites, 3), np.inf), np.zeros((n, 3, 3))
        )

    monkeypatch.setattr(chgnet_potential, "load_network", lambda: broken)
    assert set(chgnet.evaluate(example_crystals()).codes) == {"E-POTENTIAL-NONFINITE"}


def test_weights_are_checked_before_anything_reads_them(
    chgnet: Potential, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / chgnet_network.WEIGHTS.path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x80\x04cos\nsystem\n")
    spec = importlib.util.spec_from_loader("chgnet", loader=None, is_package=True)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    spec.submodule_search_locations.append(str(tmp_path))

    def forbidden(*_: Any, **__: Any) -> None:
        raise AssertionError("the file was read")

    monkeypatch.setattr("torch.load", forbidden)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    chgnet_network.load_network.cache_clear()
    for refused in (lambda: potential_named("chgnet"), chgnet_network.load_network):
        with pytest.raises(PotentialError, match=r"E-POTENTIAL: .* has sha256") as caught:
            refused()
        assert caught.value.allowed == chgnet_network.WEIGHTS.sha256
    path.write_bytes(bytes(chgnet_network.WEIGHTS.size_limit + 1))
    with pytest.raises(PotentialError, match="bytes"):
        potential_named("chgnet")
    path.unlink()
    with pytest.raises(PotentialError, match="no file"):
        potential_named("chgnet")


def test_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PotentialError, match=r"chgnet is not installed.*potentials"):
        potential_named("chgnet")


def test_unknown_potential_gets_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'chgnet'"):
        potential_named("chgnett")
