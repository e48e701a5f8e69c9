"""Which model of a property is in use, and every decision about it, in the records of the laboratory.

A decision is an action of the records, written in one transaction, with all figures it rests on. The model in use, the
champion, is what the newest decision about a campaign's property names. Models lie in a folder beside the records, each
as ``matloop train`` writes it, whole or not at all; a decision names folder and sha256. So a process that is killed
leaves at most a model that nothing names.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from matloop.data.errors import DamagedFileError, RecordsError
from matloop.data.records.database import DEFAULT_FILE, ENVIRONMENT, RecordsDatabase
from matloop.data.records.ledger import add_action, coded_damage, read_json
from matloop.data.records.tables import ACTIONS
from matloop.data.runs.manifest import sha256_of
from matloop.models.surrogates.contest import Comparison, Reason
from matloop.workflows.modelling.trained_model import FILE, TrainedModel, read_model

KIND = "decide about a model"
"""Kind of the actions that are decisions."""
_REPLACING = ("first", "first_measured", "wins")
_LEAVING = ("back", "taken_back")


class Champion(NamedTuple):
    """A model in use.

    Attributes:
        folder: Name of its folder.
        sha256: Of its ``model.json``, which names the sha256 of its other files.
        until: Number of the last action whose results it learned from; 0 if it learned from none.
        laboratory: Whose results it learned from; those of all laboratories if empty. None where that was not written
            down, as by the first decisions.
    """

    folder: str
    sha256: str
    until: int
    laboratory: str | None = None


class ModelDecision(NamedTuple):
    """A decision about the model of a property.

    Attributes:
        campaign: Name of the campaign.
        property_name: What the model predicts.
        reason: Why the challenger took the place of the champion, or why not.
        champion: The model in use from then on; None where there is none.
        cross_validation: Errors on the results that the champion had not seen, without the newest.
        newest: Errors on the newest results, which neither had seen.
        results: Results that the challenger learned from; of a model that was taken back, values that do not stand.
        at: When, in UTC; empty before it is written.
        by: Who.
        number: Number of the action; 0 before it is written.
        fault: Why no model could learn from the results, where they are enough.
    """

    campaign: str
    property_name: str
    reason: Reason
    champion: Champion | None
    cross_validation: Comparison | None = None
    newest: Comparison | None = None
    results: int = 0
    at: str = ""
    by: str = ""
    number: int = 0
    fault: str = ""

    @property
    def replaces(self) -> bool:
        """Whether another model is in use from then on."""
        return self.reason in (*_REPLACING, *_LEAVING)

    def details(self) -> dict[str, Any]:
        """What is written of it, as plain JSON values."""
        parts = {"champion": self.champion, "cross_validation": self.cross_validation, "newest": self.newest}
        return {
            "campaign": self.campaign, "property": self.property_name, "reason": self.reason, "results": self.results,
            "fault": self.fault,
            **{name: None if part is None else part._asdict() for name, part in parts.items()},
        }  # fmt: skip


def decisions_about(database: RecordsDatabase, campaign: str, property_name: str | None = None) -> list[ModelDecision]:
    """Decisions about the models of a campaign, the oldest first.

    Args:
        database: The records.
        campaign: Name of the campaign.
        property_name: One property; all if None.
    """
    with database.reading() as connection:
        return _decisions(connection, campaign, property_name)


def _decisions(connection: Connection, campaign: str, property_name: str | None) -> list[ModelDecision]:
    query = select(ACTIONS.c.details_json, ACTIONS.c.at, ACTIONS.c.by, ACTIONS.c.number).where(ACTIONS.c.kind == KIND)
    found = [
        _read(read_json(details, of=f"action {number}"), at=at, by=by, number=number)
        for details, at, by, number in connection.execute(query.order_by(ACTIONS.c.number))
    ]
    return [one for one in found if one.campaign == campaign and property_name in (None, one.property_name)]


def _read(said: Mapping[str, Any], **action: Any) -> ModelDecision:
    with coded_damage(f"action {action['number']}"):
        return _as_written(said, action)


def _as_written(said: Mapping[str, Any], action: Mapping[str, Any]) -> ModelDecision:
    parts: dict[str, Any] = {
        name: None if said[name] is None else kind(**said[name])
        for name, kind in (("champion", Champion), ("cross_validation", Comparison), ("newest", Comparison))
    }
    parts |= {"results": said["results"], "fault": said.get("fault", "")}
    return ModelDecision(said["campaign"], said["property"], said["reason"], **parts, **action)


def champion_of(database: RecordsDatabase, campaign: str, property_name: str) -> Champion | None:
    """The model of a property that is in use; None before the first decision."""
    found = decisions_about(database, campaign, property_name)
    return found[-1].champion if found else None


def first_champion_of(database: RecordsDatabase, campaign: str, property_name: str) -> Champion | None:
    """The model that the one in use goes back to in the end; None where none is in use."""
    line = _line(decisions_about(database, campaign, property_name))
    return line[0] if line else None


def earlier_champion(database: RecordsDatabase, campaign: str, property_name: str) -> Champion | None:
    """The model that was in use before the present one; None without one."""
    line = _line(decisions_about(database, campaign, property_name))
    return line[-2] if len(line) > 1 else None


def write_decision(database: RecordsDatabase, decision: ModelDecision, *, before: Champion | None) -> ModelDecision:
    """Add a decision to the records.

    Args:
        database: The records.
        decision: What was decided.
        before: The champion that it is about.

    Returns:
        The decision as it stands in the records.

    Raises:
        RecordsError: If another decision was made meanwhile.
    """

    def work(connection: Connection) -> ModelDecision:
        found = _decisions(connection, decision.campaign, decision.property_name)
        if (found[-1].champion if found else None) != before:
            raise RecordsError(
                f"another decision about the model of {decision.property_name} while this one was prepared",
                "one decision at a time", "run it again",
            )  # fmt: skip
        add_action(connection, KIND, details=decision.details())
        return _decisions(connection, decision.campaign, decision.property_name)[-1]

    return database.write(work)


def has_earlier_model(database: RecordsDatabase, campaign: str, property_name: str) -> bool:
    """Whether another model was in use before the present one."""
    return earlier_champion(database, campaign, property_name) is not None


def step_back(database: RecordsDatabase, campaign: str, property_name: str) -> ModelDecision:
    """Put the model that was in use before the present one back.

    Raises:
        RecordsError: If there is no earlier model.
    """

    def work(connection: Connection) -> ModelDecision:
        line = _line(_decisions(connection, campaign, property_name))
        if len(line) < 2:
            raise RecordsError(
                f"no earlier model of {property_name} in {campaign}", "a model that another one replaced",
                "matloop loop status lists the decisions",
            )  # fmt: skip
        add_action(connection, KIND, details=ModelDecision(campaign, property_name, "back", line[-2]).details())
        return _decisions(connection, campaign, property_name)[-1]

    return database.write(work)


def _line(decisions: Sequence[ModelDecision]) -> list[Champion]:
    """The champions that lead to the present one, each replaced by the next; a step back takes the last one off."""
    line: list[Champion] = []
    for one in decisions:
        if one.reason in _LEAVING:
            line.pop()
        elif one.reason in _REPLACING and one.champion is not None:
            line.append(one.champion)
    return line


def models_folder(place: str | None, given: Path | None) -> Path:
    """The folder with the models of a loop: the one given, or the one beside the file of the records.

    Args:
        place: The records database.
        given: Another folder.

    >>> models_folder("lab/records.sqlite", None).as_posix()
    'lab/records.models'
    """
    if given is not None:
        return given
    named = place or os.environ.get(ENVIRONMENT) or str(DEFAULT_FILE)
    return Path("records.models") if "://" in named else Path(named).with_suffix(".models")


def read_champion(champion: Champion, models: Path) -> TrainedModel:
    """Read the model that a decision names.

    Raises:
        DamagedFileError: If it is gone, or another one than the decision names.
    """
    place = models / champion.folder
    if not (place / FILE).is_file() or sha256_of(place / FILE) != champion.sha256:
        raise DamagedFileError(
            f"no model {champion.folder} in {models} as the records name it", "the folder of models beside the records",
            "name the folder with --models; matloop retrain CAMPAIGN trains a model that is gone once more, and with "
            "--back goes back to an earlier one",
        )  # fmt: skip
    return read_model(place)


def describe_champion(folder: Path, *, until: int, laboratory: str = "") -> Champion:
    """Name a model that was written."""
    return Champion(folder.name, sha256_of(folder / FILE), until, laboratory)
