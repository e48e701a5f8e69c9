"""Files that other installed packages ship: found without importing the package, checked before anyone reads them."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import NamedTuple

from matloop.data.errors import DatasetError, MatloopError
from matloop.data.installation import install_command


class PackageFile(NamedTuple):
    """One file of an installed package, as it was when our code was checked against it.

    Attributes:
        package: Name the package is imported under, at the top level: finding an inner one would import the outer.
        path: Where the file lies inside the package.
        sha256: Of its content.
        size_limit: Most bytes that are read at all.
        install: What to install for it, as pip takes it.
        release: Which version to install if the file is another one.
    """

    package: str
    path: Path
    sha256: str
    size_limit: int
    install: str
    release: str

    def read(self, error: type[MatloopError] = DatasetError) -> bytes:
        """Content of the file, after its size and hash were checked.

        Args:
            error: What to raise.

        Raises:
            MatloopError: Of the type ``error``, if the package is not installed or its file is another one.
        """
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise error(
                f"{self.package} is not installed, and {self.path.name} is part of it",
                fix=install_command(self.install),
            )
        path = Path(next(iter(spec.submodule_search_locations))) / self.path
        if not path.is_file():
            raise error(f"the installed {self.package} has no file {self.path.as_posix()}", fix=self.release)
        if path.stat().st_size > self.size_limit:
            size = path.stat().st_size
            raise error(f"{path.name} has {size} bytes", f"at most {self.size_limit}", self.release)
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.sha256:
            raise error(f"{path.name} has sha256 {digest}", self.sha256, self.release)
        return content
