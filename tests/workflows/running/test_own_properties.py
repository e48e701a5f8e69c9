"""Properties that a campaign brings reach its workers, and are part of what the run hangs on."""

from pathlib import Path

import pytest
from distributed import Client

from matloop.data.errors import UnknownNameError
from matloop.data.properties.catalogue import Catalogue, property_named, using
from matloop.data.properties.definition import Property
from matloop.workflows.running.identity import code_key, differences, identity_of
from tests.workflows.conftest import campaign
from tests.workflows.running.engines import engine_in

HARDNESS = Property(name="hardness", symbol="H", unit="GPa", label_en="hardness", label_zh="硬度", lower=0, upper=200)
HARDER = Property(name="hardness", symbol="H", unit="GPa", label_en="hardness", label_zh="硬度", lower=0, upper=300)


def test_workers_know_the_properties_of_the_campaign_they_work_for(workers: Client, tmp_path: Path) -> None:
    engine = engine_in(tmp_path / "run", workers)
    for own in (HARDNESS, HARDER):  # two campaigns may define one name in two ways, on the same workers
        with using(Catalogue((own,))):
            assert engine.ask(property_named, "hardness") == own
    with pytest.raises(UnknownNameError, match="unknown property 'hardness'"):
        engine.ask(property_named, "hardness")


def test_a_changed_definition_changes_the_identity_and_every_key() -> None:
    chosen, found = campaign(), []
    for own in ((), (HARDNESS,), (HARDER,)):
        with using(Catalogue(own)):
            found.append((identity_of(chosen, 100), code_key(chosen)))
    (none, key), (first, first_key), (second, second_key) = found
    assert differences(none, first) == ["properties.hardness: added"]
    assert differences(first, second) == ["properties.hardness.upper: 200 -> 300"]
    assert len({key, first_key, second_key}) == 3
