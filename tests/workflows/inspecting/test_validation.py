from pathlib import Path

import pytest

from matloop.data.errors import CampaignError
from matloop.screening.campaign.campaign_file import Problem, write_campaign
from matloop.workflows.inspecting.validation import PACKAGED_CAMPAIGNS, campaign_path, checked_campaign, validate

GOOD = """\
name: example
sources:
  - ionic_substitution: {limit: 1000, min_probability: 1e-3}
filters:
  - exclude_elements: [Cd, Hg]
  - element_count: {least: 2, most: 4}
targets:
  - {property: energy_above_hull, goal: at_most, value: 50, unit: meV/atom}
  - {property: refractive_index, goal: maximize, unit: "1", family: boosted_trees}
surrogates:
  features: [magpie, density]
  family: extra_trees
  keep: 100
shortlist:
  size: 3
"""


def problems_of(tmp_path: Path, old: str = "", new: str = "") -> list[Problem]:
    assert old in GOOD
    path = tmp_path / "campaign.yaml"
    path.write_text(GOOD.replace(old, new, 1) if old else GOOD, encoding="utf-8")
    _, found = validate(path)
    return found


@pytest.mark.parametrize("path", sorted(PACKAGED_CAMPAIGNS.glob("*.yaml")), ids=lambda path: path.stem)
def test_packaged_campaigns_are_valid_by_file_and_by_name(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _, problems = validate(path)
    assert problems == []
    campaign = checked_campaign(path.stem)
    assert campaign.name == path.stem
    (tmp_path / "copy.yaml").write_text(write_campaign(campaign), encoding="utf-8")
    assert checked_campaign("copy.yaml") == campaign


def test_a_file_of_that_name_comes_before_the_packaged_campaign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert campaign_path("optical_window").parent == PACKAGED_CAMPAIGNS
    (tmp_path / "optical_window").write_text(GOOD)
    assert campaign_path("optical_window") == Path("optical_window")
    assert campaign_path("nowhere") == Path("nowhere")


def test_a_good_campaign_has_no_problems(tmp_path: Path) -> None:
    assert problems_of(tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "where", "message"),
    [
        ("ionic_substitution", "ionic_substitutions", 3, "sources.0", "did you mean 'ionic_substitution'?"),
        ("limit:", "limits:", 3, "sources.0", "unknown option of ionic_substitution 'limits'. Allowed: limit"),
        ("limit: 1000", "limit: 0", 3, "sources.0", "E-GENERATOR"),
        ("limit: 1000", "limit: 1e5", 3, "sources.0", "write limit: 100000"),
        ("limit: 1000", "limit: many", 3, "sources.0", "'limit' of ionic_substitution is \"many\""),
        ("{limit: 1000, min_probability: 1e-3}", "5", 3, "sources.0", "5, which belongs to no option"),
        (
            "ionic_substitution: {limit: 1000, min_probability: 1e-3}",
            "table: {path: gone.csv}",
            3,
            "sources.0",
            "no file",
        ),
        (
            "ionic_substitution: {limit: 1000, min_probability: 1e-3}",
            "table",
            3,
            "sources.0",
            "table without its option 'path'",
        ),
        ("exclude_elements", "exclude_element", 5, "filters.0", "did you mean 'exclude_elements'?"),
        ("[Cd, Hg]", "[Cd, Xx]", 5, "filters.0", "unknown element 'Xx'"),
        ("[Cd, Hg]", "[Cd, [Hg]]", 5, "filters.0", "Allowed: text, or a list of texts"),
        ("exclude_elements: [Cd, Hg]", "exclude_elements", 5, "filters.0", "without its option 'elements'"),
        ("least:", "lest:", 6, "filters.1", "did you mean 'least'?"),
        ("energy_above_hull", "energy_above_hul", 8, "targets.0.property", "did you mean 'energy_above_hull'?"),
        ("meV/atom", "meV/atm", 8, "targets.0.unit", "did you mean 'meV/atom'?"),
        ("meV/atom", "GPa", 8, "targets.0.unit", "unit 'GPa' measures pressure, not energy per atom"),
        ("meV/atom", "9**9**9", 8, "targets.0.unit", "unknown unit"),
        ("value: 50", "value: 50000", 8, "targets.0.value", "50 eV/atom is not possible for energy above hull"),
        ("value: 50", "value: -50", 8, "targets.0.value", "allowed: 0 to 6 eV/atom"),
        ("refractive_index", "seebeck_p", 9, "targets.1", ""),
        ("boosted_trees", "boosted_tree", 9, "targets.1.family", "did you mean 'boosted_trees'?"),
        ("magpie", "magpi", 11, "surrogates.features.0", "did you mean 'magpie'?"),
        ("density", "{density: {cutoff: 5}}", 11, "surrogates.features.1", "unknown option of density 'cutoff'"),
        ("extra_trees", "extratrees", 12, "surrogates.family", "did you mean 'extra_trees'?"),
        ("size: 3", "size: 101", 15, "shortlist.size", "is larger than surrogates.keep = 100"),
        ("family: extra_trees", "family: [stack, extratrees]", 12, "surrogates.family", "did you mean 'extra_trees'?"),
        ("boosted_trees", "[stack, boosted_tree]", 9, "targets.1.family", "did you mean 'boosted_trees'?"),
        ("family: extra_trees", "family: [stack, stack]", 12, "surrogates.family", "a list of different families"),
        ("keep: 100", "keep: 100\n  budget: 5", 14, "surrogates.budget", "E-UNIT: a duration of '5'"),
        ("keep: 100", "keep: 100\n  budgt: 5m", 14, "surrogates.budgt", "did you mean 'budget'?"),
        ("keep: 100", "keep: 100\n  budget: 5m", 14, "surrogates.budget", "there is nothing to choose in that time"),
        ("goal: maximize", "goal: maximize, probability: clasifier", 9, "targets.1.probability", "'classifier'"),
        ("value: 50,", "value: 5900, probability: classifier,", 8, "targets.0.probability", "0 outside"),
    ],
)
def test_meaning_is_checked_with_the_line(
    old: str, new: str, line: int, where: str, message: str, tmp_path: Path
) -> None:
    (problem,) = problems_of(tmp_path, old, new)
    assert problem.line == line
    assert problem.where.startswith(where)
    assert message in problem.message


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("structure_files: {path: ., timeout: [1]}", "option 'timeout' of structure_files is [1]"),
        ("structure_files: {path: ., timeout: .nan}", "no finite number"),
        ("structure_files: {path: ., timeout: 0}", "E-CAMPAIGN: timeout of 0 seconds"),
        ("structure_files: {path: ., timeout: true}", "is true. Allowed: a number"),
        ('structure_files: {path: ., timeout: "60"}', "write timeout: 60"),
        ("structure_files: {path: ., memory_limit: 0}", "bytes from 100000000 (100 MB)"),
        ("structure_files: {path: ., memory_limit: 2GB}", "Allowed: a whole number"),
        ("structure_files: {path: ., memory_limit: -5}", "memory_limit of -5 bytes"),
        ("structure_files: {path: ., memory_limit: .inf}", "no finite number"),
        ("structure_files: {path: ., memory_limit: 2000}", "memory_limit of 2000 bytes"),
        ("alloy_grid: {elements: [Fe, Ni], bounds: 5}", "option 'bounds' of alloy_grid is 5"),
        ("table: {path: t.csv, formula_column: 3}", 'write formula_column: "3"'),
        ("table: {path: t.csv, formula_column: }", "is null. Allowed: text"),
        ("table: {}", "table without its option 'path'"),
        ("table: 2026-01-01", "text is expected, and 2026-01-01 without quotes is none"),
        ("composition_enumeration: {elements: null}", "is null. Allowed: a list of texts"),
        ("prototype_decoration: {elements: [Fe, O], space_groups: 225}", "write space_groups: [225]"),
        ("embedded: 5", "write 'embedded' alone"),
        ("ionic_substitution: {limit: true}", "is true. Allowed: a whole number"),
    ],
)
def test_a_source_with_an_option_of_another_type_is_refused(entry: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("formula\nNaCl\n", encoding="utf-8")
    (problem,) = problems_of(tmp_path, "ionic_substitution: {limit: 1000, min_probability: 1e-3}", entry)
    assert problem.line == 3
    assert words in problem.message


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("{least: 2, most: 4}", "{most: [3]}", "write most: 3"),
        ("{least: 2, most: 4}", "{least: two}", 'is "two". Allowed: a whole number'),
        ("{least: 2, most: 4}", "{least: 5, most: 2}", "0 <= least <= most"),
        ("{least: 2, most: 4}", "{least: 1.5}", "is 1.5. Allowed: a whole number"),
        ("[Cd, Hg]", "[[Fe]]", "Allowed: text, or a list of texts"),
        ("element_count: {least: 2, most: 4}", "exclude_radioactive: true", "write 'exclude_radioactive' alone"),
        ("[magpie, density]", "[{magpie: {missing: foo}}]", "Allowed: impute, refuse"),
        ("[magpie, density]", "[{guarded: {featurizer: magpie, options: {missing: foo}}}]", "Allowed: impute, refuse"),
        ("[magpie, density]", "[{guarded: {featurizer: magpie, seconds: .nan}}]", "no finite number"),
        ("[magpie, density]", "[{radial_distribution: {bin_size: 1e-320}}]", "a whole number of bins"),
        ("[magpie, density]", "[magpie, {magpie: {missing: refuse}}]", "'magpie' stands here twice"),
        ("element_count: {least: 2, most: 4}", "exclude_elements: [Cd, Hg]", "'exclude_elements' stands here twice"),
        ("keep: 100", "keep: true", "a number is expected, and true is none"),
        ("size: 3", "size: true", "a number is expected, and true is none"),
        ("size: 3", "size: 3\n  diversity: true", "a number is expected, and true is none"),
        ("value: 50", "value: true", "a number is expected, and true is none"),
        ("name: example", "name: example\nseed: true", "a number is expected, and true is none"),
        ("name: example", "name: example\ncluster: {patience: true}", "a number is expected, and true is none"),
        ("name: example", "name: an example", "such as wide-gap_oxides, is expected (got 'an example')"),
        ("name: example", "name: example\ncluster: {memory: 4 gb}", "such as 4GB, is expected (got '4 gb')"),
        ("name: example", "name: example\ncluster: {walltime: a day}", "hours, minutes and seconds, such as"),
    ],
)
def test_what_a_campaign_may_not_hold_is_told_in_plain_words(old: str, new: str, words: str, tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, old, new)
    assert words in problem.message
    assert "^" not in problem.message


def test_every_problem_has_a_code_once(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, "size: 3", "size: true")
    assert str(problem.coded()) == "line 15, shortlist.size: E-CAMPAIGN: a number is expected, and true is none"
    assert problem.coded().coded() == problem.coded()


def test_a_table_without_the_column_is_found_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("name,gap\nNaCl,8.5\n", encoding="utf-8")
    table = f"table: {{path: '{tmp_path / 't.csv'}'}}"
    (problem,) = problems_of(tmp_path, "ionic_substitution: {limit: 1000, min_probability: 1e-3}", table)
    assert (problem.line, problem.where) == (3, "sources.0")
    assert "no column 'formula'. Allowed: its columns: 'name', 'gap'" in problem.message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("family: extra_trees", "family: [extra_trees, boosted_trees, gaussian_process, stack]\n  budget: 5m"),
        ("family: extra_trees", "budget: 90s"),
        ("family: extra_trees", "family: [extra_trees, stack]"),
        ("family: boosted_trees", "family: [boosted_trees, stack], probability: classifier"),
        ("value: 50,", "value: 50, probability: classifier,"),
    ],
)
def test_choices_and_classifiers_are_allowed(old: str, new: str, tmp_path: Path) -> None:
    assert problems_of(tmp_path, old, new) == []


def test_property_without_packaged_data(tmp_path: Path) -> None:
    line = '{property: refractive_index, goal: maximize, unit: "1", family: boosted_trees}'
    (problem,) = problems_of(tmp_path, line, "{property: seebeck_p, goal: maximize, unit: uV/K}")
    assert problem.where == "targets.1.property"
    assert "no packaged data to train a surrogate of 'seebeck_p' on" in problem.message


def test_all_problems_in_the_order_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "campaign.yaml"
    text = (
        GOOD.replace("magpie", "magpi")
        .replace("[Cd, Hg]", "[Xx]")
        .replace("meV/atom", "K")
        .replace("size: 3", "size: 300")
    )
    path.write_text(text, encoding="utf-8")
    _, problems = validate(path)
    assert [problem.line for problem in problems] == [5, 8, 11, 15]
    with pytest.raises(CampaignError, match=r"campaign.yaml has 4 problems: line 5, filters.0: ") as caught:
        checked_campaign(path)
    assert "matloop validate " in str(caught.value)
    assert "/campaign.yaml" in str(caught.value)


def test_form_comes_before_meaning(tmp_path: Path) -> None:
    path = tmp_path / "campaign.yaml"
    path.write_text(GOOD.replace("magpie", "magpi").replace("keep: 100", "kep: 100"), encoding="utf-8")
    text, problems = validate(path)
    assert text.campaign is None
    assert [problem.where for problem in problems] == ["surrogates.keep", "surrogates.kep"]


def test_missing_file(tmp_path: Path) -> None:
    text, (problem,) = validate(tmp_path / "gone.yaml")
    assert text.campaign is None
    assert "No such file" in problem.message
    with pytest.raises(CampaignError, match=r"E-CAMPAIGN: cannot read .*gone.yaml: No such file"):
        checked_campaign(tmp_path / "gone.yaml")


def test_validation_generates_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matloop.data.generators.ionic_substitution import IonicSubstitution

    def generate(self: IonicSubstitution) -> None:
        raise AssertionError("generated")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(IonicSubstitution, "count", generate)
    monkeypatch.setattr(IonicSubstitution, "intakes", generate)
    assert problems_of(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["campaign.yaml"]


TABLE = "ionic_substitution: {limit: 1000, min_probability: 1e-3}"


def with_formulas_alone(tmp_path: Path, *changes: tuple[str, str]) -> list[Problem]:
    (tmp_path / "t.csv").write_text("formula\nNaCl\n", encoding="utf-8")
    text = GOOD.replace(TABLE, "table: t.csv")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "campaign.yaml").write_text(text, encoding="utf-8")
    return validate(tmp_path / "campaign.yaml")[1]


def test_features_of_crystals_for_a_table_of_formulas_are_refused_before_the_run(tmp_path: Path) -> None:
    (problem,) = with_formulas_alone(tmp_path)
    assert (problem.line, problem.where) == (11, "surrogates.features.1")
    assert problem.message.startswith(
        "'density' needs crystals, and the source table gives formulas alone; leave it out"
    )
    assert with_formulas_alone(tmp_path, ("[magpie, density]", "[magpie]")) == []
    assert with_formulas_alone(tmp_path, ("- table: t.csv", "- table: t.csv\n  - embedded")) == []


def test_a_relaxation_of_formulas_alone_is_refused_before_the_run(tmp_path: Path) -> None:
    grid = "alloy_grid: {elements: [Ni, Fe], step: 0.5}"
    changes = (("table: t.csv", grid), ("[magpie, density]", "[magpie]"), ("shortlist:", "potential: {}\nshortlist:"))
    (problem,) = [problem for problem in with_formulas_alone(tmp_path, *changes) if problem.where == "potential"]
    assert "a relaxation needs crystals, and the source alloy_grid gives formulas alone" in problem.message


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("[pb]", "unknown element 'pb'. Allowed: one of 118 symbols such as Pb. To mend it: did you mean 'Pb'?"),
        ("[Lead]", "unknown element 'Lead'. Allowed: one of 118 symbols such as Pb. To mend it: did you mean 'Pb'?"),
        (
            "[Pb, pb, HG, Qq]",
            "unknown elements 'pb', 'HG', 'Qq'. Allowed: one of 118 symbols such as Pb. To mend it: write 'Pb'",
        ),
        ("[Qq]", "To mend it: write each element as its symbol."),
    ],
)
def test_all_bad_elements_are_named_with_what_was_meant(written: str, message: str, tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, "[Cd, Hg]", written)
    assert problem.line == 5
    assert message in problem.message


def test_quotes_of_another_keyboard_are_named_beside_the_problem(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, 'unit: "1"', "unit: “1”")
    assert "did you mean '1'? The line has a full-width '“' and '”'; write '\"' and '\"'" in problem.message.replace(
        "?.", "?"
    )
