"""Keys of partitions: equal where the result would be equal, different wherever it might not be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.packaged.materials import load_materials
from matloop.data.runs.manifest import Manifest
from matloop.workflows.running import partition_jobs as module
from matloop.workflows.running.candidate_parts import CandidatePart
from matloop.workflows.running.partition_jobs import crystal_jobs, joint_jobs, relaxation_jobs, scoring_jobs
from matloop.workflows.stages.scoring import ScoringTask
from tests.workflows.conftest import SMALL, campaign

STRUCTURE = {"structure": {"features": ["density"], "keep": 20}}
POTENTIAL = {**STRUCTURE, "potential": {"steps": 3}}
RANGES = {"piezoelectric_modulus": (2.0, float("inf")), "refractive_index": (1.5, 3.0)}


def survivors(count: int = 20) -> CandidateBatch:
    return load_materials().take(np.arange(count)).with_columns(probability=np.linspace(0.9, 0.1, count))


def manifest_in(folder: Path, model: str = "m") -> Manifest:
    folder.mkdir(exist_ok=True)
    (folder / "manifest.jsonl").unlink(missing_ok=True)
    manifest = Manifest(folder)
    for stage in ("surrogates", "structure"):
        manifest.append("model", stage=stage, property="refractive_index", key=stage, files={f"{stage}.npz": model})
    return manifest


def keys(folder: Path, ranges: Any = RANGES, part: str = "p", model: str = "m", **changes: Any) -> list[str]:
    """Keys of one partition of each stage."""
    chosen, manifest = campaign(**{**POTENTIAL, **changes}), manifest_in(folder, model)
    first = ScoringTask(chosen, folder, ranges)
    later = ScoringTask(chosen, folder, ranges, "structure")
    parts = [CandidatePart(0, folder / "part-00000.parquet", 20, part)]
    made = [*scoring_jobs(first, manifest, parts), *crystal_jobs(later, manifest, survivors(6))]
    made += [*relaxation_jobs(later, manifest, survivors(6)), *joint_jobs(later, manifest, survivors(6))]
    return [job.key for job in made]


def differing(folder: Path, **changes: Any) -> list[bool]:
    pairs = zip(keys(folder), keys(folder, **changes), strict=True)
    return [one != other for one, other in pairs]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, [False, False, False, False]),
        ({"name": "other", "title": "another", "shortlist": {"size": 9}, "cluster": "local"}, [False] * 4),
        ({"shortlist": {"size": 5, "diversity": 0.5, "explore": True}}, [True] * 4),
        ({"filters": ["new_compounds"]}, [True] * 4),
        ({"surrogates": {**SMALL["surrogates"], "keep": 61}}, [True, False, False, False]),
        ({"structure": {"features": ["density"], "keep": 21}}, [False, True, True, True]),
        ({"potential": {"steps": 4}}, [False, False, True, True]),
        ({"ranges": {**RANGES, "refractive_index": (1.5, 3.1)}}, [True] * 4),
        ({"model": "another"}, [True] * 4),
        ({"part": "another"}, [True, False, False, False]),
    ],
)
def test_keys_change_with_whatever_may_change_a_result(
    changes: dict[str, Any], expected: list[bool], tmp_path: Path
) -> None:
    assert differing(tmp_path / "run", **changes) == expected


def test_keys_change_with_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys(tmp_path / "run")
    monkeypatch.setattr(module, "code_key", lambda _: "other")
    assert not set(before) & set(keys(tmp_path / "run"))


def test_the_same_candidates_under_another_number_are_other_files(tmp_path: Path) -> None:
    """A fork finds files by their key and links them under their old names: it must not take those of another part."""
    chosen, manifest = campaign(**POTENTIAL), manifest_in(tmp_path / "run")
    task = ScoringTask(chosen, tmp_path, RANGES, "structure")
    size = module.RELAXATION_PARTITION_ROWS
    crystals = survivors(3 * size)
    sizes = crystals.crystals.site_counts  # type: ignore[union-attr]
    ordered = crystals.take(np.argsort(-sizes, kind="stable"))
    without_first = ordered.take(np.arange(size, 3 * size))
    before, now = (list(relaxation_jobs(task, manifest, batch)) for batch in (ordered, without_first))
    assert [job.given.batch.ids for job in now] == [job.given.batch.ids for job in before[1:]]  # type: ignore[union-attr]
    assert not {job.key for job in now} & {job.key for job in before}


def test_large_crystals_are_relaxed_first_and_all_of_them(tmp_path: Path) -> None:
    task = ScoringTask(campaign(**POTENTIAL), tmp_path, RANGES, "structure")
    batch = survivors(20)
    made = list(relaxation_jobs(task, manifest_in(tmp_path / "run"), batch))
    sites = [job.given.batch.crystals.site_counts for job in made]  # type: ignore[union-attr]
    assert (np.diff(np.concatenate(sites)) <= 0).all()
    assert sorted(name for job in made for name in job.given.batch.ids) == sorted(batch.ids)  # type: ignore[union-attr]
    assert [job.index for job in made] == list(range(len(made)))
    assert sum(job.rows for job in made) == 20


def test_all_relaxed_candidates_are_judged_in_one_part(tmp_path: Path) -> None:
    task, manifest = ScoringTask(campaign(**POTENTIAL), tmp_path, RANGES, "structure"), manifest_in(tmp_path / "run")
    (job,) = joint_jobs(task, manifest, survivors(20))
    assert (job.rows, job.divisible, job.stage, job.index) == (20, False, "stability", 0)
    (fewer,) = joint_jobs(task, manifest, survivors(19))
    assert fewer.key != job.key
