"""Runs that copy their surrogates from the user's store."""

import re
from pathlib import Path

import pytest

from matloop.data.bounded_files import read_json
from matloop.data.runs.directory import RunDirectory
from matloop.data.training.packaged_tables import packaged_training_set
from matloop.data.training.training_set import TrainingSet
from matloop.models.surrogates.store import LIMIT_VARIABLE, StoredSurrogate, SurrogateStore
from matloop.screening.campaign.campaign import Campaign
from matloop.workflows.commands.stored_models import clear_store, print_store
from matloop.workflows.running import surrogate_training
from matloop.workflows.running.store_keys import store_key
from matloop.workflows.screen import ScreeningRun, screen
from tests.workflows.conftest import SMALL, Told, campaign, results_of

STAGE = "surrogates"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SurrogateStore:
    """The user's store, empty."""
    monkeypatch.setenv("MATLOOP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(LIMIT_VARIABLE, "1GB")
    made = SurrogateStore.of_user()
    assert made is not None
    return made


def keep_those_of(run: ScreeningRun, store: SurrogateStore) -> None:
    """Store the surrogates of a run that used no store."""
    chosen = campaign()
    for target in chosen.targets:
        key = store_key(chosen, STAGE, target, training=packaged_training_set(target.property))
        place = RunDirectory(run.folder).model(STAGE, target.property)
        card = read_json(place / "card.json", allow_nan=True)
        store.keep(StoredSurrogate.of(key, place, card, features=("valence_orbital",)), place)


@pytest.mark.usefixtures("workers_there")
def test_a_run_from_the_store_is_equal_to_the_last_bit(
    finished: ScreeningRun, store: SurrogateStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_those_of(finished, store)

    def trained(*_: object) -> None:
        raise AssertionError("no surrogate is trained")

    monkeypatch.setattr(surrogate_training, "train_anew", trained)
    told = Told()
    run = screen(campaign(), output=tmp_path / "run", workers=2, progress=told, partition_rows=300)
    assert sum("from the store" in note for note in told.notes) == 2
    again, before = results_of(run.folder), results_of(finished.folder)
    assert again.keys() == before.keys()
    assert [name for name in again if again[name] != before[name]] == []
    store.clear()
    assert not run.view.manifest.damage(), "a run needs the store no more"


def few_rows() -> TrainingSet:
    whole = packaged_training_set("refractive_index")
    rows = whole.rows.take(range(0, len(whole), 12))
    return TrainingSet.of_rows(
        rows, whole.values[::12], property_name="refractive_index", name="few", provenance="dft:pbe", licence="CC0"
    )


def prepared(chosen: Campaign, folder: Path, *, store: bool = True) -> list[str]:
    """What a run that only trains was told of its surrogates."""
    told = Told()
    screen(chosen, output=folder, workers=2, progress=told, prepare_only=True, training_sets=[few_rows()], store=store)
    return [note for note in told.notes if "grouped MAE" in note]


@pytest.mark.usefixtures("workers_there")
def test_a_surrogate_is_trained_once_for_all_campaigns(
    store: SurrogateStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [{"ionic_substitution": {"limit": 20, "min_probability": 1e-3, "max_sites": 10}}]
    target = {**SMALL["targets"][1], "provenance": "dft:pbe"}
    first = campaign(targets=[target], sources=sources)
    other = campaign(name="another", targets=[{**target, "upper": 2.5}], sources=sources, filters=[])
    (note,) = prepared(first, tmp_path / "without", store=False)
    assert "store" not in note
    assert not store.folder.exists()
    (note,) = prepared(first, tmp_path / "first")
    assert "store" not in note
    (note,) = prepared(other, tmp_path / "second")
    assert note.endswith("from the store")
    name = "models/surrogates/refractive_index"
    folders = [tmp_path / run / name for run in ("without", "first", "second")]
    contents = [{path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} for folder in folders]
    assert contents[0] == contents[1] == contents[2]
    monkeypatch.setenv("COLUMNS", "300")
    capsys.readouterr()
    print_store()
    shown = re.sub(" +", " ", capsys.readouterr().out)
    assert "refractive_index extra_trees valence_orbital, stoichiometry few" in shown
    assert "1 surrogate," in shown
    clear_store()
    assert capsys.readouterr().out.startswith("1 surrogate removed")
    assert store.entries() == []


def test_all_that_decides_the_numbers_is_in_the_key() -> None:
    training = packaged_training_set("refractive_index")

    def key(chosen: Campaign, labels: TrainingSet = training) -> str:
        return store_key(chosen, STAGE, chosen.targets[1], training=labels)

    (modulus, index), surrogates = SMALL["targets"], SMALL["surrogates"]
    same = [
        campaign(name="other", title="Another"),
        campaign(shortlist={"size": 9}),
        campaign(targets=[modulus, {**index, "lower": 1.6}]),
        campaign(surrogates={**surrogates, "keep": 10}),
    ]
    classifier = {**index, "probability": "classifier"}
    different = [
        campaign(seed=1),
        campaign(targets=[modulus, {**index, "transform": "identity"}]),
        campaign(targets=[modulus, {**index, "family": "boosted_trees"}]),
        campaign(targets=[modulus, classifier]),
        campaign(targets=[modulus, {**classifier, "lower": 1.6}]),
        campaign(surrogates={**surrogates, "features": ["stoichiometry", "valence_orbital"]}),
        campaign().with_budget(60),
        campaign().with_budget(120),
    ]
    own = key(campaign())
    assert {key(chosen) for chosen in same} == {own}
    keys = [own, key(campaign(), few_rows()), *map(key, different)]
    assert len(set(keys)) == len(keys)
