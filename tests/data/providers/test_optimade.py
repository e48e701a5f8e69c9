"""The OPTIMADE client against the reference server, and against a server that misbehaves."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import ProviderError, ProviderKeyError, SnapshotError
from matloop.data.packaged.materials import load_materials
from matloop.data.providers import optimade, polite_session, snapshot_writer
from matloop.data.providers.optimade import RESPONSE_FIELDS, Optimade
from matloop.data.providers.polite_session import Patience
from matloop.data.sources.snapshot import Snapshot
from matloop.workflows.commands.fetch import fetch
from tests.data.providers.optimade_servers import ReferenceServer, entries_of, write_entries
from tests.data.providers.scripted_server import Answer, Question, ScriptedServer

HASTY = Patience(attempts=3, first_wait=0.01, longest_wait=0.5, timeout=(5.0, 20.0))
CRYSTALS = 500


@pytest.fixture(scope="module")
def batch() -> CandidateBatch:
    return load_materials().take(np.arange(0, 6000, 6000 // CRYSTALS)[:CRYSTALS])


@pytest.fixture(scope="module")
def reference(batch: CandidateBatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReferenceServer]:
    folder = tmp_path_factory.mktemp("optimade")
    write_entries(folder / "entries.jsonl", entries_of(batch))
    server = ReferenceServer(folder / "entries.jsonl", folder)
    yield server
    server.close()


def client(url: str, filter_: str = "", **settings: Any) -> Optimade:
    return Optimade(url, filter_, patience=HASTY, **settings)


def test_snapshot_holds_the_crystals_served_and_a_broken_fetch_asks_only_for_the_rest(
    reference: ReferenceServer, batch: CandidateBatch, tmp_path: Path
) -> None:
    with reference.running():
        whole = fetch(client(reference.url), tmp_path / "whole.parquet").provenance
        pages = reference.requests()
        few = fetch(client(reference.url + "/v1", 'elements HAS "Ti" AND nelements=2'), tmp_path / "few.parquet")
        with pytest.raises(ProviderError, match=r"E-PROVIDER: 127\.0\.0\.1 answered 400: .*[Ff]ilter"):
            fetch(client(reference.url, "elements HAS HAS"), tmp_path / "none.parquet")
    assert len(pages) == CRYSTALS / 100
    assert "response_fields=" + "%2C".join(RESPONSE_FIELDS) in pages[0]
    assert (whole["rows"], whole["refused"]) == (CRYSTALS, {})
    served = dict(zip(batch.table["material_id"].to_pylist(), batch.ids, strict=True))
    (intake,) = Snapshot(str(tmp_path / "whole.parquet")).intakes(1000)
    origins = intake.batch.table["origin"].to_pylist()
    assert {origin.removeprefix("exmpl/"): key for origin, key in zip(origins, intake.batch.ids, strict=True)} == served
    symbols = [set(batch.structure(row).composition.get_el_amt_dict()) for row in range(len(batch))]
    assert few.provenance["rows"] == sum("Ti" in found and len(found) == 2 for found in symbols) > 0

    before = len(reference.requests())
    with reference.running(pages=2), pytest.raises(ProviderError, match="did not answer"):
        fetch(client(reference.url), tmp_path / "parted.parquet")
    assert not (tmp_path / "parted.parquet").exists()
    with reference.running():
        parted = fetch(client(reference.url), tmp_path / "parted.parquet").provenance
        asked = reference.requests()[before:]
        again = fetch(client(reference.url), tmp_path / "parted.parquet")
        assert again.was_there
        assert len(reference.requests()) == before + len(asked)
        with pytest.raises(SnapshotError, match="the snapshot of another query"):
            fetch(client(reference.url, "nelements=2"), tmp_path / "parted.parquet")
    assert len(asked) == len(set(asked)) == len(pages)  # no page twice
    assert parted["sha256"] == whole["sha256"]
    assert {path.name for path in tmp_path.iterdir()} == {"whole.parquet", "few.parquet", "parted.parquet"}


# A provider of three entries on three pages, and what may go wrong with it.


def salt(name: str, **changes: Any) -> dict[str, Any]:
    attributes = {
        "chemical_formula_reduced": "ClCs",
        "lattice_vectors": [[4.1, 0, 0], [0, 4.1, 0], [0, 0, 4.1]],
        "cartesian_site_positions": [[0, 0, 0], [2.05, 2.05, 2.05]],
        "species": [{"name": s, "chemical_symbols": [s], "concentration": [1.0]} for s in ("Cs", "Cl")],
        "species_at_sites": ["Cs", "Cl"],
        "dimension_types": [1, 1, 1],
        "structure_features": [],
    }
    return {"id": name, "type": "structures", "attributes": attributes | changes}


ENTRIES = [salt("a"), salt("b"), salt("c")]
PROVIDER = {"prefix": "odbx", "name": "A provider"}


def honest(question: Question) -> Answer:
    if question.path == "/versions":
        return Answer(b"version\n1\n0\n", headers={"Content-Type": "text/csv"})
    meta = {"provider": PROVIDER, "data_returned": len(ENTRIES), "api_version": "1.2.0"}
    if question.path == "/v1/info":
        about = {"api_version": "1.2.0", "available_licenses": ["CC-BY-4.0"], "license": {"href": "https://l.org"}}
        return Answer({"data": {"attributes": about}, "meta": meta})
    number = int(question.parameters.get("page_number", 1))
    following = f"/v1/structures?page_number={number + 1}" if number < len(ENTRIES) else None
    return Answer({"data": [ENTRIES[number - 1]], "meta": meta, "links": {"next": following}})


Trouble = Callable[[Question], Answer | None]


def server_with(trouble: Trouble, *, times: int = 1000) -> ScriptedServer:
    """Honest, except where and as often as ``trouble`` gives an answer."""
    left = [times]

    def reply(question: Question) -> Answer:
        answer = trouble(question) if left[0] else None
        left[0] -= answer is not None
        return answer or honest(question)

    return ScriptedServer(reply)


def on_page_two(answer: Answer) -> Trouble:
    return lambda question: answer if question.parameters.get("page_number") == "2" else None


@pytest.mark.parametrize(
    "answer",
    [
        Answer({}, 429, {"Retry-After": "0"}),
        Answer({}, 503),
        Answer({}, 504),
        Answer(drop=True),
        Answer({"data": [ENTRIES[1]]}, cut=30),
        Answer({"data": [ENTRIES[1]]}, cut=30, announced=True),
        Answer(b'{"data": [NaN]}'),
    ],
)
def test_passing_trouble_is_waited_out(answer: Answer, tmp_path: Path) -> None:
    with server_with(on_page_two(answer), times=2) as server:
        about = fetch(client(server.url), tmp_path / "s.parquet").provenance
    assert about["rows"] == 3
    assert [question.parameters.get("page_number") for question in server.asked[2:]] == [None, "2", "2", "2", "3"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer({}, 429), "answered 429, 3 times in a row"),
        (Answer({}, 503, {"Retry-After": "3600"}), "asks to wait 3600 s"),
        (Answer(drop=True), r"did not answer \(ConnectionError\), 3 times"),
        (Answer({"data": []}, cut=5), "sent JSON that cannot be read"),
        (Answer(b"[" * 100_000), "sent JSON that cannot be read"),
        (Answer([1, 2]), "JSON that is no object"),
        (Answer({"data": {}}), "without a list of entries"),
        (Answer({"data": [], "meta": {"more_data_available": True}}), "more entries but no link"),
        (Answer({"data": [], "links": {"next": "?page_number=2"}}), "lead in a circle"),
        (Answer({"data": [], "links": {"next": "http://127.0.0.1:9/v1/structures"}}), "a link from 127.0.0.1 to"),
        (Answer({"data": [], "links": {"next": {"href": "http://169.254.169.254/"}}}), "a link from 127.0.0.1 to"),
        (Answer({"data": [], "links": {"next": "file:///etc/passwd"}}), "the address file:///etc/passwd"),
        (Answer({"data": [], "links": {"next": ["x"]}}), "a link that is no address"),
        (Answer({}, 302, {"Location": "http://localhost:9/"}), "a link from 127.0.0.1 to"),
        (Answer({}, 302, {"Location": "?page_number=2"}), "redirects without end"),
        (Answer({"errors": [{"detail": "no\x1b[31m such\nfilter"}]}, 400), r"answered 400: no\?\[31m such filter"),
    ],
)
def test_lasting_trouble_is_an_error_and_what_came_is_kept(answer: Answer, message: str, tmp_path: Path) -> None:
    target = tmp_path / "s.parquet"
    with server_with(on_page_two(answer)) as server:
        with pytest.raises(ProviderError, match=message):
            fetch(client(server.url), target)
        server.reply = honest
        before = len(server.asked)
        assert fetch(client(server.url), target).provenance["rows"] == 3
        assert "page_number" not in str(server.asked[before].parameters)
        assert [question.parameters.get("page_number") for question in server.asked[before + 2 :]] == ["2", "3"]


def test_retry_after_is_honoured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    waits: list[float] = []
    monkeypatch.setattr(polite_session.time, "sleep", waits.append)
    with server_with(on_page_two(Answer({}, 429, {"Retry-After": "0.3"})), times=1) as server:
        fetch(client(server.url), tmp_path / "a.parquet")
    assert len(waits) == 1
    assert 0 < waits[0] <= 0.01  # not a whole number of seconds, so our own wait
    with server_with(on_page_two(Answer({}, 429, {"Retry-After": "2"})), times=2) as server:
        patient = Optimade(server.url, patience=Patience(attempts=3, first_wait=0.01, longest_wait=5.0))
        fetch(patient, tmp_path / "b.parquet")
    assert waits[1:] == [2.0, 2.0]


def test_answers_have_a_limit_of_size(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(polite_session, "LARGEST_ANSWER", 100_000)
    with server_with(on_page_two(Answer({"data": ["x" * 200_000]}))) as server, pytest.raises(ProviderError) as caught:
        fetch(client(server.url), tmp_path / "s.parquet")
    assert "too large or too slow" in str(caught.value)


def test_entries_that_cannot_be_read_are_rows_with_a_code(tmp_path: Path) -> None:
    chlorine = ENTRIES[0]["attributes"]["species"][1]
    half = [{"name": "Cs", "chemical_symbols": ["Cs", "K"], "concentration": [0.5, 0.5]}, chlorine]
    odd: list[Any] = [
        salt("a"),
        salt("a"),  # the pages moved while they were read
        salt("mixed", species=half, chemical_formula_reduced="Cl2CsK"),
        salt("molecule", lattice_vectors=None),
        salt("flat", lattice_vectors=[[4, 0, 0], [0, 4, 0], [0, 0, 0]]),
        salt("many", cartesian_site_positions=[[0, 0, 0]] * 600, species_at_sites=["Cs"] * 600),
        salt("hidden", structure_features=["implicit_atoms"]),
        salt("code", species=[{"@module": "os", "@class": "system", "name": "x"}]),
        salt("../../etc/\x1b[2Jpasswd"),
        {"type": "structures"},
        17,
    ]
    page = Answer({"data": odd, "meta": {"provider": PROVIDER}})
    with server_with(lambda q: page if q.path.endswith("/structures") else None) as server:
        about = fetch(client(server.url), tmp_path / "s.parquet").provenance
        mixed = fetch(client(server.url, disorder="composition_only"), tmp_path / "m.parquet").provenance
    assert about["refused"] == {
        "E-FILE-FORMAT": 2, "E-FILE-SYNTAX": 1, "E-STRUCT-CELL": 1, "E-STRUCT-DISORDER": 1, "E-STRUCT-FORMULA": 1,
        "E-STRUCT-NOCELL": 1, "E-STRUCT-SIZE": 1,
    }  # fmt: skip
    assert about["notes"] == {"repeated entries left out": 1}
    assert about["rows"] == len(odd) - 1 == mixed["rows"]
    assert "E-STRUCT-DISORDER" not in mixed["refused"]
    (intake,) = Snapshot(str(tmp_path / "m.parquet")).intakes(100)
    assert intake.batch.table["origin"].to_pylist() == ["odbx/a", "odbx/mixed", "odbx/../../etc/?[2Jpasswd"]
    assert intake.batch.formulas == ["CsCl", "CsKCl2", "CsCl"]
    assert intake.batch.has_crystal.tolist() == [True, False, True]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.parquet", "s.parquet"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://example.org", "an http or https address"),
        ("file:///etc/passwd", "an http or https address"),
        ("https://user:secret@example.org", "a name or password"),
        ("https://example.org:port", "the address"),
        ("https://", "an http or https address"),
    ],
)
def test_addresses_that_are_none(url: str, message: str) -> None:
    with pytest.raises(ProviderError, match=message) as caught:
        client(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("versions", "status", "fine"),
    [(b"version\n1\n", 200, True), (b"version\n2\n", 200, False), (b"", 404, True), (b"<html>", 200, False)],
)
def test_version_is_negotiated(versions: bytes, status: int, fine: bool, tmp_path: Path) -> None:
    answer = Answer(versions, status, {"Content-Type": "text/csv"})
    with server_with(lambda question: answer if question.path == "/versions" else None) as server:
        if fine:
            assert fetch(client(server.url), tmp_path / "s.parquet").provenance["base_url"].endswith("/v1")
        else:
            with pytest.raises(ProviderError, match="serves the versions"):
                fetch(client(server.url), tmp_path / "s.parquet")
        with pytest.raises(ProviderError, match="OPTIMADE version 2"):
            fetch(client(server.url + "/v2"), tmp_path / "t.parquet")


def test_pages_of_two_versions_are_not_mixed(tmp_path: Path) -> None:
    version = ["2024.1"]

    def dated(question: Question) -> Answer:
        answer = honest(question)
        if isinstance(answer.content, dict):
            answer.content["meta"]["database"] = {"version": version[0]}
            if question.parameters.get("page_number") == "2":
                version[0] = "2024.2"
        return answer

    with ScriptedServer(dated) as server, pytest.raises(SnapshotError, match=r"was '2024\.1' .* is '2024\.2' now"):
        fetch(client(server.url), tmp_path / "s.parquet")


def test_pages_of_another_query_are_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "s.parquet"
    with server_with(on_page_two(Answer({}, 404))) as server:
        with pytest.raises(ProviderError, match="answered 404"):
            fetch(client(server.url), target)
        with pytest.raises(SnapshotError, match="pages of another query"):
            fetch(client(server.url, "nelements=2"), target)
        (tmp_path / "s.parquet.parts" / "page-000000.parquet").write_bytes(b"PAR1")  # the disk was full
        server.reply = honest
        assert fetch(client(server.url), target).provenance["rows"] == 3


def test_closed_and_empty_databases(tmp_path: Path) -> None:
    closed = Answer({"detail": "members only"}, 403)
    refusal = r"refuses access \(403\): members only"
    with server_with(lambda question: closed) as server, pytest.raises(ProviderKeyError, match=refusal):
        fetch(client(server.url), tmp_path / "s.parquet")
    empty = Answer({"data": [], "meta": {"data_returned": 0}})
    server = server_with(lambda question: empty if question.path.endswith("/structures") else None)
    with server, pytest.raises(SnapshotError, match="no entry that fits the query"):
        fetch(client(server.url), tmp_path / "s.parquet")
    assert not (tmp_path / "s.parquet").exists()


def test_provenance_is_in_the_file(tmp_path: Path) -> None:
    with ScriptedServer(honest) as server:
        fetch(client(server.url, "nelements=2"), tmp_path / "s.parquet")
    about = json.loads(pq.read_schema(tmp_path / "s.parquet").metadata[b"matloop_snapshot"])
    assert about["provider"] == "A provider"
    assert about["query"]["filter"] == "nelements=2"
    assert about["licence"] == "CC-BY-4.0, https://l.org"


# Providers that announce one thing and deliver another.


def paged(entries: list[Any], size: int, **meta: Any) -> Callable[[Question], Answer]:
    """A provider with pages of that size, whose links name nothing but the place."""

    def reply(question: Question) -> Answer:
        if not question.path.endswith("/structures"):
            return honest(question)
        start = int(question.parameters.get("page_offset", 0))
        following = f"?page_offset={start + size}" if start + size < len(entries) else None
        about = {"provider": PROVIDER, "data_returned": len(entries)} | meta
        return Answer({"data": entries[start : start + size], "meta": about, "links": {"next": following}})

    return reply


MANY = [salt(f"n{number}") for number in range(25)]


def refusal_of(reply: Callable[[Question], Answer], tmp_path: Path) -> tuple[str, ScriptedServer]:
    server = ScriptedServer(reply)
    with server, pytest.raises(ProviderError) as caught:
        fetch(client(server.url, "nelements=2"), tmp_path / "s.parquet")
    assert not (tmp_path / "s.parquet").exists()
    return str(caught.value), server


@pytest.mark.parametrize("announced", [26, "26", 2_000])
def test_r24_fewer_entries_than_announced_stop_the_fetch(announced: Any, tmp_path: Path) -> None:
    message, _ = refusal_of(paged(MANY, 10, data_returned=announced), tmp_path)
    assert f"announced {int(announced):,} entries and sent 25" in message
    assert "s.parquet.parts" in message


def test_r24_a_link_under_another_name_is_a_shortfall(tmp_path: Path) -> None:
    def reply(question: Question) -> Answer:
        answer = paged(MANY, 10)(question)
        if question.path.endswith("/structures"):
            answer.content["links"] = {"next_page": answer.content["links"]["next"]}
        return answer

    assert "announced 25 entries and sent 10" in refusal_of(reply, tmp_path)[0]


@pytest.mark.parametrize("status", [400, 403, 422])
@pytest.mark.parametrize(
    "text",
    ["page_limit must be <= 20", "[Forbidden] Max allowed page_limit is 20, you requested {}", "page limit too big"],
)
def test_a_refused_page_size_is_made_smaller(status: int, text: str, tmp_path: Path) -> None:
    def reply(question: Question) -> Answer:
        limit = int(question.parameters.get("page_limit", 1))
        if limit > 20:
            return Answer({"errors": [{"detail": text.format(limit)}]}, status)
        return paged(MANY, limit)(question)

    with ScriptedServer(reply) as server:
        assert fetch(client(server.url), tmp_path / "s.parquet").provenance["rows"] == 25


def test_other_refusals_are_not_asked_again(tmp_path: Path) -> None:
    def reply(question: Question) -> Answer:
        is_query = question.path.endswith("/structures")
        return Answer({"detail": "no such filter"}, 400) if is_query else honest(question)

    _, server = refusal_of(reply, tmp_path)
    assert len(server.asked) == 3


def test_fields_and_filter_are_put_back_into_a_link_that_lost_them(tmp_path: Path) -> None:
    def reply(question: Question) -> Answer:
        answer = paged(MANY, 10)(question)
        if "response_fields" not in question.parameters and question.path.endswith("/structures"):
            answer.content["data"] = [{"id": entry["id"], "attributes": {"a": 1}} for entry in answer.content["data"]]
        return answer

    with ScriptedServer(reply) as server:
        about = fetch(client(server.url, "nelements=2"), tmp_path / "s.parquet").provenance
    assert (about["rows"], about["refused"]) == (25, {})
    pages = [question.parameters for question in server.asked if question.path.endswith("/structures")]
    assert [page["filter"] for page in pages] == ["nelements=2"] * 3
    assert [page.get("page_offset") for page in pages] == [None, "10", "20"]


def endless(question: Question, entries: Callable[[int], list[Any]], **meta: Any) -> Answer:
    if not question.path.endswith("/structures"):
        return honest(question)
    number = int(question.parameters.get("page", 0))
    assert number < 50, "the pages are followed without end"
    about = {"provider": PROVIDER} | meta
    return Answer({"data": entries(number), "meta": about, "links": {"next": f"?page={number + 1}"}})


def test_s23_pages_without_new_entries_end(tmp_path: Path) -> None:
    for number, same in enumerate(([], MANY[:10])):
        folder = tmp_path / str(number)
        folder.mkdir()
        message, server = refusal_of(lambda question, same=same: endless(question, lambda _: same), folder)  # type: ignore[misc]
        assert "3 pages in a row without a new entry" in message
        assert len(server.asked) < 8


def test_s23_entries_beyond_the_announced_total_end(tmp_path: Path) -> None:
    fresh = lambda number: [salt(f"{number}-{n}") for n in range(10)]  # noqa: E731
    message, _ = refusal_of(lambda question: endless(question, fresh, data_returned=25), tmp_path)
    assert "sent 30 entries, and announced 25" in message


def test_s23_endless_new_entries_end_where_no_total_is_announced(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(snapshot_writer, "MOST_ROWS", 95)
    fresh = lambda number: [salt(f"{number}-{n}") for n in range(10)]  # noqa: E731
    assert "sent 100 entries" in refusal_of(lambda question: endless(question, fresh), tmp_path)[0]


def test_s23_a_page_has_a_limit_of_entries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(optimade, "MOST_ENTRIES", 20)
    assert "a page of 25 entries where 100 were asked for" in refusal_of(paged(MANY, 25), tmp_path)[0]


def test_a_taken_up_fetch_knows_what_came_before(tmp_path: Path) -> None:
    short = paged(MANY, 10, data_returned=30)
    stops = [True]

    def reply(question: Question) -> Answer:
        is_cut = stops[0] and question.parameters.get("page_offset") == "20"
        return Answer({}, 404) if is_cut else short(question)

    with ScriptedServer(reply) as server:
        for message in ("404", "announced 30 entries and sent 25", "announced 30 entries and sent 25"):
            with pytest.raises(ProviderError, match=message):
                fetch(client(server.url), tmp_path / "s.parquet")
            stops[0] = False


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"dimension_types": None, "nperiodic_dimensions": 2}, "E-STRUCT-NOCELL"),
        ({"dimension_types": [1, 1, 0], "nperiodic_dimensions": 3}, "E-STRUCT-NOCELL"),
        ({"dimension_types": [1, 1]}, "E-STRUCT-NOCELL"),
        ({"species": None, "species_at_sites": ["CS1", "CL1"]}, "E-STRUCT-SYMBOLS"),
        ({"species": []}, ""),
        ({"species_at_sites": ["Cs", "Na1"]}, "E-STRUCT-SYMBOLS"),
        ({"chemical_formula_reduced": "Cl2Cs"}, "E-STRUCT-FORMULA"),
        ({"chemical_formula_reduced": "ClRb"}, "E-STRUCT-FORMULA"),
        ({"chemical_formula_reduced": None}, ""),
    ],
)
def test_slabs_and_entries_that_contradict_themselves(changes: dict[str, Any], code: str, tmp_path: Path) -> None:
    with ScriptedServer(paged([salt("a", **changes)], 10)) as server:
        about = fetch(client(server.url), tmp_path / "s.parquet").provenance
    assert about["refused"] == ({code: 1} if code else {})
