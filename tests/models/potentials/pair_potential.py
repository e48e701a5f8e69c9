"""A potential that can be checked by hand: Morse bonds between all atoms closer than 6 Å."""

from typing import ClassVar

import numpy as np

from matloop.data.candidates.batch import CandidateBatch
from matloop.models.potentials.chgnet_graph import BOND_CUTOFF, graph_sizes, neighbour_graph
from matloop.models.potentials.contract import Evaluation


class PairPotential:
    """Morse potential of depth 0.2 eV at 3 Å, smoothly cut off; the energy of an element is minus its number in meV."""

    name: ClassVar[str] = "pair"
    version: ClassVar[str] = "1"
    weights_sha256: ClassVar[str] = "0" * 64
    licence: ClassVar[str] = "none"
    neutral_options: ClassVar[frozenset[str]] = frozenset()
    batch_sites = 1

    depth = 0.2
    width = 1.3
    length = 3.0

    @property
    def settings(self) -> dict[str, float]:
        return {} if self.depth == 0.2 else {"depth": self.depth}

    def row_codes(self, batch: CandidateBatch) -> np.ndarray:
        heavy = np.repeat(np.arange(len(batch)), batch.crystals.site_counts)[batch.crystals.species > 94]
        codes = np.full(len(batch), "", dtype="<U32")
        codes[heavy] = "E-POTENTIAL-ELEMENT"
        return codes

    def energies(self, batch: CandidateBatch) -> np.ndarray:
        return self.evaluate(batch).energies

    def embeddings(self, batch: CandidateBatch) -> np.ndarray:
        return np.column_stack([self.energies(batch), batch.compositions.lengths]).astype(float)

    def evaluate(self, batch: CandidateBatch) -> Evaluation:
        crystals, codes = batch.crystals, self.row_codes(batch)
        graph = neighbour_graph(crystals, graph_sizes(crystals))
        owner = np.repeat(np.arange(len(batch)), crystals.site_counts)
        step = crystals.frac_coords[graph.second] + graph.shift - crystals.frac_coords[graph.first]
        vectors = np.einsum("bi,bij->bj", step, crystals.lattice[owner[graph.first]])
        bond_energies, slopes = self._bond(np.linalg.norm(vectors, axis=1))
        pull = slopes[:, None] * vectors / np.linalg.norm(vectors, axis=1)[:, None]
        forces = np.zeros((len(owner), 3))
        np.add.at(forces, graph.first, pull)
        np.add.at(forces, graph.second, -pull)
        energies, virial = np.zeros(len(batch)), np.zeros((len(batch), 3, 3))
        np.add.at(energies, owner[graph.first], bond_energies)
        np.add.at(energies, owner, -crystals.species / 1000)
        np.add.at(virial, owner[graph.first], vectors[:, :, None] * pull[:, None, :])
        stresses = virial / crystals.volumes[:, None, None] * 160.2176634
        result = Evaluation(
            energies / np.maximum(crystals.site_counts, 1), forces, stresses, np.zeros(len(owner)), codes
        )
        result.energies[codes != ""] = np.nan
        result.stresses[codes != ""] = np.nan
        result.forces[codes[owner] != ""] = np.nan
        return result

    def _bond(self, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        decay = np.exp(-self.width * (lengths - self.length))
        energy = self.depth * ((1 - decay) ** 2 - 1)
        slope = 2 * self.depth * self.width * (1 - decay) * decay
        cut = (1 - (lengths / BOND_CUTOFF) ** 2) ** 2
        cut_slope = -4 * lengths / BOND_CUTOFF**2 * (1 - (lengths / BOND_CUTOFF) ** 2)
        return energy * cut, slope * cut + energy * cut_slope
