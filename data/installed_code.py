"""Code of other installed packages: which distribution a module comes from, and a hash of what it ships."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import Distribution, distribution, packages_distributions
from pathlib import Path

from matloop.data.errors import PlugInImportError
from matloop.data.installation import install_command
from matloop.data.runs.manifest import key_of, sha256_of


def content_of(shipping: Distribution | None, module: str) -> str:
    """Describe installed code by its distribution, the version, and a hash of the modules it ships.

    Args:
        shipping: The distribution, if it is known.
        module: A module of it. An editable installation lists none of its modules, and its package lies elsewhere; so
            the files of the package are looked at too.
    """
    shipped = sha256_of_modules(shipping, module)[:16]
    if shipping is None:
        return f"unknown distribution, content {shipped}"
    return f"{shipping.name} {shipping.version}, content {shipped}"


def sha256_of_modules(shipping: Distribution | None, module: str) -> str:
    """Hash of the modules that a distribution ships, by their names and contents, in hexadecimal digits."""
    return key_of(files={path.as_posix(): sha256_of(place) for path, place in _modules_of(shipping, module)})


def distribution_of_module(module: str) -> Distribution:
    """Return the installed distribution that a module comes from.

    Args:
        module: Name of the module, such as ``mace.calculators``. It is not imported.

    Raises:
        PlugInImportError: If no installed distribution brings it, or another file of that name hides it.
    """
    top = module.partition(".")[0]
    names = sorted(set(packages_distributions().get(top, ())))
    if not names:
        raise PlugInImportError(
            f"the module {module} belongs to no installed package", "a module of an installed package",
            f"install the package that brings it; your own code too, with its pyproject.toml: "
            f"{install_command('--editable')} FOLDER",
        )  # fmt: skip
    candidates = [distribution(name) for name in names]
    listing = [each for each in candidates if any(path.parts[:1] == (top,) for path, _ in _listed(each))]
    _refuse_another_place(top, listing)
    path = module.replace(".", "/")
    exact = [
        each for each in listing if {f"{path}.py", f"{path}/__init__.py"} & {p.as_posix() for p, _ in _listed(each)}
    ]
    return (exact or listing or candidates)[0]


def _refuse_another_place(top: str, listing: Sequence[Distribution]) -> None:
    """Make sure that Python would import a package from where its distribution has put it.

    Raises:
        PlugInImportError: If another file or folder of that name is found first.
    """
    spec = _spec_of(top)
    origin = None if spec is None or spec.origin is None else Path(spec.origin).resolve()
    first = Path(top, "__init__.py")
    places = {place.resolve() for each in listing for path, place in _listed(each) if path == first}
    if places and origin not in places:
        raise PlugInImportError(
            f"Python would import {top} from {origin}", f"the installed one, {min(places)}",
            "work in another folder, or rename that file",
        )  # fmt: skip


def _spec_of(top: str) -> ModuleSpec | None:
    loaded = sys.modules.get(top)
    return PathFinder.find_spec(top) if loaded is None else loaded.__spec__


def _modules_of(shipping: Distribution | None, module: str) -> Iterator[tuple[Path, Path]]:
    """Name and place of each module of a distribution, and of the package that a module belongs to."""
    seen = set()
    for name, place in [*_listed(shipping), *_of_package(module.partition(".")[0])]:
        if place.suffix in (".py", ".so", ".pyd") and place.is_file() and place.resolve() not in seen:
            seen.add(place.resolve())
            yield name, place


def _listed(shipping: Distribution | None) -> Iterator[tuple[Path, Path]]:
    for file in (shipping.files or []) if shipping is not None else []:
        yield Path(file), Path(str(file.locate()))


def _of_package(top: str) -> Iterator[tuple[Path, Path]]:
    spec = _spec_of(top)
    if spec is None:
        return
    if spec.submodule_search_locations is None:
        if spec.origin is not None:
            yield Path(Path(spec.origin).name), Path(spec.origin)
        return
    for folder in spec.submodule_search_locations:
        for path in sorted(Path(folder).rglob("*")):
            if "__pycache__" not in path.parts:
                yield Path(top) / path.relative_to(folder), path
