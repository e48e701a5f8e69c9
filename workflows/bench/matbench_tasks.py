"""The 13 tasks of Matbench 0.1 and what others have scored on them.

Tasks and protocol: Dunn, Wang, Ganose, Dopp and Jain, npj Comput. Mater. 6, 138 (2020). The scores are those of the
leaderboard at matbench.materialsproject.org: means over the five folds, as its pages listed them in 2024. On the three
classification tasks every score listed there equals the balanced accuracy beside it, so they are areas under the curve
of yes-or-no answers, not of probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from matloop.data.errors import unknown_name

SOURCE = "leaderboard of Matbench 0.1 (matbench.materialsproject.org), as listed in 2024"


class Published(NamedTuple):
    """A score others have reached: mean absolute error in the task's unit, or area under the ROC curve."""

    model: str
    score: float


class MatbenchTask(NamedTuple):
    """One task.

    Attributes:
        name: Its name in Matbench.
        column: Column of the target.
        kind: ``structure`` or ``composition``: what is given.
        unit: Unit of the target, empty for a classification.
        property_name: Property in :mod:`matloop.data.properties.catalogue`, empty for a classification.
        logarithmic: Whether the target is the logarithm of the property.
        rows: Rows of the published file.
        sha256: Of the published ``json.gz``.
        published: The best score, then MODNet, AMMExpress, RF and the dummy.
    """

    name: str
    column: str
    kind: Literal["structure", "composition"]
    unit: str
    property_name: str
    logarithmic: bool
    rows: int
    sha256: str
    published: tuple[Published, ...]

    @property
    def is_classification(self) -> bool:
        """Whether the target is yes or no."""
        return not self.property_name


_MODELS = ("MODNet 0.1.12", "AMMExpress 2020", "RF-SCM/Magpie", "dummy")


def _published(best: str, best_score: float, *scores: float) -> tuple[Published, ...]:
    rows = zip(_MODELS, scores, strict=True)
    return (Published(best, best_score), *(Published(model, score) for model, score in rows))


_ALL = (
    MatbenchTask(
        "matbench_steels", "yield strength", "composition", "MPa", "yield_strength", False, 312,
        "473bc4957b2ea5e6465aef84bc29bb48ac34db27d69ea4ec5f508745c6fae252",
        _published("TPOT-Mat", 79.9468, 87.7627, 97.4929, 103.5125, 229.7445),
    ),
    MatbenchTask(
        "matbench_jdft2d", "exfoliation_en", "structure", "meV/atom", "exfoliation_energy", False, 636,
        "26057dc4524e193e32abffb296ce819b58b6e11d1278cae329a2f97817a4eddf",
        _published("MODNet 0.1.12", 33.1918, 33.1918, 39.8497, 50.0440, 67.2851),
    ),
    MatbenchTask(
        "matbench_phonons", "last phdos peak", "structure", "1/cm", "phonon_peak", False, 1265,
        "4db551f21ec5f577e6202725f10e34dfc509aa7df3a6bdaac497da7f6dbbb9b3",
        _published("MegNet (kgcnn 2.1.0)", 28.7606, 34.2751, 56.1706, 67.6126, 323.9822),
    ),
    MatbenchTask(
        "matbench_expt_gap", "gap expt", "composition", "eV", "band_gap", False, 4604,
        "783e7d1461eb83b00b2f2942da4b95fda5e58a0d1ae26b581c24cf8a82ca75b2",
        _published("Darwin", 0.2865, 0.3327, 0.4161, 0.4461, 1.1435),
    ),
    MatbenchTask(
        "matbench_dielectric", "n", "structure", "", "refractive_index", False, 4764,
        "83befa09bc2ec2f4b6143afc413157827a90e5e2e42c1eb507ccfa01bf26a1d6",
        _published("MODNet 0.1.12", 0.2711, 0.2711, 0.3150, 0.4196, 0.8088),
    ),
    MatbenchTask(
        "matbench_expt_is_metal", "is_metal", "composition", "", "", False, 4921,
        "8f2a4f9bacdcbc5c2c73615629ee7986f09d39bed40ba7db52b61b2889730887",
        _published("Darwin", 0.9598, 0.9161, 0.9209, 0.9167, 0.4924),
    ),
    MatbenchTask(
        "matbench_glass", "gfa", "composition", "", "", False, 5680,
        "36beb654e2a463ee2a6572105bea0ca2961eee7c7b26a25377bff2c3b338e53a",
        _published("MODNet 0.1.12", 0.9603, 0.9603, 0.8607, 0.8587, 0.5005),
    ),
    MatbenchTask(
        "matbench_log_gvrh", "log10(G_VRH)", "structure", "log10(GPa)", "shear_modulus_vrh", True, 10987,
        "098af941f4c663270f1fe21abf20ffad6fb85ecbfcba5786ceac03983ac29da7",
        _published("coNGN", 0.0670, 0.0731, 0.0874, 0.1040, 0.2931),
    ),
    MatbenchTask(
        "matbench_log_kvrh", "log10(K_VRH)", "structure", "log10(GPa)", "bulk_modulus_vrh", True, 10987,
        "44b113ddb7e23aa18731a62c74afa7e5aa654199e0db5f951c8248a00955c9cd",
        _published("coNGN", 0.0491, 0.0548, 0.0647, 0.0820, 0.2897),
    ),
    MatbenchTask(
        "matbench_perovskites", "e_form", "structure", "eV/unit cell", "perovskite_formation_energy", False, 18928,
        "4641e2417f8ec8b50096d2230864468dfa08278dc9d257c327f65d0305278483",
        _published("coGN", 0.0269, 0.0908, 0.2005, 0.2355, 0.5660),
    ),
    MatbenchTask(
        "matbench_mp_gap", "gap pbe", "structure", "eV", "band_gap", False, 106113,
        "58b65746bd88329986ed66031a2ac1369c7c522f7bc9f9081528e07097c2c057",
        _published("coGN", 0.1559, 0.2199, 0.2824, 0.3452, 1.3272),
    ),
    MatbenchTask(
        "matbench_mp_is_metal", "is_metal", "structure", "", "", False, 106113,
        "9a028ed5750a4c76ca36e9f3c8d48fe0bf3fb21b76ec2289e58ae7048d527919",
        _published("CGCNN 2019", 0.9520, 0.9038, 0.9093, 0.8992, 0.5012),
    ),
    MatbenchTask(
        "matbench_mp_e_form", "e_form", "structure", "eV/atom", "formation_energy_per_atom", False, 132752,
        "dedcb1d4ba2e3e50dbdd45ba5bc647a00e9c2bcf8f8bf556dc8e92caa39eb21f",
        _published("coGN", 0.0170, 0.0448, 0.1726, 0.1165, 1.0059),
    ),
)  # fmt: skip

TASKS: Mapping[str, MatbenchTask] = {task.name: task for task in _ALL}


def task_named(name: str) -> MatbenchTask:
    """A task by its name, with or without ``matbench_``.

    Raises:
        UnknownNameError: With the nearest known name.

    >>> task_named("log_kvrh").column
    'log10(K_VRH)'
    """
    full = name if name.startswith("matbench_") else f"matbench_{name}"
    if full not in TASKS:
        raise unknown_name("Matbench task", full, TASKS)
    return TASKS[full]
