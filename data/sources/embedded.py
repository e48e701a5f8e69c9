"""The packaged crystals as candidates: ``embedded``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.packaged.materials import load_materials


class EmbeddedCrystals:
    """The packaged crystals as candidates, for ranking what is already known."""

    name = "embedded"

    def count(self) -> int:
        """Number of rows that :meth:`intakes` streams."""
        return len(load_materials())

    def intakes(self, size: int) -> Iterator[Intake]:
        """Batches of at most ``size`` candidates; ``known`` is true for all of them."""
        for batch in load_materials().slices(size):
            columns = {name: batch.table.column(name) for name in ("candidate_id", "formula", "space_group_number")}
            known = CandidateBatch(pa.table(columns), batch.compositions, batch.crystals)
            yield Intake(known.with_columns(known=np.ones(len(batch), bool), origin=batch.table["material_id"]), [])
