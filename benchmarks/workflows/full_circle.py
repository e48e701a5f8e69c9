"""Go round the loop by commands alone, with a laboratory whose values come from packaged data, and print each round.

A campaign screens compounds whose computed bulk modulus is known for some, which teach, and hidden for the others,
which are the candidates. The laboratory measures hidden values on a scale of its own, with 3 % noise, and fails to make
what lies high above the hull. Its sheets have mistakes: a value in MPa under GPa, an unknown id, a sheet in GBK,
equipment that failed. Each round a result sheet is filled in and imported, questions are answered, models retrained and
the next batch is proposed. All this happens with an SQLite file and on a PostgreSQL server; batches, verdicts,
decisions and hits must be the same.

    python benchmarks/workflows/full_circle.py
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matloop.data.records.result_sheet import OUTCOMES, REASONS, RESULTS, Language
from matloop.data.training.packaged_tables import packaged_training_set

PROPERTY = "bulk_modulus_vrh"
WANTED = 180.0  # GPa, on the scale of the laboratory
SLOPE, OFFSET, NOISE = 0.9, -8.0, 0.03
TOO_HIGH = 0.04  # eV/atom above the hull; what lies higher is not made
BROKEN = 0.04  # share of attempts that the equipment spoils
LABORATORY = "lab-a"
POSTGRESQL = os.pathsep.join([*map(str, Path("/usr/lib/postgresql").glob("*/bin")), os.environ.get("PATH", "")])
Command = Callable[..., str]


class Compound(NamedTuple):
    """A hidden compound.

    Attributes:
        value: What the laboratory measures, in GPa.
        reason: Key of the reason why it is not made; empty if it is.
    """

    value: float
    reason: str

    @property
    def is_hit(self) -> bool:
        """Whether it is made and as stiff as wanted."""
        return not self.reason and self.value >= WANTED


class Round(NamedTuple):
    """What a round brought.

    Attributes:
        tried: Ids of the candidates in the sheet, in its order.
        hits: How many of them are made and lie in the wanted range.
        verdicts: Rows of the sheet by their first verdict, as the command prints them.
        questions: Codes in words of what was asked.
        decisions: Decisions about the model with their figures, without times, names and the hashes of models.
    """

    tried: list[str]
    hits: int
    verdicts: str
    questions: list[str]
    decisions: list[dict[str, Any]]


class Circle:
    """A campaign in a folder, and a laboratory.

    Args:
        folder: An empty folder.
        command: Calls matloop and returns what it prints.
        known: Number of compounds with a computed value.
        pool: Number of candidates.
        batch: Candidates in a batch.
        features: Featurizers of the campaign.
        seed: Of the laboratory.
    """

    def __init__(
        self, folder: Path, command: Command, *, known: int, pool: int, batch: int,
        features: Sequence[str] = ("magpie", "stoichiometry"), seed: int = 0,
    ) -> None:  # fmt: skip
        self.batch, self._folder, self._call, self._seed = batch, folder, command, seed
        self._run, self._campaign = folder / "run", folder / "campaign.yaml"
        self.hidden = self._write_inputs(known, pool, features)

    def screen(self) -> None:
        """Screen, and write a dossier of each finalist."""
        self._call("screen", self._campaign, "--output", self._run, "--workers", 1)
        self._call("dossier", self._run, "--top", self.batch, "--out", self._folder / "dossiers")

    def rounds(self, records: str, count: int) -> Iterator[Round]:
        """Go round so many times, with records of one's own."""
        folder = self._folder / f"rounds-{len(list(self._folder.glob('rounds-*')))}"
        folder.mkdir()
        prepared = sorted((self._folder / "dossiers").glob("*/result_sheet.csv"))
        for number in range(1, count + 1):
            rows = [row for path in prepared for row in _read_rows(path)]
            yield self._go_round(number, rows, folder, records)
            if number < count:
                batch = folder / f"batch-{number + 1}"
                words = ("--batch", self.batch, "--explore", 0, "--output", batch, *_where(records, folder))
                self._call("propose", self._run, *words)
                prepared = [batch / "result_sheet.csv"]

    def status(self, records: str) -> dict[str, Any]:
        """How the loop of the last rounds stands."""
        folder = max(self._folder.glob("rounds-*"))
        words = ("--run", self._run, "--laboratory", LABORATORY, "--json", *_where(records, folder))
        return dict(json.loads(self._call("loop", "status", self._campaign, *words)))

    def _go_round(self, number: int, rows: list[dict[str, str]], folder: Path, records: str) -> Round:
        sheet, mended = self._fill_in(number, rows, folder)
        verdicts = self._call("import", sheet, "--run", self._run, "--records", records, "--laboratory", LABORATORY)
        asked = folder / f"questions-{number}.csv"
        self._call("questions", "--records", records, "--output", asked)
        questions = self._answer(asked, mended, records)
        words = ("--laboratory", LABORATORY, "--json", *_where(records, folder))
        learned = self._call("retrain", self._campaign, *words)
        decisions = [
            {key: value for key, value in one.items() if key not in ("at", "by", "number", "champion")}
            for one in json.loads(learned)
        ]
        hits = sum(self.hidden[row["formula"]].is_hit for row in rows)
        counts = next(line for line in verdicts.splitlines() if "accepted" in line or "接受" in line)
        return Round([row["candidate_id"] for row in rows], hits, counts.partition(": ")[2], questions, decisions)

    def _write_inputs(self, known: int, pool: int, features: Sequence[str]) -> Mapping[str, Compound]:
        """Write labels, candidates and campaign; returns the hidden compounds by formula."""
        packaged, hull = packaged_training_set(PROPERTY), packaged_training_set("energy_above_hull")
        heights: dict[str, float] = {}
        for formula, height in zip(hull.rows.formulas, hull.values.tolist(), strict=True):
            heights[formula] = min(height, heights.get(formula, height))
        found: dict[str, tuple[float, float]] = {}
        for formula, value in zip(packaged.rows.formulas, packaged.values.tolist(), strict=True):
            found.setdefault(formula, (value, heights.get(formula, 0.0)))
        names = sorted(found)
        random.Random(self._seed).shuffle(names)
        taught, hidden = names[:known], names[known : known + pool]
        _write_table(
            self._folder / "computed.csv", [("formula", "K (GPa)"), *((name, found[name][0]) for name in taught)]
        )
        _write_table(self._folder / "candidates.csv", [("formula",), *((name,) for name in hidden)])
        self._campaign.write_text(
            "name: stiff\nsources:\n  - table: {path: candidates.csv}\ndata:\n"
            f"  - table: {{path: computed.csv, property: {PROPERTY}, column: K (GPa), source: 'dft:pbe'}}\n"
            f"targets:\n  - {{property: {PROPERTY}, goal: at_least, value: {WANTED:g}, unit: GPa}}\n"
            f"surrogates: {{features: [{', '.join(features)}], keep: {pool}}}\nshortlist: {{size: {self.batch}}}\n",
            "utf-8",
        )
        return {name: self._measured(name, *found[name]) for name in hidden}

    def _measured(self, formula: str, value: float, height: float) -> Compound:
        chance = random.Random(f"{self._seed} {formula}")
        measured = (SLOPE * value + OFFSET) * (1 + NOISE * chance.gauss(0, 1))
        broken = chance.random() < BROKEN
        return Compound(measured, "equipment" if broken else "other_phases" if height > TOO_HIGH else "")

    def _fill_in(self, number: int, rows: list[dict[str, str]], folder: Path) -> tuple[Path, dict[str, str]]:
        """Fill in a sheet as this laboratory does; returns it, and what stands rightly in place of each mistake."""
        language: Language = "zh" if number == 4 else "en"
        filled, mended = [self._filled(row, language) for row in rows], {}
        measured = [row for row in filled if row.get("value")]
        if number == 2 and measured:
            right = measured[0]["value"]
            measured[0]["value"] = f"{1000 * float(right):.0f}"  # MPa under the heading GPa
            mended[measured[0]["value"]] = right
        if number == 3 and measured:
            filled.append({**measured[0], "candidate_id": "0123456789abcdef", "sample_id": "lost"})
        sheet = folder / f"sheet-{number}.csv"
        with sheet.open("w", encoding="gbk" if language == "zh" else "utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([column.heading(language) for column in RESULTS])
            writer.writerows([[row.get(column.key, "") for column in RESULTS] for row in filled])
        return sheet, mended

    def _filled(self, row: dict[str, str], language: Language) -> dict[str, str]:
        compound = self.hidden[row["formula"]]
        kept = {key: row[key] for key in ("candidate_id", "formula", "sample_id")}
        if compound.reason:
            failed, reason = OUTCOMES["failed"], REASONS[compound.reason]
            return {**kept, "outcome": getattr(failed, language), "reason": getattr(reason, language)}
        return {
            **kept, "outcome": getattr(OUTCOMES["made"], language), "property": PROPERTY,
            "value": f"{compound.value:.1f}", "unit": "GPa",
        }  # fmt: skip

    def _answer(self, asked: Path, mended: Mapping[str, str], records: str) -> list[str]:
        """Answer what is asked: mend mistakes, take unknown candidates back, and confirm the rest."""
        with asked.open(encoding="utf-8-sig", newline="") as file:
            questions = list(csv.DictReader(file))
        for question in questions:
            written = question["as_written"].split(" ")[0]
            unknown = "candidate" in question["asked"]
            instead = mended.get(written, "")
            question |= {"answer": "refuse" if unknown else "instead" if instead else "as written", "instead": instead}
        if questions:
            _write_table(asked, [tuple(questions[0]), *(tuple(question.values()) for question in questions)])
            self._call("questions", "--answers", asked, "--records", records)
        return [question["asked"] for question in questions]


def _where(records: str, folder: Path) -> tuple[object, ...]:
    """Options that name the records, and a folder of models for them."""
    return "--records", records, "--models", folder / "models"


def _read_rows(path: Path) -> list[dict[str, str]]:
    """Rows of a prepared sheet, by the keys of its columns."""
    keys = {column.heading("en"): column.key for column in RESULTS}
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [{keys[name]: cell for name, cell in row.items()} for row in csv.DictReader(file)]


def _write_table(path: Path, rows: Sequence[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def command_in(folder: Path) -> Command:
    """The command ``matloop`` in processes of its own, with a store of its own."""

    def call(*words: object) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "matloop", *map(str, words)], capture_output=True, text=True, check=False,
            env={**os.environ, "MATLOOP_CACHE": str(folder / "cache"), "COLUMNS": "200"}, cwd=folder,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"matloop {' '.join(map(str, words))}\n{done.stdout}{done.stderr}")
        return done.stdout

    return call


@contextlib.contextmanager
def postgresql_server() -> Iterator[str]:
    """Address of an empty database on a server of its own."""
    folder = Path(tempfile.mkdtemp(prefix="matloop-circle-"))
    user = "postgres" if os.getuid() == 0 else None  # the server does not run as root
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]

    def run(name: str, *words: str) -> None:
        program = shutil.which(name, path=POSTGRESQL)
        if program is None:
            raise SystemExit("PostgreSQL is not installed")
        subprocess.run([program, *words], user=user, check=True, capture_output=True, cwd="/")

    if user:
        shutil.chown(folder, user)
    cluster = str(folder / "cluster")
    run("initdb", "-D", cluster, "-U", "lab", "--auth=trust", "--encoding=UTF8", "-N")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
    run("pg_ctl", "-D", cluster, "-w", "-l", f"{cluster}/log", "-o", options, "start")
    try:
        run("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "lab", "records")
        yield f"postgresql://lab@127.0.0.1:{port}/records"
    finally:
        run("pg_ctl", "-D", cluster, "-w", "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--known", type=int, default=200, help="Compounds with a computed value.")
    parser.add_argument("--pool", type=int, default=600, help="Candidates.")
    parser.add_argument("--batch", type=int, default=20, help="Candidates in a batch.")
    given = parser.parse_args()
    results: dict[str, list[Round]] = {}
    with tempfile.TemporaryDirectory() as scratch, postgresql_server() as server:
        folder = Path(scratch)
        circle = Circle(folder, command_in(folder), known=given.known, pool=given.pool, batch=given.batch)
        circle.screen()
        total = sum(one.is_hit for one in circle.hidden.values())
        print(
            f"{given.pool} candidates, {100 * total / given.pool:.1f} % of them hits: what a random batch would find",
            flush=True,
        )
        for name, records in (("SQLite", "records.sqlite"), ("PostgreSQL", server)):
            results[name] = []
            for number, one in enumerate(circle.rounds(records, given.rounds), start=1):
                results[name].append(one)
                told = [f"{decision['reason']}{_figures(decision)}" for decision in one.decisions]
                rate = 100 * one.hits / len(one.tried)
                print(f"{name}, round {number}: {one.hits} hits of {len(one.tried)} ({rate:.0f} %)")
                print(f"  import: {one.verdicts} asked: {'; '.join(one.questions) or 'nothing'}")
                print(f"  retrain: {', '.join(told)}")
                status = circle.status(records)
                print(f"  status: {_promises(status, total - sum(done.hits for done in results[name]))}", flush=True)
            print(f"  in the end: {json.dumps({key: status[key] for key in ('tally', 'hits', 'on_results', 'left')})}")
    same = results["SQLite"] == results["PostgreSQL"]
    print(f"the same batches, verdicts, questions and decisions in both: {'yes' if same else 'NO'}")
    raise SystemExit(0 if same else 1)


def _promises(status: Mapping[str, Any], there: int) -> str:
    """What was promised and met so far, and what is expected of the rest of the pool beside what is there."""
    hits, stated, left = status["hits"], status["left_as_stated"], status["left"]
    return (
        f"{hits['tried']} tried, {hits['promised']:.1f} hits promised ({hits['corrected']:.1f} as corrected then), "
        f"{hits['found']} met; left: {stated['expected']:.1f} hits expected of {left['candidates']} candidates in the "
        f"domain ({left['expected']:.1f} as corrected), {there} there in all"
    )


def _figures(decision: Mapping[str, Any]) -> str:
    parts = [
        f"{name} {found['champion']:.3f} -> {found['challenger']:.3f} (mean {found['mean']:.3f})"
        for name in ("cross_validation", "newest")
        if (found := decision[name]) is not None
    ]
    return f" [{'; '.join(parts)}]" if parts else ""


if __name__ == "__main__":
    main()
