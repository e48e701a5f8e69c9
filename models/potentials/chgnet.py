"""CHGNet 0.3.0 as a batched potential: energies, forces, stresses, magnetic moments and embeddings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.crystals import Crystals
from matloop.data.label import Label
from matloop.data.packaged.citations import CHGNET, CITATIONS, Citation
from matloop.models.potentials.chgnet_graph import GraphSizes, graph_sizes, neighbour_graph
from matloop.models.potentials.chgnet_network import HEAVIEST_ELEMENT, WEIGHTS, Output, load_network, verified_weights
from matloop.models.potentials.contract import GGA_AND_U, Evaluation

EMBEDDING_SIZE = 64
LARGEST_GRAPH = 150_000  # bonds and angles of one crystal; with forces they take about 25 kB each


@dataclass(frozen=True)
class CHGNetPotential:
    """The potential trained on PBE(+U) relaxations of the Materials Project (MPtrj), as shipped in the chgnet package.

    Energies are total energies on the scale of the Materials Project. They already contain its corrections of 2020 for
    anions and +U, because the training labels did. They compare with each other and with nothing else. Weights are
    checked by hash before they are read, and read as tensors only.

    B. Deng et al., Nature Machine Intelligence 5, 1031-1041 (2023), doi:10.1038/s42256-023-00716-3.

    Args:
        batch_size: Most crystals evaluated together.
        batch_graph: Most bonds and angles evaluated together, so that large crystals go alone; with forces each takes
            about 25 kB of memory.
        threads: Number of threads that torch may use; one, because candidates are spread over processes.

    Raises:
        PotentialError: If chgnet is not installed or its weights are not the released ones.
    """

    batch_size: int = 8
    batch_graph: int = 20_000
    threads: int = 1

    name: ClassVar[str] = "chgnet"
    version: ClassVar[str] = "0.3.0"
    weights_sha256: ClassVar[str] = WEIGHTS.sha256
    licence: ClassVar[str] = "modified BSD (chgnet)"
    settings: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    neutral_options: ClassVar[frozenset[str]] = frozenset({"batch_size", "batch_graph", "threads"})
    cites: ClassVar[tuple[Citation, ...]] = (
        Citation(Label("Interatomic potential CHGNet", "原子间势函数 CHGNet"), CITATIONS[CHGNET], licence),
    )
    # Its energies hold the corrections of 2020, and the reference phases those of 2019.
    corrected_elements: ClassVar[tuple[str, ...]] = GGA_AND_U
    batch_sites: ClassVar[int] = 1  # the last digits of a crystal's energy depend on the others in its batch

    def __post_init__(self) -> None:
        verified_weights()

    def row_codes(self, batch: CandidateBatch) -> NDArray[np.str_]:
        """Row code of each candidate it cannot evaluate, else empty, shape (n,)."""
        return self._admit(batch)[0]

    def energies(self, batch: CandidateBatch) -> NDArray[np.float64]:
        """Energies in eV/atom, nan for candidates with a row code, shape (n,)."""
        energies = np.full(len(batch), np.nan)
        for rows, _, output in self._outputs(batch, gradients=False):
            energies[rows] = output.energies
        return energies

    def embeddings(self, batch: CandidateBatch) -> NDArray[np.float64]:
        """Mean of the atoms' last feature vectors, nan for candidates with a row code, shape (n, 64)."""
        embeddings = np.full((len(batch), EMBEDDING_SIZE), np.nan)
        for rows, _, output in self._outputs(batch, gradients=False):
            embeddings[rows] = output.embeddings
        return embeddings

    def evaluate(self, batch: CandidateBatch) -> Evaluation:
        """Energies, forces, stresses and magnetic moments."""
        n, offsets = len(batch), np.zeros(len(batch) + 1, np.int64)
        if batch.crystals is not None:
            offsets = batch.crystals.offsets
        codes = self._admit(batch)[0]
        result = Evaluation(
            np.full(n, np.nan), np.full((offsets[-1], 3), np.nan), np.full((n, 3, 3), np.nan),
            np.full(offsets[-1], np.nan), codes,
        )  # fmt: skip
        for rows, sites, output in self._outputs(batch, gradients=True):
            result.energies[rows], result.stresses[rows] = output.energies, output.stresses
            result.forces[sites], result.magnetic_moments[sites] = output.forces, output.magnetic_moments
        broken = ~(np.isfinite(result.energies) & np.isfinite(result.stresses).all(axis=(1, 2)))
        owner = np.repeat(np.arange(n), np.diff(offsets))
        broken |= np.bincount(owner, weights=~np.isfinite(result.forces).all(axis=1), minlength=n) > 0
        codes[broken & (codes == "")] = "E-POTENTIAL-NONFINITE"
        return result

    def _admit(self, batch: CandidateBatch) -> tuple[NDArray[np.str_], GraphSizes | None]:
        codes = np.full(len(batch), "", dtype="<U32")
        if batch.crystals is None:
            codes[:] = "E-POTENTIAL-CRYSTAL"
            return codes, None
        sizes = graph_sizes(batch.crystals)
        owner = np.repeat(np.arange(len(batch)), batch.crystals.site_counts)
        strange = (batch.crystals.species < 1) | (batch.crystals.species > HEAVIEST_ELEMENT)
        codes[sizes.bonds + sizes.angles > LARGEST_GRAPH] = "E-POTENTIAL-SIZE"
        codes[sizes.isolated] = "E-POTENTIAL-ISOLATED"
        codes[np.bincount(owner, weights=strange, minlength=len(batch)) > 0] = "E-POTENTIAL-ELEMENT"
        return codes, sizes

    def _outputs(
        self, batch: CandidateBatch, *, gradients: bool
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], Output]]:
        """Yield rows, their sites and the output of the network; crystals of similar size go together."""
        codes, sizes = self._admit(batch)
        if batch.crystals is None or sizes is None:
            return
        network = load_network()
        work = sizes.bonds + sizes.angles
        order = np.flatnonzero(codes == "")
        order = order[np.argsort(work[order], kind="stable")]
        with _torch_threads(self.threads):
            for rows in self._groups(order, work):
                part = batch.crystals.take(rows)
                part_sizes = GraphSizes(sizes.bonds[rows], sizes.angles[rows], sizes.isolated[rows])
                yield (
                    rows,
                    _sites_of(batch.crystals, rows),
                    network(part, neighbour_graph(part, part_sizes), gradients=gradients),
                )

    def _groups(self, order: NDArray[np.int64], work: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        """Group rows into batches of at least one row and at most what the two limits allow."""
        start = 0
        while start < len(order):
            stop, total = start + 1, int(work[order[start]])
            while stop < min(start + self.batch_size, len(order)):
                total += int(work[order[stop]])
                if total > self.batch_graph:
                    break
                stop += 1
            yield order[start:stop]
            start = stop


def _sites_of(crystals: Crystals, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.arange(crystals.offsets[row], crystals.offsets[row + 1]) for row in rows])


@contextlib.contextmanager
def _torch_threads(threads: int) -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
