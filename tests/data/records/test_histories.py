"""A laboratory changes its sheet again and again and confirms what is asked: the records say what the sheet says."""

import random
from pathlib import Path

import pytest

from matloop.data.records.answering import Answer, answer_questions
from matloop.data.records.contents import newest_action, samples_table, values_table
from matloop.data.records.database import RecordsDatabase, open_records
from matloop.data.records.importing import import_sheet
from matloop.data.records.ledger import KnownCandidate
from matloop.data.records.questions import open_questions
from tests.data.records.result_sheets import result, write_sheet

VALUES = {"2.9": ("=", 2.9, None), "3.1": ("=", 3.1, None), "<3.2": ("<", 3.2, None), "3.4±0.1": ("=", 3.4, 0.1)}
METHODS = ("uv", "xps")


class Sheet:
    """A sheet of two samples, each with at most one value by each of two methods."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._words = self._random.sample(list(VALUES), 2)  # so few that corrections are corrected back
        self.values: dict[tuple[str, str], str] = {}
        self.outcomes = {"A": "made", "B": "made"}

    def change(self) -> None:
        """Add or correct a value, empty it, or find that a sample was or was not made."""
        sample, method = self._random.choice("AAB"), self._random.choice(METHODS)
        what = self._random.choice(["value", "value", "value", "empty", "outcome"])
        if what == "outcome" and any(name == sample for name, _ in self.values):
            self.outcomes[sample] = {"made": "failed", "failed": "made"}[self.outcomes[sample]]
        elif what == "value":
            self.values[sample, method] = self._random.choice(self._words)
        elif (sample, method) in self.values:
            self.values[sample, method] = ""

    def rows(self) -> list[dict[str, str]]:
        """The rows in any order, some in another unit; a sample that failed has no value."""
        rows = []
        for (sample, method), value in self.values.items():
            row = {**result("cand-gan", "GaN", sample, "1"), "method": method, "outcome": self.outcomes[sample]}
            row["value"] = "" if self.outcomes[sample] == "failed" else value
            if row["value"] in ("2.9", "3.1") and self._random.random() < 0.3:
                row |= {"value": f"{float(value) * 1000:.0f}", "unit": "meV"}
            rows.append(row)
        self._random.shuffle(rows)
        return rows

    def says(self) -> list[tuple[object, ...]]:
        """Each value that the sheet states."""
        stated = {key: value for key, value in self.values.items() if value and self.outcomes[key[0]] == "made"}
        return sorted((*key, *VALUES[value]) for key, value in stated.items())


def recorded(database: RecordsDatabase) -> list[tuple[object, ...]]:
    wanted = ("sample", "method", "relation", "value", "uncertainty")
    return sorted(
        tuple(round(row[key], 9) if isinstance(row[key], float) else row[key] for key in wanted)
        for row in values_table(database).to_pylist()
    )


@pytest.mark.parametrize("seed", [45, 133, 196])  # histories that come back to what they said before
def test_records_say_what_the_newest_sheet_says(seed: int, tmp_path: Path) -> None:
    database, sheet = open_records(tmp_path / "records.sqlite"), Sheet(seed)
    for _ in range(7):
        sheet.change()
        if not sheet.values:
            continue
        path = write_sheet(tmp_path / "sheet.csv", sheet.rows())
        import_sheet(database, path, candidates={"cand-gan": KnownCandidate("GaN")})
        while questions := open_questions(database):
            answer_questions(database, {question.id: Answer("as written") for question in questions})
        assert recorded(database) == sheet.says()
        named = {sample for sample, _ in sheet.values}
        found = {row["sample"]: row["outcome"] for row in samples_table(database).to_pylist()}
        assert found == {sample: sheet.outcomes[sample] for sample in named}
        before = newest_action(database)
        assert import_sheet(database, path).rows == []
        assert newest_action(database) == before
