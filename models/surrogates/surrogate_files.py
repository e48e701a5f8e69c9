"""The files of a saved surrogate: written without pickle, and read as what a stranger may have changed."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matloop.data.bounded_files import LARGEST_JSON, parse_json, read_bounded, read_table
from matloop.data.errors import DamagedFileError, FileAccessError, MatloopError, ModelError
from matloop.models.families.array_ensemble import read_arrays
from matloop.models.families.making import load_ensemble
from matloop.models.families.transfer import Transfer
from matloop.models.surrogates.calibration import Calibration
from matloop.models.surrogates.chemical_support import ChemicalSupport
from matloop.models.surrogates.classification import RangeClassifier
from matloop.models.surrogates.computed_model import ComputedModel
from matloop.models.surrogates.difficulty import Difficulty
from matloop.models.surrogates.domain import Domain
from matloop.models.surrogates.hidden_chemistry import NOVELTY_COLUMNS
from matloop.models.surrogates.intervals import Intervals
from matloop.models.surrogates.out_of_fold import out_of_fold_table, read_out_of_fold

if TYPE_CHECKING:
    from matloop.models.surrogates.surrogate import Surrogate

_GOLDEN_ROWS = 5

Predicts = Callable[[NDArray[np.float64], NDArray[np.float64]], tuple[NDArray[np.float64], NDArray[np.float64]]]


def write_surrogate(folder: Path, surrogate: Surrogate, predicts: Predicts) -> None:
    """Write the ensemble, ``surrogate.npz``, ``out_of_fold.parquet`` and ``card.json`` into a new folder.

    Args:
        folder: Where.
        surrogate: What.
        predicts: Gives its centre and scale for inputs (n, k) and how new they are; a few predictions are kept beside.
    """
    folder.mkdir(parents=True)
    domain, intervals = surrogate.domain, surrogate.intervals
    calibration = intervals.calibration
    surrogate.ensemble.save(folder)
    intervals.difficulty.save(folder / "difficulty")
    golden = domain.points[:_GOLDEN_ROWS] / np.where(domain.weight > 0, domain.weight, np.inf)
    golden_values = (golden + domain.centre).astype(float)
    golden_novelty = np.zeros((len(golden_values), NOVELTY_COLUMNS))
    card = json.dumps(surrogate.card, indent=1, ensure_ascii=False)
    np.savez_compressed(
        folder / "surrogate.npz",
        softening=intervals.difficulty.softening, floor=calibration.floor,
        residuals=calibration.residuals, elements=surrogate.elements,
        calibration_edges=calibration.edges, calibration_sizes=calibration.sizes,
        support=intervals.support.formulas, hardly_seen=intervals.support.hardly_seen,
        golden_values=golden_values, golden_novelty=golden_novelty,
        golden=predicts(golden_values, golden_novelty), card_sha256=_text_hash(card),
        **domain.arrays(),  # type: ignore[arg-type]
    )  # fmt: skip
    if surrogate.computed is not None:
        surrogate.computed.save(folder / "computed")
    if surrogate.classifier is not None:
        surrogate.classifier.save(folder / "classifier")
    table = out_of_fold_table(surrogate.training, surrogate.out_of_fold_prediction())
    pq.write_table(table, folder / "out_of_fold.parquet", compression="zstd")
    (folder / "card.json").write_text(card, encoding="utf-8")


@dataclass(frozen=True)
class SavedSurrogate:
    """What the files of a surrogate hold.

    Attributes:
        parts: Arguments of the surrogate.
        golden_values: Inputs of a few rows, shape (g, k).
        golden_novelty: How new they count as, shape (g, 6).
        golden: Centre and scale of these where it was trained, shape (2, g).
    """

    parts: dict[str, Any]
    golden_values: NDArray[np.float64]
    golden_novelty: NDArray[np.float64]
    golden: NDArray[np.float64]

    def repeat(self, predicts: Predicts) -> None:
        """Repeat a few predictions.

        Raises:
            ModelError: If they come out differently here.
        """
        if not np.allclose(predicts(self.golden_values, self.golden_novelty), self.golden, rtol=1e-6, atol=1e-9):
            raise ModelError(
                f"the {self.parts['property_name']} model predicts other numbers here than where it was trained",
                f"the versions on its card: {self.parts['card']['versions']}",
                "install those versions or train again",
            )


def read_surrogate(folder: Path) -> SavedSurrogate:
    """Read what :func:`write_surrogate` wrote, in a block under :func:`told_as_damaged`.

    Raises:
        ModelError: If the card was changed.
    """
    content = read_bounded(folder / "card.json", most_bytes=LARGEST_JSON)
    text, card = content.decode("utf-8"), parse_json(content, name="card.json", allow_nan=True)
    a = read_arrays(folder / "surrogate.npz")
    if a["card_sha256"].item() != _text_hash(text):
        raise ModelError(f"the card in {folder.name} was changed", "a folder that save() wrote", "train again")
    table = read_table(folder / "out_of_fold.parquet")
    if a["golden_novelty"].shape[1] != NOVELTY_COLUMNS or "distance" not in table.column_names:
        raise ModelError(
            f"the model in {folder.name}, which an earlier version of matloop trained",
            "one that this version trained, since intervals are learned from other descriptions of candidates",
            "train again",
        )  # fmt: skip
    load = functools.partial(load_ensemble, card["family"], card["parameters"])
    classified, transfer = card.get("probability"), card.get("transfer")
    computed = None
    if transfer is not None:
        computed = ComputedModel.load(folder / "computed", card=transfer)
    parts = {
        "property_name": card["property"],
        "transform": card["transform"],
        "ensemble": load(folder) if transfer is None else Transfer.load(folder),
        "intervals": Intervals(
            Difficulty.load(folder / "difficulty", softening=float(a["softening"])),
            Calibration(float(a["floor"]), a["residuals"], a["calibration_edges"], a["calibration_sizes"]),
            ChemicalSupport.from_arrays(a["support"], a["hardly_seen"]),
        ),
        "domain": Domain.from_arrays(a),
        "elements": a["elements"],
        "training": read_out_of_fold(table, card["transform"]),
        "card": card,
        "classifier": RangeClassifier.load(folder / "classifier", load, classified) if classified else None,
        "computed": computed,
    }
    return SavedSurrogate(parts, a["golden_values"], a["golden_novelty"], a["golden"])


@contextlib.contextmanager
def told_as_damaged(folder: Path) -> Iterator[None]:
    """Give the user one message, whatever a damaged file makes a reader raise.

    Raises:
        ModelError: Instead of it.
    """
    try:
        yield
    except FileAccessError:
        raise
    except DamagedFileError as error:
        raise ModelError(f"no readable model in {folder.name}: {error.got}", "a folder that save() wrote") from error
    except MatloopError:
        raise
    except Exception as error:
        raise ModelError(f"no readable model in {folder.name}: {error}", "a folder that save() wrote") from error


def _text_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
