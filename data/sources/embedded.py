"""The source ``embedded``: the packaged crystals as candidates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa

from matloop.data.candidates.batch import Intake
from matloop.data.properties.columns import Column
from matloop.data.training.packaged_tables import packaged_crystals


class EmbeddedCrystals:
    """The packaged crystals as candidates, to rank compounds that are already known."""

    name = "embedded"

    def count(self) -> int:
        """Number of rows that :meth:`intakes` yields."""
        return len(packaged_crystals())

    def intakes(self, size: int) -> Iterator[Intake]:
        """Yield batches of at most ``size`` candidates."""
        for batch in packaged_crystals().slices(size):
            columns: dict[str, Any] = {
                name: batch.table.column(name)
                for name in (Column.CANDIDATE_ID, Column.FORMULA, Column.SPACE_GROUP_NUMBER)
            }
            columns[Column.ORIGIN] = batch.table[Column.MATERIAL_ID]
            yield Intake(replace(batch, table=pa.table(columns)), [])
