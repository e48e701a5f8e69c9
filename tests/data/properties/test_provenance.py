"""How the provenance of a label is written, and what it asks for."""

import pytest

from matloop.data.errors import ProvenanceError
from matloop.data.properties.provenance import Provenance


@pytest.mark.parametrize("text", ["dft", "dft:pbe", "dft:pbe+u", "dft:r2scan", "exp", "exp:lab-a", "exp:材料实验室"])
def test_what_is_read_is_written_alike(text: str) -> None:
    assert str(Provenance.read(text)) == text


@pytest.mark.parametrize(
    "text", ["", "DFT", "dft:", "exp lab", "exp:a:b", "exp:../x", "pbe", "dft:" + "x" * 41, "exp:a\n"]
)
def test_another_way_of_writing_is_refused(text: str) -> None:
    with pytest.raises(ProvenanceError, match="Allowed: dft, dft:FUNCTIONAL, exp, exp:LAB"):
        Provenance.read(text)


@pytest.mark.parametrize(
    ("wanted", "given", "fits"),
    [
        ("dft", "dft:pbe", True), ("dft:pbe", "dft:pbe", True), ("dft:pbe", "dft:r2scan", False),
        ("dft:pbe", "dft", False), ("exp", "exp:lab-a", True), ("exp", "dft", False), ("dft", "exp", False),
    ],
)  # fmt: skip
def test_what_a_provenance_takes(wanted: str, given: str, fits: bool) -> None:
    assert Provenance.read(wanted).covers(Provenance.read(given)) is fits


def test_columns_follow_the_method() -> None:
    assert [Provenance.read(text).suffix for text in ("dft:pbe", "exp:lab-a")] == ["dft", "exp"]


def test_unknown_provenance_is_none_of_the_others() -> None:
    unknown = Provenance.read("unknown")
    assert str(unknown) == "unknown"
    assert unknown.covers(unknown)
    assert not any(Provenance.read(text).covers(unknown) for text in ("dft", "exp", "dft:pbe"))
    with pytest.raises(ProvenanceError, match="unknown provenance"):
        _ = unknown.suffix
