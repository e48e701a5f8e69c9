"""The results of a run, written down in its manifest, so that one that is damaged later is noticed and made again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.manifest import Manifest, sha256_of
from matloop.data.whole_files import json_file, write_text
from matloop.screening.runs.run_summary import RunSummary

SHORTLIST, SUMMARY, EXPLANATIONS, REPORT = "shortlist", "summary", "explanations", "report"
"""Parts of the results, in the order in which they are made."""


def keep_results(manifest: Manifest, part: str, paths: Iterable[Path], *, record: str | None = None) -> None:
    """Write down files that have their final names; those that came out as before leave the manifest as it is.

    Args:
        manifest: Of the run.
        part: Which part of the results they are.
        paths: The files.
        record: Their content, where it cannot be made a second time.
    """
    files = {path.relative_to(manifest.folder).as_posix(): sha256_of(path) for path in sorted(paths)}
    before = manifest.results(part)
    if before is None or before["files"] != files:
        manifest.append("results", part=part, files=files, **({} if record is None else {"record": record}))


def write_summary(manifest: Manifest, summary: RunSummary) -> None:
    """Write ``run.json``; a run that was summed up before keeps what was written then, for times are never the same.

    Args:
        manifest: Of the run.
        summary: What the run counted this time.
    """
    before, path = manifest.results(SUMMARY), RunDirectory(manifest.folder).summary
    record = str(before["record"]) if before and "record" in before else json_file(summary.model_dump(mode="json"))
    write_text(path, record)
    keep_results(manifest, SUMMARY, [path], record=record)
