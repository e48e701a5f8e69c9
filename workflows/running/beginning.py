"""How a run began: its identity, written down in the manifest, and what becomes of it when it is damaged."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from matloop.data.bounded_files import LARGEST_JSON, read_bounded
from matloop.data.errors import DamagedFileError, RunChangedError
from matloop.data.runs.directory import RunDirectory
from matloop.data.runs.known_files import read_about_known
from matloop.data.runs.manifest import MANIFEST_NAME, Manifest, sha256_of
from matloop.data.whole_files import json_file, write_text
from matloop.screening.campaign.campaign import Campaign
from matloop.screening.runs.run_view import RunView
from matloop.workflows.running.identity import differences, identity_of, told

_WAYS = "restore it, or start a new run"


def write_beginning(run: RunDirectory, identity: dict[str, Any]) -> None:
    """Write the identity of a run, and before that the first line of the manifest, which knows its hash.

    Args:
        run: The run directory, with the training sets in it.
        identity: What decides the result.
    """
    (run.folder / MANIFEST_NAME).unlink(missing_ok=True)  # of a start that was cut off here
    text = json_file(identity, sort=True)
    _write_line(run, text.encode("utf-8"), partition_rows=identity["partition_rows"])
    write_text(run.identity, text)


def unchanged(run: RunDirectory) -> tuple[Campaign, dict[str, Any]]:
    """Return the campaign and the first identity of a run, if nothing that decides its result has changed.

    Input files no longer matter once all candidates are in the run. A damaged ``identity.json`` is written again where
    what decides the result now gives exactly the content it had.

    Raises:
        RunChangedError: If something changed; the message shows the differences.
        DamagedFileError: If a file that tells how the run began is not what it was.
    """
    view = RunView(run.folder)
    beginning, campaign = view.manifest.beginning, view.campaign
    damage = {} if beginning is None else view.manifest.damage_of(beginning)
    for name in sorted(damage.keys() - {run.identity.name}):
        raise DamagedFileError(f"{name} {damage[name]}", "the file as the run wrote it", _WAYS)
    if beginning is not None and damage:
        if run.identity.is_dir():
            raise DamagedFileError(f"{run.identity.name} is a folder", "the file as the run wrote it", _WAYS)
        known = read_about_known(run)
        now = identity_of(campaign, beginning["partition_rows"], training=view.training, known=known)
        if (
            hashlib.sha256(json_file(now, sort=True).encode("utf-8")).hexdigest()
            != beginning["files"][run.identity.name]
        ):
            raise DamagedFileError(
                f"{run.identity.name} {damage[run.identity.name]}, and something that decides the result changed too",
                "the file as the run wrote it", _WAYS,
            )  # fmt: skip
        return campaign, now
    before = view.identity.model_dump()
    now = identity_of(campaign, before["partition_rows"], training=view.training, known=read_about_known(run))
    if view.manifest.of_kind("candidates_end"):
        before["input_files"] = now["input_files"]
    if found := differences(before, now):
        raise RunChangedError(
            f"the run began otherwise: {told(found)}", "the campaign, code, libraries and input files it began with",
            "restore them, or start a new run that reuses what still fits: matloop resume RUN --fork NEW",
        )  # fmt: skip
    return campaign, before


def restore_beginning(run: RunDirectory, identity: dict[str, Any]) -> str:
    """Make good what is lost of the beginning of a run that is unchanged; nothing is written where nothing is lost.

    Args:
        run: The run directory.
        identity: As :func:`unchanged` returned it.

    Returns:
        What was made again, for people; empty if nothing was.
    """
    manifest, text = Manifest(run.folder), json_file(identity, sort=True)
    if manifest.beginning is None:
        present = read_bounded(run.identity, inside=run.folder, most_bytes=LARGEST_JSON)
        _write_line(run, present, partition_rows=identity["partition_rows"])
        return "the manifest did not tell how the run began"
    if manifest.damage_of(manifest.beginning):
        write_text(run.identity, text)
        return f"{run.identity.name} was made again"
    return ""


def refuse_another_campaign(run: RunDirectory, campaign: Campaign, *, resumes: bool = False) -> None:
    """Say what differs where a folder holds a run of another campaign than the one that is to run.

    Raises:
        RunChangedError: If the folder holds such a run.
    """
    if not os.path.lexists(run.identity):
        return
    try:
        before = RunView(run.folder).identity.campaign
    except DamagedFileError:  # the folder is in use in any case, which is said later
        return
    if found := differences(before, campaign.model_dump(mode="json", exclude={"cluster"}), place="campaign"):
        raise RunChangedError(
            f"{run.folder} holds a run of another campaign: {told(found)}",
            "the campaign it began with" if resumes else "a new or empty folder",
            "restore campaign.yaml of the run, or start a new run that reuses what still fits: matloop resume RUN "
            "--fork NEW" if resumes else "choose another --output; to reuse what still fits: write the changes into "
            "campaign.yaml of the run, then matloop resume RUN --fork NEW",
        )  # fmt: skip


def _write_line(run: RunDirectory, identity: bytes, *, partition_rows: int) -> None:
    written = (path for pattern in ("training*", "known_*") for path in run.folder.glob(pattern))
    kept = sorted(path for path in written if path.is_file())
    files = {path.name: sha256_of(path) for path in kept} | {run.identity.name: hashlib.sha256(identity).hexdigest()}
    sizes = {run.identity.name: len(identity)}
    Manifest(run.folder).append("began", partition_rows=partition_rows, files=files, sizes=sizes)
