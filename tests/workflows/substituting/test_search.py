"""A search for replacements end to end, with a small model: values, order, what is printed and written."""

import csv
import datetime as dt
import io
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from matloop.data.candidates.compositions import Compositions
from matloop.data.candidates.formula import parse_formulas
from matloop.data.element_facts.element_facts import ElementFacts
from matloop.data.errors import MatloopError, RunError, SubstitutionError, UnknownNameError
from matloop.data.training.packaged_tables import packaged_training_set
from matloop.workflows.substituting import search as searching
from matloop.workflows.substituting.known_values import known_metals, known_values, measured_values
from matloop.workflows.substituting.materials import materials_of
from matloop.workflows.substituting.phase_evidence import PhaseEvidence
from matloop.workflows.substituting.property_outlook import METAL
from matloop.workflows.substituting.search import Replacements, SubstitutionSearch, Wish, read_wish
from matloop.workflows.substituting.shown import print_replacements
from matloop.workflows.substituting.written import check_output, write_replacements
from matloop.workflows.train import campaign_of_packaged_table, train

TODAY = dt.date(2026, 12, 1)


def phases(compositions: Compositions, *, near_hull: float) -> list[PhaseEvidence]:
    """Nothing is known of any phase."""
    return [PhaseEvidence((), {}, 0.0, 0, 0.5, 0.5) for _ in range(len(compositions))]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of refractive indices of a few binary sulphides, selenides, tellurides and oxides."""
    every = packaged_training_set("refractive_index")
    wanted = np.flatnonzero(every.rows.compositions.lengths == 2)[:150]
    few = replace(
        every, name="few", rows=every.rows.take(wanted), values=every.values[wanted], groups=every.groups[wanted],
        weights=every.weights[wanted], noise=None,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("model") / "index"
    campaign = campaign_of_packaged_table("materials", property_name="refractive_index", features=["magpie"])
    train(campaign, output=folder, training_sets=[few], store=False, with_probability=False)
    return folder


@pytest.fixture(scope="module")
def wish(model: Path) -> Wish:
    wished = read_wish("Cd", keep=["refractive_index within 5%"], facts=ElementFacts(region="eu"))
    return replace(wished, models=(model,))


@pytest.fixture(scope="module")
def found(wish: Wish) -> Iterator[Replacements]:
    with pytest.MonkeyPatch.context() as patched, SubstitutionSearch(wish) as search:
        patched.setattr(searching, "phase_evidence", phases)
        yield search.replacements(materials_of("CdS")[0])


def test_known_values_count_and_others_are_predicted_with_intervals(found: Replacements) -> None:
    by_formula = {one.material.formula: one for one in found.found}
    zinc = by_formula["ZnS"].outlooks[0]
    assert zinc.value.known is not None
    assert zinc.kept == 1.0
    assert zinc.change == pytest.approx(zinc.value.known.value - found.material.values[0].best)
    assert zinc.change_low == pytest.approx(zinc.change_high)
    ytterbium = by_formula["YbS"].outlooks[0]
    assert ytterbium.value.known is None
    assert ytterbium.value.low < ytterbium.value.predicted < ytterbium.value.high
    assert ytterbium.change_low < ytterbium.change < ytterbium.change_high
    assert 0 <= ytterbium.kept < 1
    assert by_formula["CuS"].outlooks[0].value.code == METAL
    assert by_formula["CuS"].kept == 0.0


def test_harmful_elements_stand_behind_all_others(found: Replacements) -> None:
    harmful = [one.harmful for one in found.found]
    assert harmful == sorted(harmful)
    assert {one.material.formula for one in found.found if one.harmful} >= {"HgS", "PbS", "BeS"}
    assert found.found[0].material.formula == "ZnS"


def test_prices_change_by_what_is_exchanged_and_unknown_stays_unknown(found: Replacements) -> None:
    by_formula = {one.material.formula: one for one in found.found}
    assert by_formula["ZnS"].price_change == pytest.approx(3.285 * 0.06538 - 3.9 * 0.11241, abs=1e-3)
    assert math.isnan(by_formula["PtS"].price_change)
    assert by_formula["ZnS"].material.profile.scores["price_per_kilogram"].unknown == "S"


def test_left_out_formulas_have_no_known_value(wish: Wish, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "phase_evidence", phases)
    with SubstitutionSearch(replace(wish, by=("Zn",), left_out=("ZnS",))) as search:
        (zinc,) = search.replacements(materials_of("CdS")[0]).found
    assert zinc.outlooks[0].value.known is None
    assert zinc.outlooks[0].value.measured is None


@pytest.mark.parametrize(("lang", "said", "hidden"), [("en", "replacements", "替换"), ("zh", "已过期", "out of date")])
def test_it_is_printed_in_one_language(found: Replacements, lang: str, said: str, hidden: str) -> None:
    out = io.StringIO()
    print_replacements(found, Console(file=out, width=100), top=3, lang=lang, on=dt.date(2027, 8, 1))
    text = " ".join(out.getvalue().split())
    assert "ZnS" in text
    assert "0.193 → 0.131" in text
    assert said in text
    assert hidden not in text
    assert "HgS" not in text


def test_all_are_written_with_units_and_sources(found: Replacements, tmp_path: Path) -> None:
    write_replacements(tmp_path / "all.json", [found], on=TODAY)
    (record,) = json.loads((tmp_path / "all.json").read_text("utf-8"))["materials"]
    assert len(record["replacements"]) == len(found.found)
    first = record["replacements"][0]
    assert first["changes"]["refractive_index"]["unit"] == "1"
    assert first["properties"]["refractive_index"]["known"]["source"] == "Materials Project 2019"
    assert all(table["as_of"] and table["source"] for table in record["facts"])
    write_replacements(tmp_path / "all.csv", [found], on=TODAY)
    rows = list(csv.DictReader((tmp_path / "all.csv").read_text("utf-8-sig").splitlines()))
    assert [row["formula"] for row in rows] == [one.material.formula for one in found.found]
    assert {"price change (USD/mol)", "P(makeable)", "refractive_index low"} <= set(rows[0])


def test_what_cannot_begin_is_refused_with_a_code(tmp_path: Path) -> None:
    with pytest.raises(SubstitutionError, match="each property once"):
        read_wish("Cd", keep=["band_gap >= 1 eV", "band_gap within 5%"])
    with pytest.raises(UnknownNameError):
        read_wish("Cd", by=["Zn", "=cmd|' /C calc'!A0"])
    with pytest.raises(RunError, match=r"\.csv or \.json"):
        check_output(tmp_path / "all.txt")
    with pytest.raises(RunError, match="no folder"):
        check_output(tmp_path / "nowhere" / "all.csv")


@pytest.mark.parametrize(
    "name", ["", "Xx2", "<script>alert(1)</script>", "Cd" * 3000, "../../etc/passwd", "Cd\x1b[31mS", "a\0b"]
)
def test_hostile_names_are_no_materials(name: str) -> None:
    with pytest.raises(MatloopError) as refused:
        materials_of(name)
    assert "\x1b" not in str(refused.value)
    assert len(str(refused.value)) < 1000


def test_materials_of_a_file_are_each_taken_once(tmp_path: Path) -> None:
    table = tmp_path / "list.csv"
    table.write_text("formula\nCdS\nCd2S2\nnonsense!\nCdTe\n", "utf-8")
    assert [len(one) for one in materials_of(str(table))] == [1, 1]
    table.write_text("formula\nnonsense!\n", "utf-8")
    with pytest.raises(SubstitutionError, match="without a material"):
        materials_of(str(table))


def test_values_are_compared_within_one_provenance() -> None:
    compositions, _ = parse_formulas(["ZnS", "NaCl17", "LaS"])
    zinc, nothing, _ = known_values("refractive_index", compositions, about={"provenance": "dft:pbe"}, training=None)
    assert zinc is not None
    assert zinc.lowest <= zinc.value <= zinc.highest
    assert nothing is None
    assert known_values("refractive_index", compositions, about={"provenance": "exp"}, training=None)[0] is None
    measured = measured_values("refractive_index", compositions)[0]
    assert measured is not None
    assert measured.provenance == "exp"
    assert known_metals(compositions) == [False, False, True]
