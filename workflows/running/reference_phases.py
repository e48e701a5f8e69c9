"""Energies of the reference phases of a run: from the user's store, or evaluated once and kept there."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matloop.data.bounded_files import read_table
from matloop.data.cache_folder import cache_folder
from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.errors import ROW_CODES, PotentialError
from matloop.data.properties.columns import Column
from matloop.data.runs.manifest import key_of, sha256_of
from matloop.data.sources.embedded import EmbeddedCrystals
from matloop.data.whole_files import write_table
from matloop.models.potentials.contract import shared_potential
from matloop.models.potentials.reference_store import ReferenceEnergies, ReferenceStore
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.stage_settings import PotentialStage
from matloop.workflows.running.candidate_parts import sources_of
from matloop.workflows.running.engine import Engine, Job
from matloop.workflows.running.identity import potential_key
from matloop.workflows.stages.potential import (
    evaluate_references,
    lost_references,
    reference_table,
    references_are_packaged,
    source_of,
)  # fmt: skip

REFERENCE_PARTITION_ROWS = 20
REFERENCES, SECOND_REFERENCES = "references", "second_references"


@dataclass(frozen=True)
class ReferenceSet:
    """The reference phases of one source.

    Attributes:
        batches: The phases.
        packaged: Whether they are the packaged ones, which are evaluated as they are.
        key: Hash of all that decides their energies.
    """

    batches: Sequence[CandidateBatch]
    packaged: bool
    key: str

    @classmethod
    def of(cls, source: Any, stage: PotentialStage, *, packaged: bool) -> ReferenceSet:
        """The phases of a source.

        Args:
            source: See :class:`matloop.data.sources.contract.Source`.
            stage: Names the potential, and how further phases are relaxed.
            packaged: Whether they are the packaged ones.
        """
        return cls.of_batches(
            [intake.batch for intake in source.intakes(REFERENCE_PARTITION_ROWS)], stage, packaged=packaged
        )  # fmt: skip

    @classmethod
    def of_batches(cls, batches: Sequence[CandidateBatch], stage: PotentialStage, *, packaged: bool) -> ReferenceSet:
        """The phases of some batches.

        Args:
            batches: The phases.
            stage: Names the potential, and how further phases are relaxed.
            packaged: Whether they are the packaged ones.
        """
        manner = {"largest_force": stage.largest_force, "steps": stage.steps, "rattle": stage.rattle}
        relaxed = None if packaged else manner
        key = key_of(
            energies=source_of(stage), potential=potential_key(stage), relaxed=relaxed, crystals=_sha256_of(batches)
        )
        return cls(batches, packaged, key)

    @property
    def ids(self) -> list[str]:
        """Identifier of each phase."""
        return [name for batch in self.batches for name in batch.ids]

    def refused(self, stage: PotentialStage, found: ReferenceEnergies) -> ReferenceEnergies:
        """The phases without an energy that the potential cannot evaluate, such as those with an unknown element."""
        potential = shared_potential(stage.name, stage.parameters)
        codes = np.concatenate([potential.row_codes(batch) for batch in self.batches]).astype(object)
        rows = np.setdiff1d(np.flatnonzero(codes != ""), found.rows)
        return ReferenceEnergies(rows, np.full(len(rows), np.nan), codes[rows])

    def parts_without(self, found: ReferenceEnergies) -> Iterator[tuple[NDArray[np.int64], CandidateBatch]]:
        """The phases that have no energy yet, in parts: their rows in the set, and themselves."""
        missing = np.setdiff1d(np.arange(len(self.ids)), found.rows)
        start = 0
        for batch in self.batches:
            rows = missing[(missing >= start) & (missing < start + len(batch))]
            if len(rows):
                yield rows, batch.take(rows - start)
            start += len(batch)

    def table(self, found: ReferenceEnergies) -> pa.Table:
        """What the run keeps of them: see :func:`matloop.workflows.stages.potential.evaluate_references`."""
        ends = np.cumsum([0, *map(len, self.batches)])
        parts = [
            reference_table(batch, found.energies[start:stop], found.codes[start:stop], self.packaged)
            for batch, start, stop in zip(self.batches, ends[:-1], ends[1:], strict=True)
        ]
        return pa.concat_tables(parts)


def provide_references(campaign: Campaign, engine: Engine) -> None:
    """Write the energies of the reference phases that the package holds none of into the run.

    They come from the user's store; what the store lacks is evaluated and kept there. A run that has them goes on with
    its own, whatever becomes of the store.
    """
    stage = campaign.potential
    assert stage is not None
    sets = [ReferenceSet.of(source, stage, packaged=False) for source in sources_of(stage.references)]
    provide_energies(REFERENCES, engine.run.references, stage, [*_packaged_crystals(stage), *sets], engine)
    if (second := stage.second_stage) is not None:
        provide_energies(SECOND_REFERENCES, engine.run.second_references, second, _packaged_crystals(second), engine)


def _packaged_crystals(stage: PotentialStage) -> list[ReferenceSet]:
    """The packaged crystals, unless the package holds their energies by this potential."""
    return (
        [] if references_are_packaged(stage) else [ReferenceSet.of(EmbeddedCrystals(), stage, packaged=True)]
    )  # fmt: skip


def provide_energies(
    kind: str, path: Path, stage: PotentialStage, sets: Sequence[ReferenceSet], engine: Engine
) -> None:
    """Write the energies of some sets of phases into the run, from the user's store or evaluated now.

    Args:
        kind: Names the lines in the manifest, and the partitions where energies are evaluated.
        path: The file.
        stage: The potential.
        sets: Reference phases; nothing is written where there are none.
        engine: Of the run.
    """
    sets = [each for each in sets if each.batches]
    if not sets:
        return
    key = key_of(sets=[[each.key, each.packaged] for each in sets], kind=kind)
    line = engine.reused(key)
    if line is None:
        found = _found_or_evaluated(kind, stage, sets, engine)
        require_energies(stage, sets, found)
        tables = [each.table(kept) for each, kept in zip(sets, found, strict=True)]
        write_table(path, pa.concat_tables(tables))
        engine.manifest.append(kind, key=key, files={path.name: sha256_of(path)})
    elif engine.manifest.with_key(key) is not line:
        engine.manifest.append(**line)


def _found_or_evaluated(
    kind: str, stage: PotentialStage, sets: Sequence[ReferenceSet], engine: Engine
) -> list[ReferenceEnergies]:
    """Energies of every set, from the store or evaluated now."""
    store = ReferenceStore(cache_folder() / REFERENCES)
    found = [store.find(each.key, each.ids) for each in sets]
    found = [kept.joined(each.refused(stage, kept)) for each, kept in zip(sets, found, strict=True)]
    parts = [
        (number, rows, batch)
        for number, (each, kept) in enumerate(zip(sets, found, strict=True))
        for rows, batch in each.parts_without(kept)
    ]
    if not parts:
        return found
    jobs = (_job(kind, stage, index, batch, sets[number]) for index, (number, _, batch) in enumerate(parts))
    engine.finish("evaluating reference phases", sum(len(batch) for _, _, batch in parts), jobs)
    for index, (number, rows, _) in enumerate(parts):
        table = read_table(engine.run.partition(kind, index), inside=engine.run.folder)
        energies = table["energy_per_atom"].to_numpy().astype(np.float64)
        codes = table[Column.CODE].to_numpy(zero_copy_only=False)
        found[number] = found[number].joined(ReferenceEnergies(rows, energies, codes))
    for number in sorted({number for number, _, _ in parts}):
        store.keep(sets[number].key, sets[number].ids, found[number])
    return found


def require_energies(stage: PotentialStage, sets: Sequence[ReferenceSet], found: Sequence[ReferenceEnergies]) -> None:
    """Make sure that a potential gives energies of some of the packaged crystals, which say how far it is from DFT.

    Raises:
        PotentialError: If it gives none; the most frequent reason is named.
    """
    for each, kept in zip(sets, found, strict=True):
        if each.packaged and not np.isfinite(kept.energies).any():
            code, count = Counter(kept.codes.tolist()).most_common(1)[0]
            raise PotentialError(
                f"no energy of any of the {len(kept.rows):,} packaged crystals by {source_of(stage)}: {count:,} {code} "
                f"({ROW_CODES.get(code, code)})", "energies of crystals whose stability is known",
                "ask the potential about one crystal of its elements in Python, and look at what it raises",
            )  # fmt: skip


def _job(kind: str, stage: PotentialStage, index: int, batch: CandidateBatch, of: ReferenceSet) -> Job:
    """The evaluation of one part; its number stands in the key, because a fork finds files under their old names."""
    key = key_of(references=of.key, index=index, given=_sha256_of([batch]), packaged=of.packaged)
    work, lost = partial(evaluate_references, stage, of.packaged), partial(lost_references, of.packaged)
    return Job(kind, index, key, work, lost, Intake(batch, []), len(batch))


def _sha256_of(batches: Sequence[CandidateBatch]) -> str:
    """Hash of crystals and their names, in whatever parts they come."""
    names, shapes, sizes, species, places = (hashlib.sha256() for _ in range(5))
    for batch in batches:
        names.update("".join(f"{name}\n" for name in batch.ids).encode())
        names.update("".join(f"{formula}\n" for formula in batch.formulas).encode())
        if batch.crystals is not None:
            shapes.update(np.ascontiguousarray(batch.crystals.lattice, "<f8").tobytes())
            sizes.update(np.ascontiguousarray(batch.crystals.site_counts, "<i8").tobytes())
            species.update(np.ascontiguousarray(batch.crystals.species, "u1").tobytes())
            places.update(np.ascontiguousarray(batch.crystals.frac_coords, "<f8").tobytes())
    return key_of(parts=[part.hexdigest() for part in (names, shapes, sizes, species, places)])
