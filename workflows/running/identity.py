"""What decides the result of a run: its campaign, the code, libraries, plug-ins and the content of input files.

A run goes on only where it began: with another code or campaign its partitions would not fit together. What differs is
shown, and a fork reuses whatever was made from the same inputs.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.metadata
import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from matloop.data.errors import MatloopError
from matloop.data.properties.catalogue import catalogue
from matloop.data.registry import SOURCES, lookup
from matloop.data.runs.manifest import key_of, sha256_of
from matloop.data.training.training_sets import TrainingSets
from matloop.models.potentials.contract import device_of, energy_source, shared_potential
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.entry import Entries
from matloop.screening.campaign.stage_settings import PotentialStage
from matloop.workflows.running.plug_ins import plug_ins_used

_PACKAGES = ("data", "featurizers", "models", "screening", "workflows")
_DECISIVE = (
    "matloop", "numpy", "scipy", "scikit-learn", "lightgbm", "numba", "pymatgen", "moyopy", "pyarrow", "matminer",
    "ase", "torch", "chgnet", "sevenn", "e3nn", "torch-sim-atomistic", "phonopy",
)  # fmt: skip
TELLS_ONLY = (
    "screening/dossier/", "screening/explaining/", "screening/language/", "screening/report/", "screening/runs/",
    "workflows/bench/", "workflows/cli.py", "workflows/clusters/", "workflows/commands/", "workflows/inspecting/",
    "workflows/package/", "workflows/running/pace.py", "workflows/running/progress.py", "workflows/running/session.py",
    "workflows/terminal_tables.py", "workflows/wording.py",
)  # fmt: skip
"""Code that tells of runs, or looks after them, and decides no number of a candidate."""
_DECIDES_ENERGIES = ("models/potentials/", "data/candidates/", "data/elements.py", "workflows/stages/potential.py")
_MOST_SHOWN = 12


def identity_of(
    campaign: Campaign, partition_rows: int, *, training: TrainingSets | None = None,
    known: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Plain JSON values of all that decides a result.

    Args:
        campaign: The resolved campaign.
        partition_rows: Candidates in a partition of the first stage.
        training: What the surrogates learn from; by default the packaged training sets.
        known: What is to be said of the formulas of one's own that count as known, where there are any.
    """
    sets = training or TrainingSets.of([target.property for target in campaign.targets])
    wanted, stage = campaign.model_dump(mode="json", exclude={"cluster"}), campaign.potential
    potential = None if stage is None else shared_potential(stage.name, stage.parameters)
    other = None if stage is None or stage.second is None else stage.second
    second = None if other is None else shared_potential(other.name, other.parameters)
    return {
        "campaign": wanted,
        "partition_rows": partition_rows,
        "training_sets": sets.about,
        "known_formulas": {} if known is None else dict(known),
        "python": platform.python_version(),
        "versions": versions(),
        "plug_ins": plug_ins_used(wanted),
        "properties": catalogue().definitions(),
        "code": dict(code_files()),
        "input_files": input_files(read_at_intake(campaign)),
        "energies": None if potential is None else energy_source(potential),
        "device": None if potential is None else device_of(potential),
        "second_energies": None if second is None else energy_source(second),
        "second_device": None if second is None else device_of(second),
        "reference_files": {} if stage is None else input_files(stage.references),
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any], *, place: str = "") -> list[str]:
    """What two identities differ in, one line each.

    >>> differences({"seed": 1, "code": {"a.py": "x"}}, {"seed": 2, "code": {}})
    ['seed: 1 -> 2', 'code.a.py: removed']
    """
    found = []
    for name in dict.fromkeys([*before, *now]):
        path = f"{place}.{name}" if place else name
        old, new = before.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += differences(old, new, place=path)
        elif name not in now:
            found.append(f"{path}: removed")
        elif name not in before:
            found.append(f"{path}: added")
        elif old != new:
            hidden = place in ("code", "input_files", "reference_files")
            found.append(f"{path}: changed" if hidden else f"{path}: {_brief(old)} -> {_brief(new)}")
    return found


def told(found: list[str]) -> str:
    """Differences in one text, the first dozen of them."""
    more = f"; and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
    return "; ".join(found[:_MOST_SHOWN]) + more


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def versions() -> dict[str, str]:
    """Versions of the libraries that numbers come from, of those that are installed."""
    found = {}
    for name in _DECISIVE:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def _key_of_everything_installed() -> str:
    """One hash of the deciding code, the packaged data and the versions of libraries."""
    return key_of(code=dict(code_files()), versions=versions(), python=platform.python_version())


def code_key(campaign: Campaign) -> str:
    """One hash of the code that decides results: matloop's own, the libraries', and the plug-ins' of a campaign."""
    return key_of(
        installed=_key_of_everything_installed(), plug_ins=plug_ins_used(campaign.model_dump(mode="json")),
        properties=catalogue().key,
    )  # fmt: skip


def potential_key(stage: PotentialStage) -> str:
    """One hash of the code that decides the energies of a potential: ours of potentials, libraries', its plug-in's."""
    ours = {name: sha256 for name, sha256 in code_files().items() if name.startswith(_DECIDES_ENERGIES)}
    used = plug_ins_used({"name": stage.name, "options": stage.parameters})
    return key_of(
        name=stage.name, options=stage.parameters, code=ours, plug_ins=used, versions=versions(),
        python=platform.python_version(),
    )  # fmt: skip


@functools.cache
def code_files() -> Mapping[str, str]:
    """sha256 of every file of the package that decides a result, packaged data included, by its path.

    How a run is reported, worded or watched decides nothing: after a change of a sentence in a template no candidate is
    scored again.
    """
    return dict(sorted(_hashed()))


def _hashed() -> Iterator[tuple[str, str]]:
    for package in _PACKAGES:
        module = importlib.import_module(f"matloop.{package}")
        (folder,) = module.__path__
        for path in Path(folder).rglob("*"):
            name = f"{package}/{path.relative_to(folder).as_posix()}"
            if decides(name) and path.is_file():
                yield name, sha256_of(path)


def decides(name: str) -> bool:
    """Whether a file of the package decides results: modules, except those that only tell of a run, and data sets.

    Args:
        name: Path below the folder of the package, such as ``data/errors.py``.

    >>> decides("models/registry.py"), decides("screening/report/page.py"), decides("data/.errors.py.swp")
    (True, False, False)
    """
    path = PurePosixPath(name)
    if any(part.startswith(".") or part == "__pycache__" for part in path.parts) or name.startswith(TELLS_ONLY):
        return False
    if path.parts[:2] == ("data", "datasets"):
        return path.suffix in (".parquet", ".csv")
    return path.suffix == ".py"


def _written(path: Path) -> str:
    r"""Write a path as text; bytes of a name that are no UTF-8 are escaped.

    >>> _written(Path("cifs/\udcb2.cif"))
    'cifs/\\xb2.cif'
    """
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def read_at_intake(campaign: Campaign) -> Entries:
    """Return the sources that a run reads when it takes its candidates in: those of candidates, and of its hull."""
    return campaign.sources if campaign.hull is None else (*campaign.sources, *campaign.hull.references)


def input_files(entries: Entries) -> dict[str, str]:
    """sha256 of every file that sources read, by its path as the campaign leads to it.

    Args:
        entries: Sources of a campaign. One that cannot be set up, because its file is gone, reads none.
    """
    found: dict[str, str] = {}
    for entry in entries:
        factory = lookup("source", SOURCES, entry.name)
        if not hasattr(factory, "files"):
            continue
        with contextlib.suppress(MatloopError, OSError):
            found |= {_written(path): sha256_of(path) for path in entry.make(factory).files() if path.is_file()}
    return found
