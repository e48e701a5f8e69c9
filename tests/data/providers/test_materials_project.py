"""The client of the Materials Project, through mp-api itself, against its routes on this machine."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import ProviderError, ProviderKeyError, SnapshotError, UnknownNameError
from matloop.data.packaged.materials import load_materials
from matloop.data.providers import materials_project
from matloop.data.providers.materials_project import IMPLAUSIBLE, OTHER_FUNCTIONAL, OUTSIDE_WINDOW, MaterialsProject
from matloop.data.providers.polite_session import Patience, PoliteSession
from matloop.data.sources.snapshot import Snapshot
from matloop.workflows.commands.fetch import fetch
from tests.data.providers.materials_project_server import KEY, MaterialsProjectServer, documents
from tests.data.providers.scripted_server import Answer, Question

HASTY = Patience(attempts=3, first_wait=0.01, longest_wait=0.5, timeout=(5.0, 20.0))
CRYSTALS, SIZE = 130, 40


@pytest.fixture(scope="module")
def found() -> list[dict[str, Any]]:
    materials = load_materials()
    gaps, hulls = materials.column("band_gap_dft"), materials.column("energy_above_hull_dft")
    with_gap = np.flatnonzero(np.isfinite(gaps))[: CRYSTALS // 2]
    with_hull = np.setdiff1d(np.flatnonzero(np.isfinite(hulls)), with_gap)[: CRYSTALS - CRYSTALS // 2]
    return documents(materials.take(np.concatenate([with_gap, with_hull])))


@pytest.fixture
def server(found: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Iterator[MaterialsProjectServer]:
    monkeypatch.setenv("MP_API_KEY", KEY)
    monkeypatch.setattr(materials_project, "PAGE_SIZE", SIZE)
    with MaterialsProjectServer(found) as running:
        yield running


def client(server: MaterialsProjectServer, **settings: Any) -> MaterialsProject:
    return MaterialsProject(**{"thermo_type": "GGA_GGA+U", "endpoint": server.url, "patience": HASTY} | settings)


def batch_of(path: Path) -> CandidateBatch:
    (intake,) = Snapshot(str(path)).intakes(1000)
    assert not intake.refused
    return intake.batch


def test_snapshot_holds_crystals_and_properties_of_one_scheme(
    server: MaterialsProjectServer, found: list[dict[str, Any]], tmp_path: Path
) -> None:
    about = fetch(client(server), tmp_path / "s.parquet").provenance
    assert (about["rows"], about["refused"], about["version"]) == (CRYSTALS, {}, "2025.09.25")
    assert (about["thermo_type"], about["query"]["thermo_type"]) == ("GGA_GGA+U", "GGA_GGA+U")
    assert server.pages() == ["1", "2", "3", "4"]
    batch = batch_of(tmp_path / "s.parquet")
    assert batch.table["origin"].to_pylist() == [document["material_id"] for document in found]
    # The hull of the thermo type asked for, not the one of the summary.
    assert batch.table["energy_above_hull_dft"].to_pylist() == [document["hull"] for document in found]
    task_of = [document["origins"][0]["task_id"] for document in found]
    is_pbe = [d["run_types"][task] == "GGA+U" for d, task in zip(found, task_of, strict=True)]
    gaps = [d["band_gap"] if pbe else None for d, pbe in zip(found, is_pbe, strict=True)]
    assert batch.table["band_gap_dft"].to_pylist() == gaps
    left_out = sum(d["band_gap"] is not None and not pbe for d, pbe in zip(found, is_pbe, strict=True))
    assert about["notes"].get(OTHER_FUNCTIONAL) == left_out > 0
    assert set(batch.ids) <= set(load_materials().ids)
    field = pq.read_schema(tmp_path / "s.parquet").field("energy_above_hull_dft")
    assert field.metadata == {b"unit": b"eV/atom", b"method": b"GGA_GGA+U"}


def test_windows_and_elements(server: MaterialsProjectServer, found: list[dict[str, Any]], tmp_path: Path) -> None:
    windows = {"band_gap": (1.0, 3.0), "num_sites": (1, 20)}
    about = fetch(client(server, windows=windows), tmp_path / "a.parquet").provenance
    fitting = [d for d in found if d["band_gap"] is not None and 1 <= d["band_gap"] <= 3 and d["nsites"] <= 20]
    assert about["rows"] == len(fitting) > 0
    about = fetch(client(server, windows={"energy_above_hull": (None, 0.001)}), tmp_path / "b.parquet").provenance
    low = [d["material_id"] for d in found if d["hull"] is not None and d["hull"] <= 0.001]
    assert batch_of(tmp_path / "b.parquet").table["origin"].to_pylist() == low
    assert about["notes"][OUTSIDE_WINDOW] == CRYSTALS - len(low)
    about = fetch(client(server, elements=["O"]), tmp_path / "c.parquet").provenance
    assert about["rows"] == sum("O" in d["elements"] for d in found) > 0
    system = "-".join(sorted(next(d["elements"] for d in found if len(d["elements"]) == 2)))
    fetch(client(server, chemical_systems=["-".join(reversed(system.split("-")))]), tmp_path / "d.parquet")
    assert {q.parameters.get("chemsys") for q in server.asked} == {None, system}


def test_energies_of_another_scheme_have_columns_of_their_own(server: MaterialsProjectServer, tmp_path: Path) -> None:
    fetch(client(server, thermo_type="R2SCAN"), tmp_path / "s.parquet")
    columns = batch_of(tmp_path / "s.parquet").table.column_names
    assert "energy_above_hull_r2scan_dft" in columns
    assert "energy_above_hull_dft" not in columns
    assert {q.parameters["thermo_types"] for q in server.asked if "thermo" in q.path} == {"r2SCAN"}
    server.trouble = lambda q: (
        Answer({"data": [{"material_id": "mp-1", "thermo_type": "R2SCAN"}]}) if "thermo" in q.path else None
    )
    with pytest.raises(ProviderError, match="sent energies of thermo type R2SCAN"):
        fetch(client(server), tmp_path / "t.parquet")


@pytest.mark.parametrize(
    "answer",
    [
        Answer({}, 429, {"Retry-After": "0"}),
        Answer({}, 504),
        Answer(drop=True),
        Answer({"data": []}, cut=5),
        Answer({"data": []}, cut=5, announced=True),
    ],
)
@pytest.mark.parametrize("route", ["/heartbeat", "/materials/summary/", "/materials/thermo/", "/materials/core/"])
def test_passing_trouble_is_waited_out(
    route: str, answer: Answer, server: MaterialsProjectServer, tmp_path: Path
) -> None:
    left = [2]

    def trouble(question: Question) -> Answer | None:
        left[0] -= question.path == route
        return answer if question.path == route and left[0] >= 0 else None

    server.trouble = trouble
    about = fetch(client(server, windows={"num_sites": (1, 4)}), tmp_path / "s.parquet").provenance
    assert about["rows"] > 0
    assert left[0] < 0


def test_a_broken_fetch_goes_on_where_it_was(server: MaterialsProjectServer, tmp_path: Path) -> None:
    whole = fetch(client(server), tmp_path / "whole.parquet").provenance
    before = len(server.pages())
    server.trouble = lambda question: Answer(drop=True) if question.parameters.get("_page") == "3" else None
    with pytest.raises(ProviderError, match=r"did not answer .* 3 times in a row"):
        fetch(client(server), tmp_path / "parted.parquet")
    server.trouble = lambda question: None
    parted = fetch(client(server), tmp_path / "parted.parquet").provenance
    assert server.pages()[before:] == ["1", "2", "3", "3", "3", "3", "4"]
    assert parted["sha256"] == whole["sha256"]
    asked = len(server.asked)
    assert fetch(client(server), tmp_path / "parted.parquet").was_there
    assert len(server.asked) == asked


def test_a_release_in_the_midst_of_a_fetch_is_seen(server: MaterialsProjectServer, tmp_path: Path) -> None:
    server.trouble = lambda question: Answer(drop=True) if question.parameters.get("_page") == "2" else None
    with pytest.raises(ProviderError):
        fetch(client(server), tmp_path / "s.parquet")
    server.trouble, server.version = lambda question: None, "2025.10.30"
    with pytest.raises(SnapshotError, match=r"was '2025\.09\.25' .* '2025\.10\.30' now"):
        fetch(client(server), tmp_path / "s.parquet")


def test_bad_entries_are_rows_and_implausible_values_are_left_out(
    server: MaterialsProjectServer, found: list[dict[str, Any]], tmp_path: Path
) -> None:
    odd = [dict(document) for document in found[:4]]
    odd[0]["structure"] = None
    odd[1]["structure"] = {"lattice": {"matrix": [[1, 0, 0]]}, "sites": [], "@module": "os", "@class": "system"}
    odd[2]["bulk_modulus"] = {"vrh": -1e9}
    server.documents = odd
    about = fetch(client(server), tmp_path / "s.parquet").provenance
    assert about["refused"] == {"E-FILE-FORMAT": 1, "E-FILE-SYNTAX": 1}
    assert about["notes"][IMPLAUSIBLE] == 1
    assert about["rows"] == 4


@pytest.mark.parametrize(
    "answer", [Answer({"data": 3, "meta": {}}), Answer([1]), Answer({"data": [3]}), Answer({"detail": "no"}, 422)]
)
def test_nonsense_is_an_error(answer: Answer, server: MaterialsProjectServer, tmp_path: Path) -> None:
    server.trouble = lambda question: answer if "summary" in question.path else None
    with pytest.raises(ProviderError):
        fetch(client(server), tmp_path / "s.parquet")


def test_a_refused_or_missing_key_says_how_to_set_it(
    server: MaterialsProjectServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stranger = "z" * 32
    monkeypatch.setenv("MP_API_KEY", stranger)
    with pytest.raises(
        ProviderKeyError, match=r"refuses access \(403\): unknown key \(key\).*export MP_API_KEY"
    ) as caught:
        fetch(client(server), tmp_path / "s.parquet")
    assert stranger not in str(caught.value)
    monkeypatch.delenv("MP_API_KEY")
    with pytest.raises(ProviderKeyError, match="MP_API_KEY is not set"):
        fetch(client(server), tmp_path / "s.parquet")
    monkeypatch.setenv("MP_API_KEY", "short\nkey")
    with pytest.raises(ProviderKeyError, match="holds 9 characters"):
        fetch(client(server), tmp_path / "s.parquet")


def test_without_mp_api_the_extra_is_named(server: MaterialsProjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("mp_api")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mp_api", None)
    with pytest.raises(ProviderError, match=r"mp-api is not installed .* install .*\[mp\]"):
        client(server).connect(print)


def test_the_key_is_written_nowhere(
    server: MaterialsProjectServer, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = Answer({"detail": f"key {KEY} is tired"}, 500)
    server.trouble = lambda question: echo if question.parameters.get("_page") == "3" else None
    provider = client(server)
    with pytest.raises(ProviderError, match=r"key \(key\) is tired") as caught:
        fetch(provider, tmp_path / "s.parquet")
    assert (tmp_path / "s.parquet.parts").is_dir()
    texts = [
        repr(provider),
        repr(vars(provider)),
        str(caught.value),
        repr(caught.value),
        str(caught.getrepr(chain=True)),
    ]
    in_parts = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    server.trouble = lambda question: None
    fetch(provider, tmp_path / "s.parquet")
    written = in_parts + [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) >= 4
    captured = capfd.readouterr()
    for text in [*texts, captured.out, captured.err, caplog.text]:
        assert KEY not in text
    assert not [content for content in written if KEY.encode() in content]


def test_the_key_goes_to_its_host_alone(server: MaterialsProjectServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProviderError, match="unencrypted"):
        client(server, endpoint="http://example.org").connect(print)
    with MaterialsProjectServer([]) as other:
        server.trouble = lambda question: Answer({}, 302, {"Location": other.url + question.path})
        with pytest.raises(ProviderError, match="a link from"):
            client(server).connect(print)
        assert not other.asked
    with pytest.raises(TypeError, match="not to be written"):
        PoliteSession(server.url, patience=HASTY, key=KEY).__getstate__()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"thermo_type": "GGA"}, "unknown thermo type 'GGA'"),
        ({"thermo_type": "R2SCAN", "elements": ["Xx"]}, "unknown element 'Xx'"),
        ({"thermo_type": "R2SCAN", "chemical_systems": ["Ti-Ox"]}, "unknown element 'Ox'"),
        ({"thermo_type": "R2SCAN", "windows": {"bandgap": (0, 1)}}, "did you mean 'band_gap'"),
    ],
)
def test_queries_that_make_no_sense(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        MaterialsProject(**settings)
    with pytest.raises(TypeError, match="thermo_type"):
        MaterialsProject()  # type: ignore[call-arg]
