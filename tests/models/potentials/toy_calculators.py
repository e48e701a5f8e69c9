"""Calculators of ASE that can be followed by hand, and some that fail; installed as a package by the tests."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator, all_changes

smuggled = os.system


class Springs(Calculator):
    """Each atom wants its volume to be 20 Å3, and counts its atomic number in meV; some elements end badly."""

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012  # as in ASE

    def __init__(self, stiffness: float = 0.01, weights: str | None = None, hangs_for: str = "") -> None:
        super().__init__()
        self.hangs_for = hangs_for
        self.stiffness = stiffness if weights is None else float(Path(weights).read_text("utf-8"))

    def calculate(self, atoms: Any = None, properties: Any = None, system_changes: Any = tuple(all_changes)) -> None:
        super().calculate(atoms, properties, system_changes)
        volume, sites = atoms.get_volume(), len(atoms)
        too_large = volume / sites - 20.0
        energy = sites * self.stiffness / 2 * too_large**2 - atoms.numbers.sum() / 1000
        forces = np.zeros((sites, 3))
        pull = self.stiffness * too_large
        present = set(atoms.get_chemical_symbols())
        if "Rb" in present:
            raise NotImplementedError("no springs for rubidium")
        if "Cs" in present:
            energy = float("nan")
        if "Ba" in present:
            forces = forces[:1]
        if self.hangs_for in present:
            time.sleep(1000)
        self.results = {"energy": energy, "forces": forces, "stress": np.array([pull, pull, pull, 0.0, 0.0, 0.0])}

    @classmethod
    def stiff(cls) -> "Springs":
        return cls(stiffness=0.1)


class Flat(Calculator):
    """Gives no stress."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012  # as in ASE


def broken() -> Calculator:
    raise RuntimeError("no licence server")


def number() -> int:
    return 3
