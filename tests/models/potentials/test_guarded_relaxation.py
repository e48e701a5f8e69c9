from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.blocks import CRYSTALS
from matloop.data.candidates.crystals import Crystals
from matloop.data.errors import BatchError, CapabilityError, PotentialError, UnknownNameError
from matloop.data.guard.messages import pack
from matloop.data.guard.shared_workers import close_shared_workers
from matloop.models.potentials import guarded_relaxation
from matloop.models.potentials.contract import potential_named
from matloop.models.potentials.guarded_relaxation import GuardedRelaxationSettings, relax_guarded
from matloop.models.potentials.relaxation import relax
from matloop.models.potentials.relaxed_crystal import RelaxationLimits
from matloop.models.potentials.validation import example_crystals
from tests.models.potentials.pair_potential import PairPotential
from tests.plugins import install_plugin

PAIR = """
from pair_potential import PairPotential
class Plugin(PairPotential):
    def __init__(self, depth=0.2):
        if depth < 0: raise ValueError("a hole")
        self.depth = depth
"""
TOGETHER = """
import numpy as np
from matloop.models.potentials.relaxation import relax_crystal
from pair_potential import PairPotential
class Plugin(PairPotential):
    name = "together"
    batch_sites = 1000
    def relax_batch(self, batch, *, limits, relax_cell):
        with open({log!r}, "a") as log:
            print(*batch.formulas, file=log)
        rows = range(len(batch))
        return [relax_crystal(batch.atoms(row), self, limits=limits, relax_cell=relax_cell) for row in rows]
"""
EMBEDS = """
from pair_potential import PairPotential
class Plugin:
    name, version, weights_sha256, licence = "embeds", "1", "0" * 64, "none"
    settings, neutral_options, batch_sites = {}, frozenset(), 1
    row_codes = PairPotential.row_codes
    def embeddings(self, batch): return batch.crystals.volumes[:, None]
"""


@pytest.fixture(autouse=True)
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    install_plugin(tmp_path, monkeypatch, group="matloop.potentials", name="pair", source=PAIR)
    yield
    close_shared_workers()


def test_same_answer_as_without_guard_and_the_potential_is_loaded_once() -> None:
    others = set(psutil.Process().children(recursive=True))
    batch = example_crystals().take([0, 3])
    limits = RelaxationLimits(largest_force=0.05, steps=30)
    for optimizer, relax_cell, depth in (("fire", True, 0.2), ("bfgs", False, 0.3)):
        settings = GuardedRelaxationSettings(
            limits=limits, optimizer=optimizer, relax_cell=relax_cell, parameters={"depth": depth}
        )
        potential = PairPotential()
        potential.depth = depth
        guarded = relax_guarded("pair", batch, settings)
        plain = relax(batch, potential, limits=limits, optimizer=optimizer, relax_cell=relax_cell)
        assert guarded.table.drop_columns(["relaxation_seconds"]).equals(
            plain.table.drop_columns(["relaxation_seconds"])
        )
        np.testing.assert_array_equal(guarded.crystals.lattice, plain.crystals.lattice)
        np.testing.assert_array_equal(guarded.crystals.frac_coords, plain.crystals.frac_coords)
    before = set(psutil.Process().children(recursive=True))
    assert len(before - others) == 2  # the nursery and its child, for both settings of the potential
    relax_guarded("pair", batch, settings)
    assert set(psutil.Process().children(recursive=True)) == before


def test_a_potential_that_relaxes_batches_gets_as_many_sites_as_it_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    install_plugin(
        tmp_path, monkeypatch, group="matloop.potentials", name="together", source=TOGETHER.format(log=str(log))
    )
    batch, limits = example_crystals(), RelaxationLimits(steps=5)  # of 8, 2, 6 and 8 sites
    settings = GuardedRelaxationSettings(limits=limits)
    together = relax_guarded("together", batch, settings)
    assert log.read_text().splitlines()[1:] == ["NaCl Si TiO2 NaCl"]  # the first line got it ready
    plain = relax(batch, PairPotential(), limits=limits)
    seconds = ["relaxation_seconds"]
    assert together.table.drop_columns(seconds).equals(plain.table.drop_columns(seconds))
    tight = GuardedRelaxationSettings(limits=RelaxationLimits(steps=5, volume_ratio=(1.5, 2.0)))
    gated = relax_guarded("together", batch, tight)
    assert set(gated.column("relaxation_outcome")) == {"exploded"}
    np.testing.assert_array_equal(gated.crystals.lattice, batch.crystals.lattice)


def test_groups_have_no_more_sites_than_allowed_and_at_least_one_crystal() -> None:
    counts = np.array([8, 2, 6, 30, 8, 1])
    rows = [0, 1, 2, 3, 5]
    assert list(guarded_relaxation._groups(rows, counts, 10)) == [[0, 1], [2], [3], [5]]
    assert list(guarded_relaxation._groups(rows, counts, 1)) == [[row] for row in rows]
    assert list(guarded_relaxation._groups(rows, counts, 1000)) == [rows]
    assert list(guarded_relaxation._groups([], counts, 10)) == []


def test_candidate_without_crystal_fails_and_the_others_relax() -> None:
    crystal, limits = example_crystals().take([3]), RelaxationLimits(steps=2)
    start = crystal.crystals
    assert start is not None
    empty = Crystals(
        np.concatenate([np.zeros((1, 3, 3)), start.lattice]), np.array([0, 0, 8]), start.species, start.frac_coords
    )
    formulas = CandidateBatch.from_formulas(["MgO", "NaCl"]).batch
    mixed = formulas.with_block(CRYSTALS, empty)
    for done in (
        relax_guarded("pair", mixed, GuardedRelaxationSettings(limits=limits)),
        relax(mixed, PairPotential(), limits=limits),
    ):
        assert done.column("relaxation_outcome").tolist() == ["failed", "not_converged"]
        assert done.column("relaxation_code").tolist() == ["E-POTENTIAL-CRYSTAL", ""]
        assert done.has_crystal.tolist() == [False, True]
        alone = relax(crystal, PairPotential(), limits=limits)
        assert done.column("relaxation_energy")[1] == alone.column("relaxation_energy")[0]


def test_what_cannot_be_used_says_why() -> None:
    batch = example_crystals()
    assert len(relax_guarded("pair", batch.take([]))) == 0
    with pytest.raises(UnknownNameError, match="did you mean 'pair'"):
        relax_guarded("pairs", batch)
    with pytest.raises(UnknownNameError, match=r"option of pair 'dept'.*did you mean 'depth'"):
        relax_guarded("pair", batch, GuardedRelaxationSettings(parameters={"dept": 1}))
    with pytest.raises(PotentialError, match="ValueError: a hole"):
        relax_guarded("pair", batch, GuardedRelaxationSettings(parameters={"depth": -1}))
    with pytest.raises(UnknownNameError, match="did you mean 'fire'"):
        relax_guarded("pair", batch, GuardedRelaxationSettings(optimizer="fir"))
    with pytest.raises(BatchError, match="without crystals"):
        relax_guarded("pair", CandidateBatch.from_formulas(["NaCl"]).batch)


END = {"outcome": "converged", "code": "", "detail": ""}
ARRAYS = {"cells": np.eye(3)[None], "places": np.zeros((2, 3)), "numbers": np.zeros((1, 5))}


@pytest.mark.parametrize(
    "reply",
    [
        b"\x80\x04cos\nsystem\n",
        pack({"ends": [END]}),
        pack({"ends": [{**END, "outcome": "wonderful"}]}, ARRAYS),
        pack({"ends": [{**END, "code": "E-MADE-UP"}]}, ARRAYS),
        pack({"ends": [END]}, {**ARRAYS, "cells": np.eye(2)[None]}),
        pack({"ends": [END, END]}, ARRAYS),
    ],
)  # fmt: skip
def test_an_answer_that_makes_no_sense_is_not_believed(reply: bytes) -> None:
    start = example_crystals().take([1]).crystals
    assert start is not None
    ends = guarded_relaxation._ends(start, reply)
    assert ends is not None
    (end,) = ends
    assert (end.outcome, end.code) == ("failed", "E-POTENTIAL-CRASH")
    assert "no usable answer" in end.detail
    two = example_crystals().take([0, 1]).crystals
    assert two is not None
    assert guarded_relaxation._ends(two, reply) is None  # to be halved


def test_a_potential_that_only_embeds_relaxes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_plugin(tmp_path, monkeypatch, group="matloop.potentials", name="embeds", source=EMBEDS)
    with pytest.raises(CapabilityError, match=r"'embeds', which offers Embeds.*RelaxesBatches or Evaluates"):
        relax_guarded("embeds", example_crystals())


def test_chgnet_in_a_child_gives_the_same_and_is_short_of_memory_where_it_may_have_little() -> None:
    pytest.importorskip("torch", reason="torch is not installed (extra potentials)")
    pytest.importorskip("chgnet", reason="chgnet is not installed (extra potentials)")
    batch = example_crystals().take([0, 3])
    limits = RelaxationLimits(steps=3)
    guarded = relax_guarded("chgnet", batch, GuardedRelaxationSettings(limits=limits))
    plain = relax(batch, potential_named("chgnet"), limits=limits)
    np.testing.assert_allclose(guarded.column("relaxation_energy"), plain.column("relaxation_energy"), atol=1e-6)
    large = batch.atoms(1).repeat((3, 3, 3))
    settings = GuardedRelaxationSettings(limits=limits, megabytes=20)
    short = relax_guarded("chgnet", CandidateBatch.from_atoms([large]).batch, settings)
    assert short.column("relaxation_code").tolist() == ["E-POTENTIAL-MEMORY"]
