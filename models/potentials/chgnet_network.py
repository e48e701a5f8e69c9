"""The CHGNet 0.3.0 network, evaluated from the weights in the installed chgnet package.

The weights and equations are those of the published network (Deng et al., Nature Machine Intelligence 5, 1031-1041
(2023), doi:10.1038/s42256-023-00716-3), arranged for prediction instead of training:

- forces and stress come from one backward pass that keeps no graph for a further derivative;
- the first layer of each message is applied to atoms and bonds before they are gathered, not after: a linear map of
  joined vectors is the sum of linear maps of the parts, and there are far fewer atoms and bonds than messages;
- distances and angles are computed in double precision, the layers in single precision as trained.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.crystals import Crystals
from matloop.data.errors import PotentialError
from matloop.data.installation import install_command
from matloop.data.packaged.package_file import PackageFile
from matloop.models.potentials.chgnet_graph import ANGLE_CUTOFF, BOND_CUTOFF, NeighbourGraph

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = PackageFile(
    package="chgnet",
    path=Path("pretrained", "0.3.0", "chgnet_0.3.0_e29f68s314m37.pth.tar"),
    sha256="d14ab7c0f093efe64b60a7bcd540bca10e74fb7f46c86108a079af60524659d1",
    size_limit=6_000_000,  # it has 4.9 million
    install="matloop[potentials]",
    release="install chgnet 0.4.2, whose weights file this is",
)
HEAVIEST_ELEMENT = 94
_GPA = 160.21766208  # GPa per eV/Å3, the factor the network was trained with
_SMOOTHNESS = 8  # power of the cutoff polynomial
_LAYERS = 4


class Gate(NamedTuple):
    """Weights of a gated perceptron: core and gate side by side in the first layer."""

    first: Tensor
    first_bias: Tensor
    second: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]] | None
    norms: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]


class Output(NamedTuple):
    """Results of the network for a batch of crystals.

    Attributes:
        energies: eV/atom, shape (n,).
        embeddings: Mean of the atoms' last feature vectors, shape (n, 64).
        magnetic_moments: Bohr magnetons, shape (sites,).
        forces: eV/Å, shape (sites, 3); None where not asked for.
        stresses: GPa, positive under tension, shape (n, 3, 3); None where not asked for.
    """

    energies: NDArray[np.float64]
    embeddings: NDArray[np.float64]
    magnetic_moments: NDArray[np.float64]
    forces: NDArray[np.float64] | None
    stresses: NDArray[np.float64] | None


def verified_weights() -> bytes:
    """Read the weights file of the installed chgnet package, after checking its size and hash.

    Raises:
        PotentialError: If chgnet is not installed, or its weights are not the ones released with CHGNet 0.3.0.
    """
    return WEIGHTS.read(PotentialError)


@functools.cache
def load_network() -> Network:
    """Load the network, once per process.

    Raises:
        PotentialError: If torch or chgnet is not installed, or the weights are not the released ones.
    """
    content = verified_weights()
    if importlib.util.find_spec("torch") is None:
        raise PotentialError("torch is not installed", fix=install_command("matloop[potentials]"))
    import torch

    # weights_only: tensors and plain containers, no code, even though the hash is known.
    checkpoint = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return Network(checkpoint["model"]["state_dict"])


class Network:
    """CHGNet as a function of atoms, cells and neighbours.

    Args:
        state: Tensors of the checkpoint by name.
    """

    def __init__(self, state: dict[str, Tensor]) -> None:
        import torch

        self._state = {name: tensor.detach() for name, tensor in state.items()}
        self._atom_gates = [self._gate(f"atom_conv_layers.{i}.twoBody_atom") for i in range(_LAYERS)]
        self._bond_gates = [self._gate(f"bond_conv_layers.{i}.twoBody_bond") for i in range(_LAYERS - 1)]
        self._angle_gates = [self._gate(f"angle_layers.{i}.twoBody_bond") for i in range(_LAYERS - 1)]
        self._bond_embeddings = torch.cat([state["bond_embedding.weight"], state["bond_weights_ag.weight"]])

    def _gate(self, name: str) -> Gate:
        import torch

        parts = [f"{name}.mlp_core.layers", f"{name}.mlp_gate.layers"]
        hidden = f"{parts[0]}.3.weight" in self._state
        at = 0 if hidden else 1
        pairs = [
            [(self._state[f"{part}.{k}.weight"], self._state[f"{part}.{k}.bias"]) for part in parts] for k in (at, 3)
            if f"{parts[0]}.{k}.weight" in self._state
        ]  # fmt: skip
        norms = [(self._state[f"{name}.bn{k}.weight"], self._state[f"{name}.bn{k}.bias"]) for k in (1, 2)]
        return Gate(
            torch.cat([weight for weight, _ in pairs[0]]), torch.cat([bias for _, bias in pairs[0]]),
            (pairs[1][0], pairs[1][1]) if hidden else None, (norms[0], norms[1]),
        )  # fmt: skip

    def __call__(self, crystals: Crystals, graph: NeighbourGraph, *, gradients: bool) -> Output:
        """Evaluate n crystals.

        Args:
            crystals: Elements up to plutonium.
            graph: Their neighbours.
            gradients: Whether forces and stresses are wanted.
        """
        import torch

        n = len(crystals)
        owner = torch.from_numpy(np.repeat(np.arange(n), crystals.site_counts))
        species = torch.from_numpy(crystals.species.astype(np.int64)) - 1
        lattice = torch.from_numpy(np.ascontiguousarray(crystals.lattice, np.float64))
        frac = torch.from_numpy(np.ascontiguousarray(crystals.frac_coords, np.float64))
        with torch.set_grad_enabled(gradients):
            strain = torch.zeros_like(lattice, requires_grad=gradients)
            cells = lattice + lattice @ strain
            places = torch.einsum("si,sij->sj", frac, cells[owner])
            sites, moments = self._sites(species, places, cells, owner, graph)
            per_site = self._perceptron(sites).view(-1).double()
            if gradients:
                slopes = torch.autograd.grad(per_site.sum(), [places, strain])
        counts = torch.bincount(owner, minlength=n)
        reference = self._state["composition_model.fc.weight"][0].double()[species]
        energies = torch.zeros(n, dtype=torch.float64).index_add_(0, owner, per_site.detach() + reference) / counts
        embeddings = torch.zeros(n, sites.shape[1]).index_add_(0, owner, sites.detach()) / counts[:, None]
        forces = stresses = None
        if gradients:
            forces = -slopes[0].numpy()
            stresses = slopes[1].numpy() * (_GPA / crystals.volumes)[:, None, None]
        return Output(energies.numpy(), embeddings.double().numpy(), moments.double().numpy(), forces, stresses)

    def _sites(
        self, species: Tensor, places: Tensor, cells: Tensor, owner: Tensor, graph: NeighbourGraph
    ) -> tuple[Tensor, Tensor]:
        """Final features of each atom, and its magnetic moment."""
        import torch

        first, second, short = (torch.from_numpy(part) for part in (graph.first, graph.second, graph.short))
        corner, arm, other = (torch.from_numpy(part) for part in (graph.corner, graph.arm, graph.other_arm))
        shift = torch.einsum("si,sij->sj", torch.from_numpy(graph.shift), cells[owner[first]])
        vectors = places[second] + shift - places[first]
        lengths = torch.linalg.vector_norm(vectors, dim=1)
        bonds, atom_weights = (
            self._bessel(lengths, BOND_CUTOFF, "bond_basis_expansion.rbf_expansion_ag") @ self._bond_embeddings.T
        ).split(64, dim=1)
        short_basis = self._bessel(lengths[short], ANGLE_CUTOFF, "bond_basis_expansion.rbf_expansion_bg")
        bond_weights = short_basis @ self._state["bond_weights_bg.weight"].T
        units = vectors[short] / lengths[short, None]
        cosines = (units[arm] * units[other]).sum(dim=1) * torch.from_numpy(graph.sign)
        angles = self._fourier(cosines) @ self._state["angle_embedding.weight"].T
        pair_weights = bond_weights[arm] * bond_weights[other]
        atoms = self._state["atom_embedding.embedding.weight"][species]
        for i in range(_LAYERS - 1):
            atoms = self._update_atoms(i, atoms, bonds, atom_weights, first, second)
            if len(angles):
                near = self._update_bonds(i, atoms, bonds[short], angles, pair_weights, (corner, arm, other))
                bonds = bonds.index_add(0, short, near)
                parts = ((bonds[short], arm), (bonds[short], other), (angles, None), (atoms, corner))
                angles = angles + self._gated(self._angle_gates[i], parts)
        moments = (atoms.detach() @ self._state["site_wise.weight"].T + self._state["site_wise.bias"]).view(-1).abs()
        atoms = self._update_atoms(_LAYERS - 1, atoms, bonds, atom_weights, first, second)
        norm = self._state["readout_norm.weight"], self._state["readout_norm.bias"]
        return torch.nn.functional.layer_norm(atoms, (64,), *norm), moments

    def _update_atoms(
        self, layer: int, atoms: Tensor, bonds: Tensor, weights: Tensor, first: Tensor, second: Tensor
    ) -> Tensor:
        """Messages along each bond, in both directions."""
        import torch

        gate = self._atom_gates[layer]
        centre, bond, neighbour = gate.first.split(64, dim=1)
        at_centre, at_neighbour = atoms @ centre.T, atoms @ neighbour.T
        shared = bonds @ bond.T + gate.first_bias
        hidden = torch.cat(
            [at_centre[first] + shared + at_neighbour[second], at_centre[second] + shared + at_neighbour[first]]
        )
        messages = self._rest_of_gate(gate, hidden) * weights.repeat(2, 1)
        gathered = torch.zeros_like(atoms).index_add(0, torch.cat([first, second]), messages)
        return atoms + gathered @ self._state[f"atom_conv_layers.{layer}.mlp_out.layers.1.weight"].T

    def _update_bonds(
        self, layer: int, atoms: Tensor, near: Tensor, angles: Tensor, weights: Tensor, graph: tuple[Tensor, ...]
    ) -> Tensor:
        """Change of the features of each short bond."""
        import torch

        corner, arm, other = graph
        parts = ((near, arm), (near, other), (angles, None), (atoms, corner))
        messages = self._gated(self._bond_gates[layer], parts) * weights
        gathered = torch.zeros_like(near).index_add(0, arm, messages)
        return gathered @ self._state[f"bond_conv_layers.{layer}.mlp_out.layers.1.weight"].T

    def _gated(self, gate: Gate, parts: tuple[tuple[Tensor, Tensor | None], ...]) -> Tensor:
        """Gated perceptron of joined vectors, given as (features, which of them) for each part."""
        total = gate.first_bias
        for (features, index), columns in zip(parts, gate.first.split(64, dim=1), strict=True):
            mapped = features @ columns.T
            total = total + (mapped if index is None else mapped[index])
        return self._rest_of_gate(gate, total)

    def _rest_of_gate(self, gate: Gate, hidden: Tensor) -> Tensor:
        from torch.nn.functional import layer_norm, linear, silu

        core, door = hidden.split(64, dim=1)
        if gate.second is not None:
            core, door = (linear(silu(part), *layer) for part, layer in zip((core, door), gate.second, strict=True))
        return silu(layer_norm(core, (64,), *gate.norms[0])) * layer_norm(door, (64,), *gate.norms[1]).sigmoid()

    def _perceptron(self, sites: Tensor) -> Tensor:
        """Energy of each atom in eV, apart from the reference of its element."""
        from torch.nn.functional import linear, silu

        for layer in (0, 2, 4):
            sites = silu(linear(sites, *(self._state[f"mlp.layers.{layer}.{part}"] for part in ("weight", "bias"))))
        return linear(sites, self._state["mlp.layers.7.weight"], self._state["mlp.layers.7.bias"])

    def _bessel(self, lengths: Tensor, cutoff: float, name: str) -> Tensor:
        """Radial Bessel functions under a polynomial envelope (Gasteiger et al., DimeNet, ICLR 2020)."""
        import torch

        scaled, p = (lengths / cutoff).float()[:, None], _SMOOTHNESS
        envelope = 1 + scaled**p * (-(p + 1) * (p + 2) / 2 + scaled * (p * (p + 2) - scaled * p * (p + 1) / 2))
        waves = torch.sin(self._state[f"{name}.frequencies"] * scaled)
        return waves * (math.sqrt(2 / cutoff) * envelope / (scaled * cutoff))

    def _fourier(self, cosines: Tensor) -> Tensor:
        """Fourier functions of the angles."""
        import torch

        angle = torch.acos(cosines * (1 - 1e-6)).float()  # as trained; keeps straight angles differentiable
        waves = torch.outer(angle, self._state["angle_basis_expansion.fourier_expansion.frequencies"])
        constant = torch.full((len(angle), 1), 1 / math.sqrt(2))
        return torch.cat([constant, waves.sin(), waves.cos()], dim=1) / math.sqrt(math.pi)
