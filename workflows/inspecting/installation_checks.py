"""Check whether matloop and its libraries are installed in versions that work."""

from __future__ import annotations

import contextlib
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

from matloop.data.errors import MatloopError
from matloop.data.installation import install_command
from matloop.data.plain_text import one_line
from matloop.workflows.inspecting.check import FAIL, OK, Check

_NATIVE = ("numpy", "numba", "pyarrow.parquet", "sklearn", "lightgbm", "spglib", "moyopy", "pymatgen.core")
_EXTRAS = {
    "potentials": "campaigns with a potential", "sevennet": "the potential sevennet",
    "torch-sim": "the option engine: torch-sim of sevennet", "phonons": "phonons: true in a campaign",
    "hpc": "--cluster", "mp": "fetch materials-project",
}  # fmt: skip
_IMPORT_SECONDS = 120.0


def check_python() -> Iterator[Check]:
    """Check the version of Python."""
    found = f"{sys.version.split()[0]} at {sys.executable}"
    try:
        needed = importlib.metadata.metadata("matloop")["Requires-Python"] or ""
        release = importlib.metadata.version("matloop")
    except importlib.metadata.PackageNotFoundError:
        yield Check("matloop", FAIL, "is not installed", install_command("matloop"))
        return
    yield Check("matloop", OK, release)
    fits = _fits(".".join(map(str, sys.version_info[:3])), needed)
    yield Check("Python", OK, found) if fits else Check("Python", FAIL, found, f"install Python {needed}")


def check_libraries() -> Iterator[Check]:
    """Check the version of every library; libraries of extras may be missing."""
    fitting = 0
    for name, bounds, extra in _requirements():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            if extra:
                found = f"not installed; only {_EXTRAS[extra]} needs it"
                yield Check(name, OK, f"{found}: {install_command(f'matloop[{extra}]')}")
            else:
                yield Check(name, FAIL, "is missing", install_command(f"{name}{bounds}"))
            continue
        if _fits(version, bounds):
            fitting += 1
            continue
        kind = "too new" if "<" in bounds and _fits(version, _without_upper(bounds)) else "too old"
        yield Check(name, FAIL, f"{version} is {kind}, {bounds} is needed", install_command(f"{name}{bounds}"))
    yield Check("libraries", OK, f"{fitting} have the versions that are asked for")


def _requirements() -> Iterator[tuple[str, str, str]]:
    """Name, version bounds and extra of every requirement that a user of the package may need."""
    try:
        written = importlib.metadata.requires("matloop") or []
    except importlib.metadata.PackageNotFoundError:
        return
    named = set()  # two extras may ask for one library
    for text in written:
        requirement, _, marker = text.partition(";")
        parts = re.fullmatch(r"\s*([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*\(?([^)]*)\)?\s*", requirement)
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", marker)
        if parts and parts[1] not in named and (extra is None or extra[1] in _EXTRAS):
            named.add(parts[1])
            yield parts[1], parts[2].strip(), extra[1] if extra else ""


def _fits(version: str, bounds: str) -> bool:
    """Whether the release numbers of a version keep to bounds such as ``>=2.2.3,<3``; other kinds are not looked at."""
    own = _release(version)
    for bound in filter(None, (part.strip() for part in bounds.split(","))):
        written = re.fullmatch(r"(>=|<)\s*([0-9.]+)", bound)
        if written and (own >= _release(written[2])) is (written[1] == "<"):
            return False
    return True


def _release(version: str) -> tuple[int, ...]:
    written = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    numbers = tuple(map(int, written[0].split("."))) if written else ()
    return numbers + (0,) * (4 - len(numbers))


def _without_upper(bounds: str) -> str:
    return ",".join(part for part in bounds.split(",") if "<" not in part)


def check_native_code() -> Iterator[Check]:
    """Load the compiled libraries in a process that may crash."""
    code = "import importlib\n" + "".join(
        f"importlib.import_module({name!r}); print({name!r}, flush=True)\n" for name in _NATIVE
    )
    loaded, error = _in_child(code, _IMPORT_SECONDS)
    missing = [name for name in _NATIVE if name not in loaded.splitlines()]
    if not missing:
        yield Check("compiled libraries", OK, f"all {len(_NATIVE)} load, spglib and moyopy among them")
    else:
        package = missing[0].partition(".")[0]
        advice = f"{install_command('--force-reinstall', package)}; its build must suit this processor and system"
        yield Check("compiled libraries", FAIL, f"{missing[0]} does not load: {error}", advice)


def check_torch() -> Iterator[Check]:
    """Check torch, if it is installed, on the processor, and look for a GPU, which potentials use where asked."""
    try:
        importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return
    code = "import torch; assert float((torch.ones(8, 8) @ torch.ones(8, 8)).sum()) == 512; print(torch.__version__)"
    name = "print(torch.cuda.get_device_name() if torch.cuda.is_available() else '')"
    told, error = _in_child(f"{code}; {name}", _IMPORT_SECONDS)
    version, _, gpu = told.partition("\n")
    if version:
        gpu = one_line(gpu.strip())
        found = f"device: auto takes {gpu}, which is not tested" if gpu else "device: auto finds no GPU"
        yield Check("torch", OK, f"{version.strip()} computes on the processor; {found}")
    else:
        yield Check("torch", FAIL, f"does not work: {error}", install_command("--force-reinstall", "torch"))


def check_data() -> Iterator[Check]:
    """Check the packaged data and the files of other packages by their sha256."""
    from matloop.data.generators.aflow_prototypes import LIBRARY
    from matloop.data.packaged.computed_phases import PHASE_FILES
    from matloop.data.packaged.computed_properties import PROPERTY_FILES
    from matloop.data.packaged.materials import MATERIALS_FILE, MATERIALS_SHA256, read_verified
    from matloop.data.packaged.measured_indices import MEASURED_INDICES
    from matloop.data.packaged.measured_mechanics import HARDNESS_FILE, STRENGTH_FILE
    from matloop.data.packaged.reference_energies import REFERENCE_FILES, load_references
    from matloop.data.packaged.transport import ARCHIVE
    from matloop.models.potentials import chgnet_network, sevennet

    reads: dict[str, Callable[[], Any]] = {
        "packaged crystals": lambda: read_verified(MATERIALS_FILE, MATERIALS_SHA256),
        "reference energies": lambda: [load_references(name) for name in REFERENCE_FILES],
        "computed phases": lambda: [file.read() for file in PHASE_FILES.values()],
        "computed properties": lambda: [file.read() for file in PROPERTY_FILES.values()],
        "measured indices": MEASURED_INDICES.read,
        "measured mechanical properties": lambda: [file.read() for file in (HARDNESS_FILE, STRENGTH_FILE)],
        "transport data": ARCHIVE.read,
        "prototypes": LIBRARY.read,
    }
    for name, weights in {"CHGNet": chgnet_network.WEIGHTS, "SevenNet": sevennet.WEIGHTS}.items():
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            importlib.metadata.version(weights.package)
            reads[f"{name} weights"] = weights.read
    sound = []
    for name, read in reads.items():
        try:
            read()
            sound.append(name)
        except MatloopError as error:
            yield Check(name, FAIL, f"{error.code}: {error.got}", error.fix)
    if sound:
        yield Check("data files", OK, f"{', '.join(sound)}: sha256 as released")


def _in_child(code: str, seconds: float) -> tuple[str, str]:
    """Run ``code`` in a process of its own; return what it printed and how it failed, in one line."""
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        printed: bytes = error.stdout or b""  # bytes even where text was asked for
        return printed.decode(errors="replace"), f"nothing for {seconds:.0f} s"
    if done.returncode < 0:
        return done.stdout, f"the process was ended by signal {-done.returncode}"
    lines = done.stderr.strip().splitlines()
    return done.stdout, one_line(lines[-1]) if lines else f"exit code {done.returncode}"
