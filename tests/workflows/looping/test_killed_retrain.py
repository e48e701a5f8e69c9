"""A call of ``matloop retrain`` that is killed at any step leaves a usable champion, and the next call ends."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from matloop.data.errors import RecordsError
from matloop.workflows.loop import retrain
from matloop.workflows.looping.champions import ModelDecision
from tests.workflows.looping.conftest import LABORATORY, Laboratory

KILLED = """
import json, os, shutil, signal, sys
from pathlib import Path
from sqlalchemy import Engine, event
from matloop.data.records.database import open_records
from matloop.models.families.extra_trees import ExtraTrees
from matloop.workflows.looping.champions import decisions_about, models_folder, read_champion
from matloop.workflows.loop import retrain

folder, cache, campaign = (Path(text) for text in sys.argv[1:4])
os.environ["MATLOOP_CACHE"] = str(cache)
ExtraTrees.__init__.__kwdefaults__["trees"] = 10
left = 0  # steps until the end; 0 for no end

def step(*_):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

def before_renaming(name, arguments):
    if name == "os.rename" and "records.models" in str(arguments):
        step()

@event.listens_for(Engine, "after_cursor_execute")
def before_commit(_connection, _cursor, statement, *_):
    if statement.startswith("INSERT"):
        step()

sys.addaudithook(before_renaming)

def in_child(place, steps):
    global left
    child = os.fork()
    if not child:
        left = steps
        retrain(campaign, records=str(place / "records.sqlite"), laboratory=sys.argv[4])
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0

def standing(place):
    database = open_records(place / "records.sqlite")
    found = decisions_about(database, "films")
    if found:
        read_champion(found[-1].champion, models_folder(str(place / "records.sqlite"), None))
    return [one.reason for one in found]

def copied(name):
    place = folder / name
    place.mkdir()
    shutil.copy(folder / "records.sqlite", place)
    return place

whole = copied("whole")
retrain(campaign, records=str(whole / "records.sqlite"), laboratory=sys.argv[4])
print(json.dumps([standing(whole), sorted(one.name for one in (whole / "records.models").iterdir())]))
for steps in range(1, 1 - left):
    place = copied(str(steps))
    assert not in_child(place, steps)
    before = standing(place)
    assert in_child(place, 0)
    there = sorted(one.name for one in (place / "records.models").iterdir())
    print(json.dumps([before, standing(place), there]), flush=True)
"""


def test_killed_at_any_step_the_champion_can_be_used_and_the_next_call_ends(
    laboratory: Laboratory, tmp_path: Path
) -> None:
    laboratory.measure(list(laboratory.others)[:32])
    words = [sys.executable, "-c", KILLED, str(tmp_path), str(tmp_path / "cache"), str(laboratory.campaign), LABORATORY]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (reasons, models), *killed = map(json.loads, done.stdout.splitlines())
    assert reasons == ["first", "wins"]
    # Twice a model gets its name, and twice a decision is written; each time it is killed just before.
    assert [before for before, _, _ in killed] == [[], [], ["first"], ["first"]]
    for _, after, there in killed:
        assert after == reasons
        assert set(there) >= set(models)  # drafts may lie beside them


def test_of_two_calls_at_once_the_later_is_refused(laboratory: Laboratory) -> None:
    laboratory.measure(list(laboratory.others)[:60])
    reasons = list[str]()

    def meanwhile(decision: ModelDecision) -> None:
        if decision.reason == "first":
            others = retrain(laboratory.campaign, records=laboratory.records, laboratory=LABORATORY)
            reasons.extend(one.reason for one in others)

    with pytest.raises(RecordsError, match="another decision"):
        retrain(laboratory.campaign, records=laboratory.records, laboratory=LABORATORY, told=meanwhile)
    assert reasons == ["wins"]
