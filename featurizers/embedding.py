"""The featurizer ``crystal_embedding``: the mean of the feature vectors that a potential has learned for atoms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import CRYSTALS
from matloop.data.candidates.crystals import Crystals
from matloop.data.errors import CapabilityError
from matloop.data.feature_words import FeatureWords
from matloop.data.label import Label
from matloop.featurizers.base import Features, Featurizer, no_codes


@runtime_checkable
class EmbeddingPotential(Protocol):
    """The part of a potential that the embedding uses; see ``Embeds`` in models/potentials/contract.py.

    Attributes:
        name: Name in the registry.
        version: Version of the trained potential.
        weights_sha256: Hash of its weights file.
        settings: Everything else that its numbers depend on.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def version(self) -> str: ...  # noqa: D102
    @property
    def weights_sha256(self) -> str: ...  # noqa: D102
    @property
    def settings(self) -> Mapping[str, Any]: ...  # noqa: D102

    def row_codes(self, batch: CandidateBatch) -> NDArray[np.str_]:
        """Row code of each candidate that it cannot evaluate, and an empty text for the others, shape (n,)."""
        ...

    def embeddings(self, batch: CandidateBatch) -> NDArray[np.float64]:
        """Vector of each crystal, which does not depend on cell setting or rotation, shape (n, k)."""
        ...


class CrystalEmbedding(Featurizer):
    """The embedding of a potential as features, one column per component; see the potential for what it was trained on.

    Crystals are evaluated one by one. Potentials work in single precision, so other crystals in the same batch
    would change the last digits. Evaluated alone, a crystal gets the same numbers in every partition. With CHGNet that
    costs about a fifth of the speed. Cell setting, origin, rotation and order of sites change the last digits of single
    precision.

    The feature set's fingerprint covers the hash of the potential's weights. Candidates the potential cannot evaluate
    keep the row code it gives them.

    Args:
        potential: The potential itself, not its name.

    Raises:
        CapabilityError: If it embeds no crystals.
    """

    name = "crystal_embedding"
    version = "1"
    needs = frozenset({CRYSTALS})

    def __init__(self, potential: EmbeddingPotential) -> None:
        if not isinstance(potential, EmbeddingPotential):
            raise CapabilityError(
                f"crystal_embedding of {potential!r}",
                "a potential that offers Embeds",
                "name the potential in a campaign, or make it with matloop.models.potentials.contract.potential_named",
            )
        self._potential = potential
        self.parameters: Mapping[str, Any] = {
            "potential": potential.name, "version": potential.version, "weights_sha256": potential.weights_sha256,
            **({"settings": dict(potential.settings)} if potential.settings else {}),
        }  # fmt: skip
        width = potential.embeddings(_nothing()).shape[1]
        self.feature_names = tuple(f"{potential.name} embedding {component}" for component in range(1, width + 1))

    def featurize(self, batch: CandidateBatch) -> Features:
        """Compute the features of each candidate, shape (n, components)."""
        values = np.full((len(batch), len(self.feature_names)), np.nan)
        codes = no_codes(len(batch))
        codes[:] = self._potential.row_codes(batch)
        for row in np.flatnonzero(codes == "").tolist():
            values[row] = self._potential.embeddings(batch.take([row]))[0]
        broken = (codes == "") & ~np.isfinite(values).all(axis=1)
        codes[broken] = "E-POTENTIAL-NONFINITE"
        return Features(values, codes)

    def words(self, name: str) -> FeatureWords:
        """Describe a component of the embedding by its name; all components are one group."""
        group = Label("embedding of the potential", "势函数嵌入")
        return FeatureWords(group, Label(f"{group.en} ({name})", f"{group.zh}（{name}）"))


def _nothing() -> CandidateBatch:
    """No candidates, all with crystals."""
    no_sites = np.empty(0, np.uint8)
    return CandidateBatch.from_crystals(
        Crystals(np.empty((0, 3, 3)), np.zeros(1, np.int64), no_sites, np.empty((0, 3)))
    )
