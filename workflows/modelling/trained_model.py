"""A model in a folder of its own: a surrogate with all that is needed to use it on any machine.

The folder holds what :meth:`matloop.models.surrogates.surrogate.Surrogate.save` writes, and ``model.json``: the
definition of the property, the featurizers, the wanted range, the versions that decide numbers, and the sha256 of every
file. It is read without trust, like a run directory.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from matloop.data.bounded_files import read_json, regular_file
from matloop.data.candidates.batch import CandidateBatch, Intake
from matloop.data.candidates.blocks import CRYSTALS
from matloop.data.errors import DamagedFileError, FingerprintError, MatloopError, ModelError
from matloop.data.properties.catalogue import Catalogue, catalogue, using
from matloop.data.properties.columns import Column, probability_of, unit_of
from matloop.data.properties.conditions import read_conditions
from matloop.data.properties.definition import Property
from matloop.data.runs.manifest import key_of, sha256_of
from matloop.data.whole_files import json_file
from matloop.featurizers.base import FeatureSet
from matloop.models.surrogates.joint_probability import InsulatorChances, JointProbability
from matloop.models.surrogates.prediction import Prediction
from matloop.models.surrogates.surrogate import Surrogate
from matloop.screening.campaign.entry import Entries
from matloop.screening.runs.card_records import ModelCard
from matloop.workflows.modelling.input_conditions import conditions_of_rows
from matloop.workflows.modelling.input_rows import beside
from matloop.workflows.running.identity import differences, versions
from matloop.workflows.stages.campaign_featurizers import build_feature_set
from matloop.workflows.stages.insulators import FOLDER as INSULATORS
from matloop.workflows.stages.insulators import chances_of_labels, insulators_of, with_insulators

FILE = "model.json"
_FORMAT = 1
_MOST_FILES = 500
_LARGEST = 10_000_000
_ENTRIES: TypeAdapter[Entries] = TypeAdapter(Entries)


class _Written(BaseModel):
    """Content of ``model.json``, without its check."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    format: int
    name: str
    property: dict[str, Any]
    features: list[Any]
    wanted: tuple[float | None, float | None] | None
    at: dict[str, float] = {}
    insulators: str | None = None
    versions: dict[str, str]
    files: dict[str, str]


@dataclass(frozen=True)
class TrainedModel:
    """A model that was read from its folder.

    Attributes:
        folder: Where it lies.
        name: Campaign or file that it was trained for.
        surrogate: The surrogate.
        features: Compute what it works on.
        wanted: Range whose probability it gives, in the unit of the property, infinite where open; None without one.
        catalogue: Properties, with the one that it predicts.
        notes: What differs between the versions it was trained with and those here, one line each.
        fixed: Conditions that hold for all rows, also where an input has a column of their name; see :meth:`at`.
        insulators: Which source its classifier of insulators and metals is asked for, in a model of gaps whose labels
            hold no metal; None in any other.
    """

    folder: Path
    name: str
    surrogate: Surrogate
    features: FeatureSet
    wanted: tuple[float, float] | None
    catalogue: Catalogue
    notes: tuple[str, ...]
    fixed: frozenset[str] = frozenset()
    insulators: str | None = None

    def at(self, conditions: Mapping[str, str]) -> TrainedModel:
        """Return the same model at other conditions than those it was trained for.

        Args:
            conditions: By name, each a number with its unit, such as ``{"temperature": "500 K"}``.

        Raises:
            ModelError: If a condition is none of its labels, or lies beyond them.
            UnitError: If a value has no unit, or one of another quantity.
            UnknownNameError: If a condition or a unit is unknown.
        """
        asked = {**(self.surrogate.asked or {}), **read_conditions(conditions)}
        return replace(self, surrogate=self.surrogate.at(asked), fixed=self.fixed | set(conditions))

    @property
    def known(self) -> Property:
        """The property that it predicts."""
        return self.catalogue[self.surrogate.property_name]

    @property
    def card(self) -> ModelCard:
        """Its card.

        Raises:
            DamagedFileError: If the card is not one that matloop writes, or a figure on it is impossible.
        """
        try:
            return ModelCard.model_validate(dict(self.surrogate.card))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))[:80]
            raise _damaged(self.folder, f"a card whose {place} breaks the rules ({first['msg'][:80]})") from error

    @property
    def needs_crystals(self) -> bool:
        """Whether its features are of crystals, so that formulas are not enough."""
        return any(CRYSTALS in featurizer.needs for featurizer in self.features.featurizers)

    @property
    def columns(self) -> list[str]:
        """Columns of its predictions: value, sigma, interval, unit, domain, conditions, probabilities."""
        known = self.known
        names = [known.column("pred"), known.column("sigma"), known.column("lo"), known.column("hi")]
        names += [unit_of(known.name), Column.IN_DOMAIN]
        names += [one.condition.column for one in self.surrogate.conditions if one.is_feature]
        names += [Column.INSULATOR_PROBABILITY, Column.INSULATOR_VALUE] * (self.insulators is not None)
        return names if self.wanted is None else [*names, probability_of(known.name)]

    def predict(self, formulas: Sequence[str | None]) -> Any:
        """Predict formulas: a pandas DataFrame with one row for each, in their order.

        A formula that cannot be read, or that the model cannot judge, has a ``code`` in place of numbers. Files of any
        size, also of crystals, go through :func:`matloop.workflows.predict.predict`.

        Args:
            formulas: Formulas as people write them, length n.

        Raises:
            ModelError: If its features are of crystals.
        """
        if self.needs_crystals:
            raise ModelError(
                "formulas alone for a model with features of crystals", "crystals",
                "predict a structure file or a folder of them: matloop.predict(model, FOLDER, OUTPUT)",
            )  # fmt: skip
        with using(self.catalogue):
            given = pa.table({Column.FORMULA: pa.array(list(formulas), pa.string())})
            return self.predictions_beside(given, CandidateBatch.from_formulas(list(formulas))).to_pandas()

    @functools.cached_property
    def insulators_of_labels(self) -> dict[str, InsulatorChances]:
        """P(insulator) of what taught it and its classifier, by its property; empty without a classifier."""
        if self.insulators is None:
            return {}
        ids = self.surrogate.training.ids
        return {self.known.name: chances_of_labels(self.folder / INSULATORS, ids, source=self.insulators)}

    def with_insulators(self, prediction: Prediction, batch: CandidateBatch) -> Prediction:
        """Give predictions of a gap the probability that there is one, where the model has a classifier of insulators.

        Args:
            prediction: By the surrogate, of n candidates.
            batch: The candidates.
        """
        if self.insulators is None:
            return prediction
        name, folder = self.known.name, self.folder / INSULATORS
        return with_insulators(folder, {name: prediction}, batch, source=self.insulators)[name]

    @functools.cached_property
    def _supported(self) -> JointProbability:
        """How probable it may be called that its target is met, as a run of its campaign does."""
        name, wanted = self.known.name, self.wanted
        assert wanted is not None
        return JointProbability.fit({name: self.surrogate}, {name: wanted}, insulators=self.insulators_of_labels)

    def predictions_beside(self, given: pa.Table, intake: Intake) -> pa.Table:
        """Put ids, codes and predictions beside the columns of an input, each row in its place.

        Args:
            given: Columns of the input, n rows.
            intake: Its candidates and refused rows, together n.
        """
        rows = np.setdiff1d(np.arange(given.num_rows), [row.row for row in intake.refused])
        kept = conditions_of_rows(self.surrogate, given, rows, fixed=self.fixed)
        prediction = self.surrogate.predict(self.features.featurize(intake.batch), conditions=kept)
        prediction = self.with_insulators(prediction, intake.batch)
        unit = pa.array([self.known.unit] * len(intake.batch), pa.string())
        values: list[Any] = [prediction.median, prediction.sigma, *prediction.interval(0.9), unit, prediction.in_domain]
        values += kept.values()
        if prediction.insulator is not None:
            values += [np.where(prediction.codes == "", prediction.insulator, np.nan), prediction.with_a_value.median]
        if self.wanted is not None:
            ranges = {self.known.name: self.wanted}
            values.append(self._supported.probabilities({self.known.name: prediction}, ranges).of_all)
        return beside(given, intake, prediction.codes, dict(zip(self.columns, values, strict=True)))


def is_model(folder: Path) -> bool:
    """Whether a folder is a model and no run directory."""
    return (folder / FILE).is_file()


def describe_model(
    folder: Path,
    *,
    name: str,
    known: Property,
    features: Entries,
    wanted: tuple[float, float] | None,
    at: Mapping[str, float],
    insulators: str | None = None,
) -> None:
    """Write ``model.json`` into the folder of a saved surrogate.

    Args:
        folder: Where the surrogate was saved.
        name: Campaign or file that it was trained for.
        known: Definition of the property.
        features: Featurizers as a campaign names them.
        wanted: Range whose probability is asked for.
        at: Conditions at which it predicts unless others are given, by name, in the unit in which each is stored.
        insulators: Which source its classifier of insulators is asked for; None where it has none.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    ends = None if wanted is None else [end if math.isfinite(end) else None for end in wanted]
    written: dict[str, Any] = {
        "format": _FORMAT,
        "name": name,
        "property": asdict(known),
        "features": [entry.model_dump(mode="json") for entry in features],
        "wanted": ends,
        "versions": versions(),
        "files": {path.relative_to(folder).as_posix(): sha256_of(path) for path in paths},
    }
    if at:
        written["at"] = dict(at)
    if insulators is not None:
        written["insulators"] = insulators
    (folder / FILE).write_text(json_file({**written, "check": key_of(**written)}), encoding="utf-8")


def read_model(folder: str | Path) -> TrainedModel:
    """Read a model, and repeat a few of its predictions.

    Raises:
        ModelError: If the folder is no model, was written by a later version, or its predictions come out differently.
        FingerprintError: If its features are computed differently here; what differs is named.
        DamagedFileError: If a file of it has changed, or a figure on its card is impossible.
    """
    folder = Path(folder).expanduser()
    if not is_model(folder):
        raise ModelError(
            f"no model in {folder}", f"a folder with {FILE}, which matloop train writes", "look at the path"
        )
    written = _read(folder)
    notes = tuple(differences(written.versions, versions()))
    told = f" Since it was trained: {'; '.join(notes)}." if notes else ""
    known = Catalogue(_own_properties(folder, written.property))
    with using(known):
        features = build_feature_set(_ENTRIES.validate_python(written.features), models=folder)
        try:
            surrogate = Surrogate.load(folder)
            surrogate = surrogate.at(written.at) if written.at else surrogate
        except ModelError as error:
            raise ModelError(f"{error.got}.{told}", error.allowed, error.fix) from error
        if surrogate.property_name != written.property.get("name") or surrogate.property_name not in known:
            raise _damaged(folder, "a model of another property")
    if surrogate.base_fingerprint != features.fingerprint:
        raise FingerprintError(
            f"the features of {folder.name} are computed differently here: {features.fingerprint}.{told}",
            surrogate.base_fingerprint, "install the versions it was trained with, or train again",
        )  # fmt: skip
    lower, upper = written.wanted or (None, None)
    ends = (-math.inf if lower is None else lower, math.inf if upper is None else upper)
    wanted = ends if written.wanted else None
    model = TrainedModel(
        folder, written.name, surrogate, features, wanted, known, notes, insulators=_insulators(folder, written)
    )  # fmt: skip
    trained, predicted = model.card.rows_trained, len(surrogate.training.target)
    if trained != predicted:
        raise _damaged(folder, f"a card of {trained:,} training rows and out-of-fold predictions of {predicted:,}")
    return model


def _insulators(folder: Path, written: _Written) -> str | None:
    """Which source the classifier of a model is asked for, if it has one; reading it repeats a few probabilities."""
    if written.insulators is None:
        return None
    found = insulators_of(folder / INSULATORS)
    if found is None or written.insulators not in found.curves:
        raise _damaged(folder, "no classifier of insulators that knows its source")
    return written.insulators


def _read(folder: Path) -> _Written:
    """Read ``model.json``, and make sure that every file is the one that was written."""
    said = read_json(folder / FILE, inside=folder, most_bytes=_LARGEST)
    if not isinstance(said, dict):
        raise _damaged(folder, "no JSON object")
    check = said.pop("check", None)
    if said.get("format") != _FORMAT:
        stated = said.get("versions")
        version = stated if isinstance(stated, dict) else {}
        raise ModelError(
            f"{folder.name} is a model of format {str(said.get('format'))[:20]}, written by matloop "
            f"{str(version.get('matloop', 'of unknown version'))[:40]}", f"format {_FORMAT}",
            "use that version of matloop, or train again",
        )  # fmt: skip
    try:
        written = _Written.model_validate(said)
    except ValidationError as error:
        raise _damaged(folder, "other content") from error
    if check != key_of(**said) or len(written.files) > _MOST_FILES:
        raise _damaged(folder, f"a {FILE} that was changed")
    for name, sha256 in written.files.items():
        if sha256_of(regular_file(folder / name, inside=folder)) != sha256:
            raise _damaged(folder, f"a {name} that was changed")
    return written


def _own_properties(folder: Path, definition: Mapping[str, Any]) -> tuple[Property, ...]:
    """Return the own properties of the catalogue in use and that of a model, unless everybody knows it."""
    try:
        known = Property(**definition)
    except (TypeError, ValueError, MatloopError) as error:
        raise _damaged(folder, "a property that breaks the rules") from error
    own = tuple(one for one in catalogue().own if one.name != known.name)
    present = Catalogue(own).get(known.name)
    if present is None:
        return (*own, known)
    if (present.unit, present.lower, present.upper) != (known.unit, known.lower, known.upper):
        raise ModelError(
            f"{folder.name} predicts {known.name} in {known.unit} from {known.lower:g} to {known.upper:g}",
            f"{present.unit} from {present.lower:g} to {present.upper:g}, as the property is defined here",
            "train again",
        )  # fmt: skip
    return own


def _damaged(folder: Path, what: str) -> DamagedFileError:
    return DamagedFileError(f"{folder.name} holds {what}", "a model as matloop train wrote it", "train again")
