"""The card of a model as a page, and what a card of an earlier version lacks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from matloop.data.errors import RunError, unknown_name
from matloop.data.properties.catalogue import using
from matloop.models.surrogates.prediction import backward
from matloop.screening.language.text import Words
from matloop.screening.report.model_page import ModelFacts, held_out_of, write_model_page
from matloop.workflows.modelling.trained_model import TrainedModel

LANGUAGES = ("en", "zh")
_ENTRIES = {
    "learning_curve": Words("learning curve", "学习曲线"),
    "random_split": Words("error on random folds", "随机分组的误差"),
    "error_regions": Words("errors by chemistry and range", "按化学类别与数值范围的误差"),
}


def write_card(model: TrainedModel, output: str | Path, *, language: str = "en") -> Path:
    """Write the card of a model as one HTML file: scores, figures, where the errors are, domain and data.

    Args:
        model: The model.
        output: The file, which ends in ``.html``.
        language: Language in which the page opens, ``en`` or ``zh``; it holds both.

    Returns:
        The file.

    Raises:
        RunError: If the file is no ``.html`` file, or its folder does not exist.
        UnknownNameError: For an unknown language.
        DamagedFileError: If the card is not one that matloop writes.
    """
    path = Path(output).expanduser()
    check_page(path, language)
    with using(model.catalogue):
        write_model_page(path, model_facts(model), language=language)
    return path


def check_page(path: Path, language: str) -> None:
    """Make sure that a page can be written.

    Args:
        path: The file.
        language: Language in which it opens.

    Raises:
        RunError: If the file is no ``.html`` file, or its folder does not exist.
        UnknownNameError: For an unknown language.
    """
    if language not in LANGUAGES:
        raise unknown_name("language", language, LANGUAGES)
    if path.suffix.lower() != ".html":
        raise RunError(
            f"--output {path.name} names no format that a card is written in", ".html", f"--output {path.stem}.html"
        )
    if not path.parent.is_dir():
        raise RunError(f"no folder {path.parent} to write {path.name} into", "an existing folder")


def model_facts(model: TrainedModel) -> ModelFacts:
    """Gather what the page of a model shows.

    Args:
        model: The model.

    Raises:
        DamagedFileError: If the card is not one that matloop writes.
    """
    surrogate, prediction = model.surrogate, model.surrogate.out_of_fold_prediction()
    target = backward(surrogate.training.target, surrogate.transform)
    return ModelFacts(
        name=model.name,
        card=model.card.model_dump(exclude_unset=True),
        held_out=held_out_of(target, prediction.median, *prediction.interval(0.9)),
        features=[featurizer.name for featurizer in model.features.featurizers],
        elements=np.flatnonzero(surrogate.elements).tolist(),
        limit=surrogate.domain.limit,
        outside=float((~prediction.in_domain).mean()),
        predicts_unseen=surrogate.unseen_elements.predicted,
        unseen_in_domain=surrogate.unseen_elements.in_domain,
        hardly_seen=np.flatnonzero(surrogate.intervals.support.hardly_seen).tolist(),
        notes=model.notes,
        lacking=lacking_words(model),
    )


def lacking_words(model: TrainedModel) -> Words | None:
    """Say what the card of a model lacks because an earlier version wrote it; None if it lacks nothing.

    Args:
        model: The model.
    """
    missing = [words for name, words in _ENTRIES.items() if model.surrogate.card.get(name) is None]
    if not missing:
        return None
    stated = model.surrogate.card.get("versions")
    version = str(stated.get("matloop", ""))[:40] if isinstance(stated, dict) else ""
    return Words(
        f"Not on this card, which matloop {version} wrote: {', '.join(words.en for words in missing)}. Train again to"
        " have them.",
        f"本卡片由 matloop {version} 生成，缺少：{'、'.join(words.zh for words in missing)}。重新训练即可补全。",
    )
