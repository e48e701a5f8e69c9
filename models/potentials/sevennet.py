"""SevenNet-l3i5 as a potential: energies, forces and stresses from the weights in the installed sevenn package.

The package builds the network and evaluates it; the weights are checked by hash and read here, as tensors and plain
values only. Its energies are those of the Materials Project without corrections: GGA and GGA+U calculations are mixed
in them, so formation energies need a correction for each element that takes +U in oxides and fluorides
(:class:`matloop.models.potentials.elemental_references.ElementalReferences`).

Y. Park, J. Kim, S. Hwang and S. Han, Journal of Chemical Theory and Computation 20, 4857-4868 (2024),
doi:10.1021/acs.jctc.4c00190.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import PotentialError
from matloop.data.installation import install_command
from matloop.data.label import Label
from matloop.data.packaged.citations import CITATIONS, SEVENNET, Citation
from matloop.data.packaged.package_file import PackageFile
from matloop.models.potentials.ase_calculator import evaluated
from matloop.models.potentials.contract import Evaluation, codes_beyond
from matloop.models.potentials.device import PROCESSOR, chosen_device

WEIGHTS = PackageFile(
    package="sevenn",
    path=Path("pretrained_potentials", "SevenNet_l3i5", "checkpoint_l3i5.pth"),
    sha256="a7ff190d41efe5b8317a03d20a468e4036a1a3e64e0b14fdbab64ac3f4bfc09d",
    size_limit=20_000_000,  # it has 14.3 million
    install="matloop[sevennet]",
    release="install sevenn 0.13.0, whose weights file this is",
)
GGA_AND_U = ("Co", "Cr", "Fe", "Mn", "Mo", "Ni", "V", "W")
"""Elements that the Materials Project computes with +U in oxides and fluorides, and without elsewhere."""


@dataclass(frozen=True)
class SevenNetPotential:
    """The potential trained on relaxations of the Materials Project (MPtrj), as shipped in the sevenn package.

    It is more exact than CHGNet and some ten times slower. Its energies compare with each other and with nothing else;
    corrections for elements with +U are fitted with the elements.

    Args:
        device: ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one. The processor is tested, a GPU is not.

    Raises:
        UnknownNameError: For another device.
        PotentialError: If sevenn is not installed, its weights are not the released ones, or there is no GPU as asked.
    """

    device: Literal["cpu", "auto", "cuda"] = "cpu"

    name: ClassVar[str] = "sevennet"
    version: ClassVar[str] = "l3i5"
    weights_sha256: ClassVar[str] = WEIGHTS.sha256
    licence: ClassVar[str] = "MIT (sevenn)"
    settings: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    neutral_options: ClassVar[frozenset[str]] = frozenset({"device"})
    cites: ClassVar[tuple[Citation, ...]] = (
        Citation(Label("Interatomic potential SevenNet", "原子间势函数 SevenNet"), CITATIONS[SEVENNET], licence),
    )
    batch_sites: ClassVar[int] = 1
    corrected_elements: ClassVar[tuple[str, ...]] = GGA_AND_U

    def __post_init__(self) -> None:
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
