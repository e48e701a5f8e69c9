"""SevenNet-l3i5 as a potential: energies, forces and stresses from the weights in the installed sevenn package.

The package builds the network and evaluates it; the weights are checked by hash and read here, as tensors and plain
values only. Its energies are those of the Materials Project without corrections: GGA and GGA+U calculations are mixed
in them, so formation energies need a correction for each element that takes +U in oxides and fluorides
(:class:`matloop.models.stability.elemental_references.ElementalReferences`).

Y. Park, J. Kim, S. Hwang and S. Han, Journal of Chemical Theory and Computation 20, 4857-4868 (2024),
doi:10.1021/acs.jctc.4c00190.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import PotentialError, unknown_name
from matloop.data.installation import install_command
from matloop.data.label import Label
from matloop.data.packaged.citations import CITATIONS, SEVENNET, Citation
from matloop.data.packaged.package_file import PackageFile
from matloop.models.potentials.ase_calculator import evaluated
from matloop.models.potentials.contract import GGA_AND_U, Evaluation, codes_beyond
from matloop.models.potentials.device import PROCESSOR, chosen_device
from matloop.models.potentials.relaxed_crystal import RelaxationLimits, RelaxedCrystal
from matloop.models.potentials.torch_sim_relaxation import relax_together, require_torch_sim

WEIGHTS = PackageFile(
    package="sevenn",
    path=Path("pretrained_potentials", "SevenNet_l3i5", "checkpoint_l3i5.pth"),
    sha256="a7ff190d41efe5b8317a03d20a468e4036a1a3e64e0b14fdbab64ac3f4bfc09d",
    size_limit=20_000_000,  # it has 14.3 million
    install="matloop[sevennet]",
    release="install sevenn 0.13.0, whose weights file this is",
)
TORCH_SIM: Final = "torch-sim"
ENGINES = ("ase", TORCH_SIM)
"""What relaxes crystals with this potential."""
_GPA = 160.2176634  # GPa per eV/Å3


@dataclass(frozen=True)
class SevenNetPotential:
    """The potential trained on relaxations of the Materials Project (MPtrj), as shipped in the sevenn package.

    It is more exact than CHGNet and some ten times slower. Its energies compare with each other and with nothing else;
    corrections for elements with +U are fitted with the elements.

    Args:
        device: ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one. The processor is tested, a GPU is not.
        engine: ``ase`` relaxes one crystal at a time; ``torch-sim`` relaxes several together, to the same limits, if it
            is installed. Then the last digits of a relaxed crystal depend on those beside it.

    Raises:
        UnknownNameError: For another device or engine.
        PotentialError: If sevenn is not installed, its weights are not the released ones, there is no GPU as asked, or
            torch-sim is asked for and not installed.
    """

    device: Literal["cpu", "auto", "cuda"] = "cpu"
    engine: Literal["ase", "torch-sim"] = "ase"

    name: ClassVar[str] = "sevennet"
    version: ClassVar[str] = "l3i5"
    weights_sha256: ClassVar[str] = WEIGHTS.sha256
    licence: ClassVar[str] = "MIT (sevenn)"
    settings: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    neutral_options: ClassVar[frozenset[str]] = frozenset({"device", "engine"})
    cites: ClassVar[tuple[Citation, ...]] = (
        Citation(Label("Interatomic potential SevenNet", "原子间势函数 SevenNet"), CITATIONS[SEVENNET], licence),
    )
    batch_sites: ClassVar[int] = 1
    corrected_elements: ClassVar[tuple[str, ...]] = GGA_AND_U

    def __new__(
        cls, device: Literal["cpu", "auto", "cuda"] = "cpu", engine: Literal["ase", "torch-sim"] = "ase"
    ) -> SevenNetPotential:
        """Make a potential that relaxes batches where torch-sim is asked for, as pathlib.Path chooses a kind."""
        return super().__new__(SevenNetInBatches if engine == TORCH_SIM else cls)

    def __post_init__(self) -> None:
        if self.engine not in ENGINES:
            raise unknown_name("engine", self.engine, ENGINES)
        WEIGHTS.read(PotentialError)
        object.__setattr__(self, "device", chosen_device(self.device))

    def row_codes(self, batch: CandidateBatch) -> NDArray[np.str_]:
        """Row code of each candidate it cannot evaluate, else empty, shape (n,)."""
        return codes_beyond(batch, load_calculator(self.device).type_map)

    def energies(self, batch: CandidateBatch) -> NDArray[np.float64]:
        """Energies in eV/atom, nan for candidates with a row code, shape (n,)."""
        return self.evaluate(batch).energies

    def evaluate(self, batch: CandidateBatch) -> Evaluation:
        """Energies, forces and stresses; the network has no magnetic moments."""
        return evaluated(load_calculator(self.device), batch, self.row_codes(batch))


@dataclass(frozen=True)
class SevenNetInBatches(SevenNetPotential):
    """The same potential; it relaxes several crystals together with torch-sim."""

    engine: Literal["ase", "torch-sim"] = TORCH_SIM

    batch_sites: ClassVar[int] = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        require_torch_sim()

    def relax_batch(
        self, batch: CandidateBatch, *, limits: RelaxationLimits, relax_cell: bool
    ) -> Sequence[RelaxedCrystal]:
        """How the relaxation of each crystal ended, in order."""
        return relax_together(self._evaluate_together, batch, limits=limits, relax_cell=relax_cell)

    def _evaluate_together(self, batch: CandidateBatch) -> Evaluation:
        return evaluated_together(batch, self.row_codes(batch), self.device)


def evaluated_together(batch: CandidateBatch, codes: NDArray[np.str_], device: str) -> Evaluation:
    """Ask the network about n crystals at once.

    Args:
        batch: The crystals.
        codes: Row code of each candidate that is not asked about, else empty, shape (n,).
        device: ``cpu`` or ``cuda``.
    """
    from sevenn.atom_graph_data import AtomGraphData
    from sevenn.train.dataload import unlabeled_atoms_to_graph
    from torch_geometric.loader.dataloader import Collater

    n = len(batch)
    offsets = np.zeros(n + 1, np.int64) if batch.crystals is None else batch.crystals.offsets
    sites = int(offsets[-1])
    result = Evaluation(
        np.full(n, np.nan), np.full((sites, 3), np.nan), np.full((n, 3, 3), np.nan), np.full(sites, np.nan), codes
    )
    rows = np.flatnonzero(codes == "")
    if len(rows):
        network = _batch_network(device)
        graphs = [unlabeled_atoms_to_graph(batch.atoms(row), network.cutoff) for row in rows.tolist()]
        joined = Collater([])([AtomGraphData.from_numpy_dict(graph) for graph in graphs]).to(device)
        told = network(joined)
        energies, forces, stresses = (
            told[name].detach().cpu().numpy().astype(float)
            for name in ("inferred_total_energy", "inferred_force", "inferred_stress")
        )
        owner = np.repeat(np.arange(n), np.diff(offsets))
        result.energies[rows] = energies.reshape(-1) / np.diff(offsets)[rows]
        result.forces[np.isin(owner, rows)] = forces
        xx, yy, zz, xy, yz, zx = -stresses.T * _GPA
        result.stresses[rows] = np.array([[xx, xy, zx], [xy, yy, yz], [zx, yz, zz]]).transpose(2, 0, 1)
    return result


@functools.cache
def _batch_network(device: str) -> Any:
    """Load the network for several crystals at once, once per process; that of the calculator takes one at a time."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = _network(WEIGHTS.read(PotentialError))
    network.eval_type_map = torch.tensor(True)
    network.set_is_batch_data(True)
    return network.to(device).eval()


@functools.cache
def load_calculator(device: str = PROCESSOR) -> Any:
    """Make the calculator of the sevenn package with the network of these weights, once per process.

    Args:
        device: ``cpu`` or ``cuda``.

    Raises:
        PotentialError: If torch, sevenn or a package that it needs is not installed, or the weights are not the
            released ones.
    """
    content = WEIGHTS.read(PotentialError)
    if importlib.util.find_spec("torch") is None:
        raise PotentialError("torch is not installed", fix=install_command("matloop[sevennet]"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of accelerators that are not installed
            from sevenn.calculator import SevenNetCalculator

            return SevenNetCalculator(_network(content), file_type="model_instance", device=device)
    except ImportError as error:
        raise PotentialError(
            f"sevenn cannot be imported: {error}", "sevenn 0.13 with all that it needs",
            install_command("matloop[sevennet]"),
        ) from error  # fmt: skip


def _network(content: bytes) -> Any:
    """Build the network that a checkpoint describes, with its weights.

    Args:
        content: Of the checkpoint, whose hash is known.
    """
    import torch
    from sevenn.checkpoint import _config_cp_routine
    from sevenn.model_build import build_E3_equivariant_model
    from sevenn.scripts.backward_compatibility import patch_state_dict_if_old

    # weights_only: tensors, arrays and plain containers, no code, even though the hash is known.
    with torch.serialization.safe_globals(_ARRAYS):
        checkpoint = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    settings = _config_cp_routine(checkpoint["config"]) | {"_flash_lammps": False, "use_oeq": False}
    network = build_E3_equivariant_model(settings)
    network.load_state_dict(patch_state_dict_if_old(checkpoint["model_state_dict"], settings, network), strict=True)
    return network


_ARRAYS: list[Any] = [
    np.ndarray, np.dtype, *{type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "?")},
    (np.empty(0).__reduce__()[0], "numpy.core.multiarray._reconstruct"),  # under the name of numpy before 2.0
]  # fmt: skip
"""Classes of numpy's arrays: they hold numbers only."""
