import os
from pathlib import Path
from typing import Any

import pytest

from matloop.data.errors import CampaignError
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.campaign.source_paths import absolute_path, with_absolute_paths

REST: dict[str, Any] = {
    "name": "paths",
    "targets": [{"property": "band_gap", "goal": "maximize", "unit": "eV"}],
    "surrogates": {"features": ["stoichiometry"], "keep": 10},
    "shortlist": {"size": 2},
}


def sources_of(*written: Any) -> list[Any]:
    campaign = with_absolute_paths(Campaign.model_validate({**REST, "sources": written}), "/data/campaigns")
    return campaign.model_dump(mode="json")["sources"]


def test_every_way_to_write_a_path() -> None:
    assert sources_of({"table": "a.csv"}, {"table": {"path": "../b.csv", "id_column": "id"}}) == [
        {"table": "/data/campaigns/a.csv"},
        {"table": {"path": "/data/b.csv", "id_column": "id"}},
    ]
    assert sources_of({"structure_files": "cifs/**/*.cif"}) == [{"structure_files": "/data/campaigns/cifs/**/*.cif"}]
    absolute = [{"snapshot": {"path": "/elsewhere/s.parquet"}}]
    assert sources_of(*absolute) == absolute
    assert sources_of({"ase_database": {"path": "my.db"}}) == [{"ase_database": {"path": "/data/campaigns/my.db"}}]


def test_a_folder_whose_name_is_no_utf8_is_refused() -> None:
    with pytest.raises(CampaignError, match=r"/data/\\xc2\\xc8/in has a folder whose name is no UTF-8"):
        absolute_path("in", os.fsdecode(b"/data/\xc2\xc8"))
    assert absolute_path("材料/*.cif", "/data") == "/data/材料/*.cif"


def test_what_is_no_path_stays() -> None:
    written = [{"ionic_substitution": {"limit": 10}}, "embedded", {"no_such_source": {"path": "a.csv"}}, {"table": ""}]
    assert sources_of(*written) == written


def test_home_is_put_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert absolute_path("~/a.csv", "/data") == "/home/someone/a.csv"


def test_paths_of_reference_phases_and_of_the_cluster() -> None:
    changes = {
        "sources": ["embedded"],
        "potential": {
            "references": [{"structure_files": "phases"}],
            "second": {"name": "ase", "calculator": "a:b", "weights": "w.model"},
        },
        "cluster": {"kind": "existing", "scheduler_file": "here.json"},
    }
    campaign = with_absolute_paths(Campaign.model_validate({**REST, **changes}), Path("/data"))
    assert campaign.potential is not None
    assert campaign.potential.references[0].argument == "/data/phases"
    assert campaign.potential.second is not None
    assert campaign.potential.second.weights == "/data/w.model"
    assert campaign.cluster.scheduler_file == "/data/here.json"
    assert campaign.cluster.ca_file is None


def test_rows_of_own_facts_stand_in_place_of_their_file(tmp_path: Path) -> None:
    lines = ("fact,element,value,date,source,currency", "element_prices,Co,30,2026-10-01,quote,USD")
    (tmp_path / "own.csv").write_text("\n".join(lines), encoding="utf-8")
    filters = [
        {"condition": {"text": "recycled", "facts": "own.csv"}},
        {"condition": {"text": "recycled", "facts": "no.csv"}},
    ]
    read, missing = with_absolute_paths(
        Campaign.model_validate({**REST, "sources": ["embedded"], "filters": filters}), tmp_path
    ).filters
    (row,) = read.options["facts"]
    assert (row["fact"], row["element"], row["value"], row["source"]) == (
        "element_prices",
        "Co",
        30,
        "quote, 2026-10-01",
    )
    assert missing.options["facts"] == str(tmp_path / "no.csv")  # whoever makes the filter says that it is not there
    assert with_absolute_paths(
        Campaign.model_validate({**REST, "sources": ["embedded"], "filters": filters[:1]}), tmp_path
    ).filters == (read,)
