"""A package from outside brings one thing of every kind, each by one file and one entry point."""

import json
from pathlib import Path

import pytest
import yaml

from matloop.data.properties.catalogue import outside_properties
from matloop.data.registry import lookup
from matloop.featurizers.validation import validate_featurizer
from matloop.models.families.validation import validate_ensemble
from matloop.models.registry import MODELS
from matloop.screening.filters.validation import validate_filter
from matloop.screening.language import filter_words
from matloop.screening.registry import FILTERS
from matloop.workflows.commands.printed import print_families, print_features
from matloop.workflows.inspecting.plug_ins import check_plug_ins
from matloop.workflows.inspecting.validation import validate
from matloop.workflows.screen import screen
from matloop.workflows.stages.campaign_featurizers import CAMPAIGN_FEATURIZERS
from tests.plugins import MODELS as POTENTIALS_FOLDER
from tests.plugins import install_package
from tests.workflows.conftest import SMALL, campaign

FEATURIZER = """
import numpy as np
from matloop.data.feature_words import FeatureWords
from matloop.data.label import Label
from matloop.featurizers.base import Features, Featurizer, no_codes

class Plugin(Featurizer):
    name, version, feature_names = "outside_features", "1", ("heaviest", "lightest")
    needs, parameters = frozenset({"compositions"}), {}

    def featurize(self, batch):
        starts, elements = batch.compositions.offsets[:-1], batch.compositions.elements.astype(float)
        ends = [ends.reduceat(elements, starts) if len(batch) else np.empty(0) for ends in (np.maximum, np.minimum)]
        return Features(np.column_stack(ends), no_codes(len(batch)))

    def words(self, name):
        label = Label("number of the heaviest element", "最重元素序数")
        if name == "lightest":
            label = Label("number of the lightest element", "最轻元素序数")
        return FeatureWords(Label("extreme elements", "极端元素"), label)
"""
FAMILY = """
from matloop.models.families.extra_trees import ExtraTrees

class Plugin(ExtraTrees):
    family = "outside_trees"

    def __init__(self, **settings):
        super().__init__(**{"trees": 20, **settings})
"""
FILTER = """
from matloop.data.candidates.reasons import Reason
from matloop.screening.filters.contract import Filter, Verdict
from matloop.data.label import Label

class Plugin(Filter):
    name = "outside_filter"
    reason_words = {"R-OUTSIDE-HEAVY": Label("element {value} is beyond {limit}", "元素 {value} 超过 {limit}")}

    def __init__(self, last=80):
        self.last = last

    def judge(self, batch):
        heaviest = [int(max(batch.compositions.take([row]).elements)) for row in range(len(batch))]
        keep = [number <= self.last for number in heaviest]
        import numpy as np
        return Verdict.of(
            np.array(keep, bool), [Reason("R-OUTSIDE-HEAVY", number, self.last, self.name) for number in heaviest]
        )

    @classmethod
    def title(cls):
        return Label("light elements only", "仅含轻元素")

    def margin(self, finalist, *, known):
        left = self.last - int(max(finalist.compositions.elements))
        return Label(f"{left} elements from the limit", f"距上限 {left} 个元素")
"""
POTENTIAL = """
from pair_potential import PairPotential

class Plugin(PairPotential):
    name = "outside_potential"
"""
PROPERTY = """
from matloop.data.properties.definition import Property

Plugin = Property(
    name="outside_property", symbol="o", unit="eV", label_en="outside property", label_zh="外来性质",
    description_en="A number.", description_zh="一个数。", lower=0, upper=10,
)
"""
THINGS = {
    ("matloop.featurizers", "outside_features"): FEATURIZER,
    ("matloop.models", "outside_trees"): FAMILY,
    ("matloop.filters", "outside_filter"): FILTER,
    ("matloop.potentials", "outside_potential"): POTENTIAL,
    ("matloop.properties", "outside_property"): PROPERTY,
}
USING = {
    "filters": [*SMALL["filters"], {"outside_filter": {"last": 57}}],
    "surrogates": {"features": ["outside_features", "stoichiometry"], "family": "outside_trees", "keep": 60},
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is installed, for this process and its workers."""
    install_package(tmp_path, monkeypatch, package="outside-package", version="2.3", things=THINGS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(POTENTIALS_FOLDER))
    outside_properties.cache_clear()
    filter_words.filter_reasons.cache_clear()


@pytest.fixture(autouse=True)
def _forget() -> None:
    """What the package brought is gone with it."""
    yield
    outside_properties.cache_clear()
    filter_words.filter_reasons.cache_clear()


@pytest.mark.usefixtures("package")
def test_it_is_listed_with_the_package_that_brings_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    print_features()
    print_families()
    lines = capsys.readouterr().out.splitlines()
    for name in ("outside_features", "outside_trees", "outside_potential"):
        (line,) = [line for line in lines if name in line]
        assert "outside-package 2.3" in line
    (own,) = [line for line in lines if "valence_orbital " in line]
    assert "outside" not in own
    checks = {check.name: (check.state, check.found) for check in check_plug_ins()}
    for _, name in THINGS:
        (kind,) = [told for told in checks if told.endswith(f" {name}")]
        assert checks[kind] == ("ok", "from outside-package 2.3")


@pytest.mark.usefixtures("package")
def test_it_holds_the_contracts_and_is_accepted_in_a_campaign(tmp_path: Path) -> None:
    validate_featurizer(lookup("featurizer", CAMPAIGN_FEATURIZERS, "outside_features"))
    validate_filter(lookup("filter", FILTERS, "outside_filter"))
    validate_ensemble(lookup("model", MODELS, "outside_trees"))
    path = tmp_path / "campaign.yaml"
    path.write_text(yaml.safe_dump({**SMALL, **USING}, allow_unicode=True), "utf-8")
    assert validate(path)[1] == []
    path.write_text(path.read_text("utf-8").replace("last: 57", "lost: 57"), "utf-8")
    (problem,) = validate(path)[1]
    assert "did you mean 'last'?" in str(problem)


@pytest.mark.usefixtures("package")
def test_a_run_explains_itself_in_its_words(tmp_path: Path) -> None:
    run = screen(campaign(**USING), output=tmp_path / "run", workers=2, partition_rows=600)
    told = json.loads((run.folder / "explanations.json").read_text("utf-8"))
    finalists = told["finalists"]
    assert finalists
    for finalist in finalists:
        margins = {line["stage"]: line["text"] for line in finalist["filters"]}
        assert margins["filter outside_filter"]["en"].endswith("elements from the limit")
        assert margins["filter outside_filter"]["zh"].startswith("距上限")
    targets = [target for finalist in finalists for target in finalist["targets"].values()]
    groups = [group for target in targets for group in target["contributions"]["groups"]]
    outside = [group for group in groups if group["group"] == {"en": "extreme elements", "zh": "极端元素"}]
    assert outside
    assert all("element (" in group["text"]["en"] for group in outside)
    page = run.report.read_text("utf-8")
    for words in ("Filter: light elements only", "过滤：仅含轻元素", "is beyond 57", "超过 57", "最重元素序数"):
        assert words in page
