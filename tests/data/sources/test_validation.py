"""The contract check of sources names the clause that is broken."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch, Intake, Refused
from matloop.data.errors import ContractError
from matloop.data.sources.validation import validate_source

FORMULAS = ("NaCl", "SiO2", "Xx", "MgO", "BaTiO3")
RANDOM = np.random.default_rng()


class Sound:
    """A few formulas, one of them refused, until a test overrides something."""

    name = "sound"

    def count(self) -> int:
        return len(FORMULAS)

    def intakes(self, size: int) -> Iterator[Intake]:
        for start in range(0, len(FORMULAS), size):
            yield self.intake(FORMULAS[start : start + size])

    def intake(self, formulas: Any) -> Intake:
        found = CandidateBatch.from_formulas(formulas)
        count = len(found.batch)
        batch = found.batch.with_columns(origin=["a test"] * count)
        return Intake(batch, found.refused)


class Generating(Sound):
    """Makes its batches where they are needed."""

    def recipes(self, size: int) -> Iterator[Any]:
        return iter([Recipe(FORMULAS[start : start + size]) for start in range(0, len(FORMULAS), size)])


class Recipe:
    def __init__(self, formulas: Any) -> None:
        self.formulas = formulas

    def __call__(self) -> Intake:
        return Sound().intake(self.formulas)


class Streamless:
    name = "sound"

    def count(self) -> int:
        return 2


class Unnamed(Sound):
    name = ""


class Miscounting(Sound):
    def count(self) -> int:
        return len(FORMULAS) + 1


class Shuffled(Sound):
    def intakes(self, size: int) -> Iterator[Intake]:
        yield self.intake(tuple(RANDOM.permutation(FORMULAS * 40)[: len(FORMULAS)]))


class Seeded(Sound):
    def __init__(self) -> None:
        self.turn = int(RANDOM.integers(1_000_000))

    def intake(self, formulas: Any) -> Intake:
        found = super().intake(formulas)
        return found._replace(batch=found.batch.with_columns(origin=[f"seed {self.turn}"] * len(found.batch)))


class Large(Sound):
    def intakes(self, size: int) -> Iterator[Intake]:
        yield from super().intakes(max(size, 3))


class Numbered(Sound):
    def intake(self, formulas: Any) -> Intake:
        found = super().intake(formulas)
        return found._replace(batch=found.batch.with_columns(origin=[f"row {k}" for k in range(len(found.batch))]))


class Anonymous(Sound):
    def intake(self, formulas: Any) -> Intake:
        found = super().intake(formulas)
        return found._replace(batch=found.batch.with_columns(origin=[""] * len(found.batch)))


class Unknowing(Sound):
    def intake(self, formulas: Any) -> Intake:
        found = super().intake(formulas)
        return found._replace(batch=found.batch.with_columns(known=["perhaps"] * len(found.batch)))


class Renaming(Sound):
    def intake(self, formulas: Any) -> Intake:
        found = super().intake(formulas)
        return found._replace(batch=found.batch.with_columns(candidate_id=[f"c{name}" for name in found.batch.ids]))


class OwnCode(Sound):
    def intake(self, formulas: Any) -> Intake:
        found = super().intake(formulas)
        return found._replace(refused=[row._replace(code="E-MINE") for row in found.refused])


class OwnId(Sound):
    def intake(self, formulas: Any) -> Intake:
        found = super().intake(formulas)
        return found._replace(refused=[row._replace(candidate_id="x1") for row in found.refused])


class Misplaced(Sound):
    def intake(self, formulas: Any) -> Intake:
        found = super().intake(formulas)
        return found._replace(refused=[row._replace(row=77) for row in found.refused])


class Fileless(Sound):
    def files(self) -> list[Path]:
        return [Path("/no/such/file.csv")]


class Homebound(Generating):
    def recipes(self, size: int) -> Iterator[Any]:
        return iter([lambda: self.intake(FORMULAS)])


class Idle(Generating):
    def recipes(self, size: int) -> Iterator[Any]:
        return iter([Recipe(FORMULAS[:2])])


BROKEN = [
    (Streamless, "parts of the contract are missing"),
    (Unnamed, "name is no text"),
    (Miscounting, "counts 6 rows and streams 5"),
    (Shuffled, "other rows the second time"),
    (Seeded, "another one of its kind"),
    (Large, "is larger than the 1 asked for"),
    (Numbered, "depends on the size of the batches"),
    (Anonymous, "where it comes from"),
    (Unknowing, "something else than true and false"),
    (Renaming, "id of a candidate"),
    (OwnCode, "'E-MINE', which is no row code"),
    (OwnId, "does not begin with r"),
    (Misplaced, "number 77 of 5"),
    (Fileless, "files that it names do not exist: /no/such/file.csv"),
    (Homebound, "cannot be pickled"),
    (Idle, "recipes make another stream"),
]


@pytest.mark.parametrize(("broken", "clause"), BROKEN, ids=[kind.__name__ for kind, _ in BROKEN])
def test_the_broken_clause_is_named(broken: type[Sound], clause: str) -> None:
    with pytest.raises(ContractError, match=clause) as caught:
        validate_source(broken)
    assert caught.value.code == "E-CONTRACT"


@pytest.mark.parametrize("kind", [Sound, Generating])
def test_a_sound_source_passes(kind: type[Sound]) -> None:
    assert isinstance(Sound().intake(["Xx"]).refused[0], Refused)
    validate_source(kind)
