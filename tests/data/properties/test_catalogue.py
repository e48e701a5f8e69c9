"""One accessor for all properties, wherever they come from."""

import pickle
import subprocess
import sys
import threading
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import PropertyError, UnknownNameError
from matloop.data.packaged.transport import load_transport
from matloop.data.properties import catalogue as module
from matloop.data.properties.catalogue import Catalogue, WithCatalogue, catalogue, property_named, using
from matloop.data.properties.definition import Property
from matloop.data.properties.packaged_properties import PACKAGED_PROPERTIES
from tests.plugins import install_plugin

OF_BENCHMARKS = {
    "yield_strength",
    "vickers_hardness",
    "exfoliation_energy",
    "phonon_peak",
    "perovskite_formation_energy",
}
WITH_DATA = [name for name in PACKAGED_PROPERTIES if name not in OF_BENCHMARKS]
HARDNESS = Property(name="hardness", symbol="H", unit="GPa", label_en="hardness", label_zh="硬度", lower=0, upper=200)


def has_chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)


@pytest.mark.parametrize("name", PACKAGED_PROPERTIES)
def test_packaged_properties_are_described_in_both_languages(name: str) -> None:
    known = property_named(name)
    assert known.name == name
    assert known.description_en.endswith(".")
    assert known.description_zh.endswith("。")
    assert has_chinese(known.label_zh)
    assert has_chinese(known.description_zh)
    assert known.label_en.isascii()


@pytest.mark.parametrize("name", WITH_DATA)
def test_packaged_values_lie_within_the_bounds_and_carry_the_same_unit(name: str, materials: CandidateBatch) -> None:
    known = property_named(name)
    table = materials.table if known.column("dft") in materials.table.column_names else load_transport()
    assert table.schema.field(known.column("dft")).metadata[b"unit"].decode() == known.unit
    values = table.column(known.column("dft")).to_numpy()
    values = values[np.isfinite(values)]
    assert len(values) > 900
    inside = (values >= known.lower) & (values <= known.upper)
    assert inside.all(), values[~inside]


def test_labels_carry_the_unit_if_there_is_one() -> None:
    assert property_named("band_gap").label == "band gap (eV)"
    assert property_named("refractive_index").label == "refractive index"


def test_unknown_property_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'band_gap'"):
        property_named("bandgap")


def test_properties_of_a_campaign_are_known_within_the_block_alone() -> None:
    with using(Catalogue((HARDNESS,))):
        assert property_named("hardness") is HARDNESS
        assert "hardness" in list(catalogue())
        assert property_named("band_gap").unit == "eV"
    with pytest.raises(UnknownNameError, match="unknown property 'hardness'"):
        property_named("hardness")


def test_another_thread_keeps_its_own_catalogue() -> None:
    found: list[bool] = []
    with using(Catalogue((HARDNESS,))):
        thread = threading.Thread(target=lambda: found.append("hardness" in catalogue()))
        thread.start()
        thread.join()
    assert found == [False]


def test_a_function_sent_to_a_worker_uses_the_catalogue_it_was_sent_with() -> None:
    sent = pickle.loads(pickle.dumps(WithCatalogue(Catalogue((HARDNESS,)), property_named)))  # noqa: S301
    assert sent("hardness") == HARDNESS
    assert sent.__name__ == "property_named"
    assert "hardness" not in catalogue()


def test_the_key_follows_the_content_of_the_definitions() -> None:
    harder = Property(name="hardness", symbol="H", unit="GPa", label_en="hardness", label_zh="硬度", lower=0, upper=300)
    assert Catalogue((HARDNESS,)).key == pickle.loads(pickle.dumps(Catalogue((HARDNESS,)))).key  # noqa: S301
    assert len({catalogue().key, Catalogue((HARDNESS,)).key, Catalogue((harder,)).key}) == 3


@pytest.mark.parametrize("own", [(PACKAGED_PROPERTIES["band_gap"],), (HARDNESS, HARDNESS)])
def test_a_name_that_is_taken_is_refused(own: tuple[Property, ...]) -> None:
    with pytest.raises(PropertyError, match="a name that no other property has"):
        Catalogue(own)


class FakeEntryPoint(EntryPoint):
    """An entry point that gives what it is told to."""

    def load(self) -> object:
        if self.value == "nothing":
            raise ImportError("no such module")
        return HARDNESS if self.value == "hardness" else object()


def outside(*points: tuple[str, str], patch: pytest.MonkeyPatch) -> None:
    made = [FakeEntryPoint(name, value, module.GROUP) for name, value in points]
    patch.setattr(module, "entry_points", lambda group: made if group == module.GROUP else [])
    module.outside_properties.cache_clear()


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Forgets what entry points gave when the test ends."""
    yield monkeypatch
    monkeypatch.undo()
    module.outside_properties.cache_clear()


def test_a_property_of_another_package_is_one_like_all(patch: pytest.MonkeyPatch) -> None:
    outside(("hardness", "hardness"), patch=patch)
    assert property_named("hardness") is HARDNESS
    assert list(catalogue())[-1] == "hardness"
    with pytest.raises(PropertyError, match="a name that no other property has"), using(Catalogue((HARDNESS,))):
        list(catalogue())


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([("band_gap", "hardness")], "'band_gap' of another package is named 'band_gap'"),
        ([("hardness", "hardness"), ("hardness", "hardness")], "a name that no other property has"),
        ([("toughness", "hardness")], "is property 'hardness'. Allowed: a Property named 'toughness'"),
        ([("hardness", "an object")], "is a object. Allowed: a Property named 'hardness'"),
        ([("hardness", "nothing")], "cannot be loaded: no such module"),
    ],
)
def test_what_another_package_brings_is_checked(
    points: list[tuple[str, str]], message: str, patch: pytest.MonkeyPatch
) -> None:
    outside(*points, patch=patch)
    with pytest.raises(PropertyError, match=message):
        property_named("hardness")
    assert property_named("band_gap").unit == "eV"  # what needs no other package works on


def test_an_installed_package_adds_a_property(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        "from matloop.data.properties.definition import Property\n"
        "Plugin = Property(name='hardness', symbol='H', unit='GPa', label_en='hardness', label_zh='硬度', "
        "lower=0, upper=200)\n"
    )
    install_plugin(tmp_path, monkeypatch, group="matloop.properties", name="hardness", source=source)
    code = (
        "from matloop.data.properties.carried import carried_name\n"
        "from matloop.screening.campaign.campaign import Target\n"
        "from matloop.screening.language.text import axis_words\n"
        "target = Target(property='hardness', goal='at_least', value=20000, unit='MPa')\n"
        "print(target.range((0, 1)), axis_words('hardness'), carried_name('table', 'hardness_exp'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "(20.0, inf) Words(en='hardness (GPa)', zh='硬度（GPa）') hardness_exp\n"
