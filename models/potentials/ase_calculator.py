"""Any calculator of ASE as a potential: made by a class or function that the campaign names and the user allows.

What the campaign names is called only where its module is allowed (:mod:`matloop.data.allowed_modules`), and weights
are compared with their sha256 before that. The adapter itself loads no file.

A. H. Larsen et al., Journal of Physics: Condensed Matter 29, 273002 (2017), doi:10.1088/1361-648X/aa680e.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from matloop.data.allowed_modules import MODULE, allowed_modules, require_allowed
from matloop.data.candidates.batch import CandidateBatch
from matloop.data.elements import SYMBOLS
from matloop.data.errors import PlugInImportError, PotentialError
from matloop.data.installation import install_command
from matloop.data.installed_code import distribution_of_module, sha256_of_modules
from matloop.data.label import Label
from matloop.data.options import check_names
from matloop.data.packaged.citations import Citation
from matloop.data.runs.manifest import sha256_of
from matloop.models.potentials.contract import Evaluation, codes_beyond
from matloop.models.potentials.relaxation import code_of

if TYPE_CHECKING:
    from ase import Atoms

WEIGHTS_HERE = "$weights"
"""Value of the option of a calculator that takes the path of the weights file."""
HEAVIEST_ELEMENT = 103
"""Beyond lawrencium no energies of crystals are known that a calculator could have been fitted to."""
PACKAGES: Mapping[str, str] = {
    "fairchem": "fairchem-core", "mace": "mace-torch", "mattersim": "mattersim", "orb_models": "orb-models",
    "sevenn": "sevenn",
}  # fmt: skip
"""What to install for the modules of well-known potentials, where its name is another one."""
_NAME = rf"(?P<module>{MODULE}):(?P<name>[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)*)"
_GPA = 160.2176634  # GPa per eV/Å3
_PUBLICATION = (
    "A. H. Larsen et al., The atomic simulation environment: a Python library for working with atoms, Journal of "
    "Physics: Condensed Matter 29, 273002 (2017), doi:10.1088/1361-648X/aa680e"
)


class _WithoutNumbers(Exception):
    """Raised with a row code and details when a calculator gave no usable numbers for a crystal."""


@dataclass(frozen=True, eq=False)
class AsePotential:
    """A potential that asks a calculator of ASE for energies, forces and stresses, one crystal at a time.

    What a calculator raises for a crystal, and numbers that are not finite or have another shape than ASE asks for, are
    row codes of that crystal.

    Args:
        calculator: What makes the calculator, as ``module:name``: a class, a function, or ``Class.method``.
        options: Keyword arguments of it, plain JSON values.
        weights: Path of the file with the weights. The option that takes it has the value ``$weights``.
        sha256: Of that file.
        elements: Symbols of the elements that the calculator was made for; crystals with others are refused without
            asking it. All up to lawrencium without.

    Raises:
        NotAllowedError: If the user has not allowed the module.
        PlugInImportError: If the module belongs to no installed package.
        PotentialError: If the options do not fit, the weights are not those of the sha256, or a symbol is no element.
    """

    calculator: str
    options: Mapping[str, Any] | None = None
    weights: str | None = None
    sha256: str | None = None
    elements: Sequence[str] | None = None

    name: ClassVar[str] = "ase"
    neutral_options: ClassVar[frozenset[str]] = frozenset({"weights", "sha256"})  # weights_sha256 says what they are
    cites: ClassVar[tuple[Citation, ...]] = (
        Citation(
            Label(
                "Atomic Simulation Environment (cite the potential too, as its package asks)",
                "原子模拟环境 ASE（请同时按势函数软件包的要求引用该势函数）",
            ),
            _PUBLICATION,
        ),
    )
    batch_sites: ClassVar[int] = 1  # a calculator takes one crystal at a time

    def __post_init__(self) -> None:
        require_allowed(self._module, f"the calculator {self.calculator}")
        _installed(self._module)
        self._check_weights()
        unknown = [symbol for symbol in self.elements or () if symbol not in SYMBOLS[1:]]
        if unknown:
            raise PotentialError(f"the element '{unknown[0]}' of {self.calculator}", "symbols such as Ni")

    def check_calculator(self) -> None:
        """Import what makes the calculator and compare the names of the options with it, without calling it.

        Raises:
            PlugInImportError: If the module defines no such class or function.
            MatloopError: If an option has a name that it does not take.
        """
        check_names(self.calculator, _imported(self.calculator), self.options or {})

    @property
    def version(self) -> str:
        """The distribution that the calculator comes from, and its version."""
        brought_by = _installed(self._module)
        return f"{brought_by.name} {brought_by.version}"

    @property
    def weights_sha256(self) -> str:
        """Hash of the weights file; without one, of the code that the distribution ships."""
        return self.sha256 or _sha256_of_code(self._module)

    @property
    def licence(self) -> str:
        """Where the licence is written."""
        return f"as the package {_installed(self._module).name} says"

    @property
    def settings(self) -> Mapping[str, Any]:
        """What decides energies besides weights and code: the calculator and its options."""
        known = {} if self.elements is None else {"elements": list(self.elements)}
        return {"calculator": self.calculator, "options": dict(self.options or {}), **known}

    def row_codes(self, batch: CandidateBatch) -> NDArray[np.str_]:
        """Row code of each candidate that is not handed to the calculator, else empty, shape (n,)."""
        known = range(1, HEAVIEST_ELEMENT + 1) if self.elements is None else map(SYMBOLS.index, self.elements)
        return codes_beyond(batch, known)

    def energies(self, batch: CandidateBatch) -> NDArray[np.float64]:
        """Energies in eV/atom, nan for candidates with a row code, shape (n,)."""
        return self.evaluate(batch).energies

    def evaluate(self, batch: CandidateBatch) -> Evaluation:
        """Energies, forces and stresses; magnetic moments where the calculator has them, else nan."""
        return evaluated(self._made(), batch, self.row_codes(batch))

    def _made(self) -> Any:
        """The calculator, made once per process."""
        written = json.dumps(dict(self.options or {}), sort_keys=True)
        return _made(self.calculator, written, self.weights, self.sha256, allowed_modules())

    @property
    def _module(self) -> str:
        return _module_of(self.calculator)

    def _check_weights(self) -> None:
        texts = list(_texts(self.options or {}))
        for text in texts:
            if _is_file(text):
                raise PotentialError(
                    f"the file {text} among the options of {self.calculator}, where nobody compares its content",
                    "one file, named by weights and sha256", f"write weights: {text} and {WEIGHTS_HERE} in the option",
                )  # fmt: skip
        used = WEIGHTS_HERE in texts
        if self.weights is None:
            if self.sha256 is not None or used:
                raise PotentialError(
                    f"the calculator {self.calculator} has {'$weights' if used else 'sha256'} and no weights",
                    "weights, sha256 and an option $weights together", "name the file: weights: FILE",
                )  # fmt: skip
            return
        if not used:
            raise PotentialError(
                f"weights of {self.calculator} that no option takes", f"an option with the value {WEIGHTS_HERE}",
                f"write {WEIGHTS_HERE} where the path of the file belongs, such as options: {{model: {WEIGHTS_HERE}}}",
            )  # fmt: skip
        _check_file(Path(self.weights), self.sha256)


def evaluated(calculator: Any, batch: CandidateBatch, codes: NDArray[np.str_]) -> Evaluation:
    """Ask a calculator of ASE about n crystals, one after the other.

    Args:
        calculator: A calculator with energy, forces and stress.
        batch: The crystals.
        codes: Row code of each candidate that is not asked about, else empty, shape (n,).
    """
    n, codes = len(batch), codes.copy()
    offsets = np.zeros(n + 1, np.int64) if batch.crystals is None else batch.crystals.offsets
    details: dict[int, str] = {}
    result = Evaluation(
        np.full(n, np.nan), np.full((offsets[-1], 3), np.nan), np.full((n, 3, 3), np.nan),
        np.full(offsets[-1], np.nan), codes, details,
    )  # fmt: skip
    for row in np.flatnonzero(codes == "").tolist():
        sites = slice(offsets[row], offsets[row + 1])
        try:
            energy, forces, stress, moments = _numbers(calculator, batch.atoms(row))
        except _WithoutNumbers as error:
            codes[row], details[row] = error.args
        else:
            result.energies[row], result.forces[sites], result.stresses[row] = energy, forces, stress
            result.magnetic_moments[sites] = moments
    return result


def _numbers(
    calculator: Any, atoms: Atoms
) -> tuple[float, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Ask a calculator about one crystal.

    Returns:
        Energy in eV/atom, forces in eV/Å, stress in GPa, and sizes of the moments in Bohr magnetons.

    Raises:
        _WithoutNumbers: If it gives no such numbers.
    """
    from ase.calculators.calculator import PropertyNotImplementedError

    sites, moments = len(atoms), np.full(len(atoms), np.nan)
    try:
        atoms.calc = calculator
        energy = np.asarray(atoms.get_potential_energy(), float)
        forces = np.asarray(atoms.get_forces(), float)
        stress = np.asarray(atoms.get_stress(voigt=False), float)
        if "magmoms" in calculator.implemented_properties:
            with contextlib.suppress(PropertyNotImplementedError):  # some have moments of magnetic crystals alone
                moments = np.abs(np.asarray(atoms.get_magnetic_moments(), float))
    except Exception as error:  # a calculator may raise anything for a strange crystal; it is kept
        raise _WithoutNumbers(code_of(error), f"{type(error).__name__}: {error}"[:400]) from error
    shapes = {"an energy": (energy, ()), "forces": (forces, (sites, 3)), "a stress": (stress, (3, 3))}
    for name, (array, shape) in shapes.items():
        if array.shape != shape:
            got = f"the calculator gave {name} of shape {array.shape}, not {shape}"
            raise _WithoutNumbers("E-POTENTIAL-FAILED", got)
        if not np.isfinite(array).all():
            raise _WithoutNumbers("E-POTENTIAL-NONFINITE", f"the calculator gave {name} that is not finite")
    if moments.shape != (sites,):
        moments = np.full(sites, np.nan)
    return float(energy) / sites, forces, stress * _GPA, moments


def _texts(options: Any) -> Iterator[str]:
    """Every text among nested options."""
    if isinstance(options, str):
        yield options
    elif isinstance(options, Mapping | Sequence):
        for value in options.values() if isinstance(options, Mapping) else options:
            yield from _texts(value)


def _is_file(text: str) -> bool:
    try:
        return Path(text).expanduser().is_file()
    except (OSError, ValueError, RuntimeError):  # a text that can be no path
        return False


def _with_path(options: Any, path: str | None) -> Any:
    """Options with the path of the weights where it belongs."""
    if isinstance(options, Mapping):
        return {name: _with_path(value, path) for name, value in options.items()}
    if isinstance(options, list):
        return [_with_path(value, path) for value in options]
    return path if options == WEIGHTS_HERE else options


def _check_file(path: Path, sha256: str | None) -> None:
    """Make sure that a file has a sha256.

    Raises:
        PotentialError: If it cannot be read, or is another one.
    """
    try:
        if not path.is_file():
            raise PotentialError(f"the weights {path} are no file", "a file with weights", "look at the path")
        found = sha256_of(path)
    except OSError as error:
        raise PotentialError(f"the weights {path} cannot be read: {error.strerror or error}") from error
    if sha256 is None:
        raise PotentialError(
            f"weights {path.name} without sha256", "the sha256 of the file beside its path",
            f"if you trust this file, write sha256: {found}",
        )  # fmt: skip
    if found != sha256:
        raise PotentialError(
            f"the weights {path.name} have sha256 {found}", sha256, "take the file that the campaign means"
        )


def _module_of(calculator: str) -> str:
    """Return the module of what makes a calculator.

    Raises:
        PotentialError: If it is not written ``module:name``.

    >>> _module_of("fairchem.core:FAIRChemCalculator.from_model_checkpoint")
    'fairchem.core'
    """
    found = re.fullmatch(_NAME, calculator)
    if found is None:
        raise PotentialError(
            f"calculator {calculator[:90]!r}", "module:name with letters, digits and _",
            "such as calculator: ase.calculators.lj:LennardJones",
        )  # fmt: skip
    return found["module"]


@functools.cache
def _installed(module: str) -> Distribution:
    top = module.partition(".")[0]
    if top in PACKAGES and importlib.util.find_spec(top) is None:
        raise PlugInImportError(
            f"{PACKAGES[top]} is not installed, and the module {module} is part of it",
            "a module of an installed package", install_command(PACKAGES[top]),
        )  # fmt: skip
    return distribution_of_module(module)


@functools.cache
def _sha256_of_code(module: str) -> str:
    return sha256_of_modules(_installed(module), module)


@functools.lru_cache(maxsize=2)
def _made(calculator: str, options: str, weights: str | None, sha256: str | None, allowed: tuple[str, ...]) -> Any:
    """Make a calculator.

    Raises:
        PotentialError: If it cannot be made, or gives no energies, forces or stresses.
    """
    module = _module_of(calculator)
    require_allowed(module, f"the calculator {calculator}")
    if weights is not None:
        _check_file(Path(weights), sha256)
    factory = _imported(calculator)
    given = _with_path(json.loads(options), weights)
    check_names(calculator, factory, given)
    try:
        made = factory(**given)
    except Exception as error:  # code of another package may raise anything
        raise PotentialError(
            f"the calculator {calculator} cannot be made: {type(error).__name__}: {error}"[:600],
            "options, weights and an installation that its package accepts", "look at the documentation of the package",
        ) from error  # fmt: skip
    offered = set(getattr(made, "implemented_properties", ()))
    missing = sorted({"energy", "forces", "stress"} - offered)
    if missing or not callable(getattr(made, "get_property", None)):
        raise PotentialError(
            f"{calculator} makes {type(made).__name__}"
            + (f", which gives no {' and no '.join(missing)}" if offered else ", which is no calculator of ASE"),
            "a calculator of ASE with energy, forces and stress", "choose another calculator",
        )  # fmt: skip
    return made


def _imported(calculator: str) -> Callable[..., Any]:
    """Import what makes a calculator.

    It must be defined in the package of the module that is allowed: what that module has imported from elsewhere, such
    as functions of the operating system, is not meant.

    Raises:
        PlugInImportError: If there is no such class or function.
    """
    module, _, name = calculator.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:  # a module of another package may raise anything
        raise PlugInImportError(
            f"the module {module} of the calculator cannot be imported: {type(error).__name__}: {error}"[:500],
            "a module of an installed package", "install a version of the package that fits",
        ) from error  # fmt: skip
    *outer, last = name.split(".")
    for part in (*outer, last):
        found = getattr(found, part, None)
        whole = inspect.isclass(found) or (part == last and callable(found))
        if not whole or str(getattr(found, "__module__", "")).partition(".")[0] != module.partition(".")[0]:
            raise PlugInImportError(
                f"{module} defines no class or function {name}", "what the package itself defines",
                "look for the name in its documentation",
            )  # fmt: skip
    maker: Callable[..., Any] = found
    return maker
