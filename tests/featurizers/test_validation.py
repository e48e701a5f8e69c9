"""The contract check of featurizers names the clause that is broken."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.errors import ContractError
from matloop.data.feature_words import FeatureWords
from matloop.data.label import Label
from matloop.featurizers.base import Features, Featurizer, no_codes
from matloop.featurizers.validation import validate_featurizer

CALLS: list[int] = []


class Sound(Featurizer):
    """The length of the formula, until a test overrides something."""

    name = "sound"
    version = "1"
    feature_names = ("length", "square")
    needs = frozenset({"compositions"})
    parameters: Mapping[str, Any] = {}

    def featurize(self, batch: CandidateBatch) -> Features:
        lengths = np.array([len(formula) for formula in batch.formulas], float)
        return Features(np.column_stack([lengths, lengths**2]), no_codes(len(batch)))


class Nameless(Sound):
    version = ""


class Twice(Sound):
    feature_names = ("length", "length")


class Listed(Sound):
    def __init__(self) -> None:
        self.feature_names = ["length", "square"]  # type: ignore[assignment]


class Odd(Sound):
    parameters: Mapping[str, Any] = {"table": np.zeros(3)}


class Wide(Sound):
    def featurize(self, batch: CandidateBatch) -> Features:
        found = super().featurize(batch)
        return found._replace(values=found.values[:, :1])


class Single(Sound):
    def featurize(self, batch: CandidateBatch) -> Features:
        found = super().featurize(batch)
        return found._replace(values=found.values.astype(np.float32))


class Silent(Sound):
    def featurize(self, batch: CandidateBatch) -> Features:
        found = super().featurize(batch)
        found.values[found.values[:, 0] == 3] = np.nan
        return found


class Foreign(Sound):
    def featurize(self, batch: CandidateBatch) -> Features:
        found = super().featurize(batch)
        bad = found.values[:, 0] == 3
        found.values[bad] = np.nan
        return found._replace(codes=np.where(bad, "E-MINE", found.codes))


class Uncoded(Sound):
    def featurize(self, batch: CandidateBatch) -> Features:
        return super().featurize(batch)._replace(codes=no_codes(len(batch) + 1))


class Moody(Sound):
    def featurize(self, batch: CandidateBatch) -> Features:
        CALLS.append(1)
        found = super().featurize(batch)
        return found._replace(values=found.values + len(CALLS))


class Seeded(Sound):
    def __init__(self) -> None:
        self.shift = np.random.default_rng().random()

    def featurize(self, batch: CandidateBatch) -> Features:
        found = super().featurize(batch)
        return found._replace(values=found.values + self.shift)


class Ordered(Sound):
    def featurize(self, batch: CandidateBatch) -> Features:
        found = super().featurize(batch)
        return found._replace(values=found.values + np.arange(len(batch))[:, None])


class Relative(Sound):
    def featurize(self, batch: CandidateBatch) -> Features:
        found = super().featurize(batch)
        return found._replace(values=found.values - (found.values.mean() if len(batch) else 0))


class Local(Sound):
    def __init__(self) -> None:
        self.function = lambda: None


class Homesick(Sound):
    def __init__(self, home: str = "here") -> None:
        self.home = home

    def __reduce__(self) -> Any:
        return Homesick, ("abroad",)

    def featurize(self, batch: CandidateBatch) -> Features:
        found = super().featurize(batch)
        return found._replace(values=found.values + (self.home == "abroad"))


class Meddling(Sound):
    def featurize(self, batch: CandidateBatch) -> Features:
        found = super().featurize(batch)
        batch.compositions.amounts.flags.writeable = True
        batch.compositions.amounts[:] *= 2
        return found


class Secretive(Sound):
    def featurize(self, batch: CandidateBatch) -> Features:
        found = super().featurize(batch)
        volume = np.zeros(len(batch)) if batch.crystals is None else batch.crystals.volumes
        return found._replace(values=found.values + volume[:, None])


class Listing(Sound):
    needs = ["compositions"]  # type: ignore[assignment]  # noqa: RUF012


class English(Sound):
    def words(self, name: str) -> FeatureWords:
        return FeatureWords(Label("length", "长度"), Label(name, ""))


class Eager(Sound):
    def featurize(self, batch: CandidateBatch) -> Features:
        found = super().featurize(batch)
        return found if len(batch) else found._replace(values=np.empty((0, 5)))


BROKEN = [
    (Nameless, "name or version"),
    (Twice, "two features have one name"),
    (Listed, "feature_names is no tuple"),
    (Odd, "no plain JSON"),
    (Wide, r"shape \(9, 1\), not \(9, 2\)"),
    (Single, "float32, not float64"),
    (Silent, "a row has a code exactly if"),
    (Foreign, "row codes that nobody knows: E-MINE"),
    (Uncoded, "codes of 9 candidates have shape"),
    (Moody, "the second time"),
    (Seeded, "another one of its kind"),
    (Ordered, "order of the candidates"),
    (Relative, "what else is in the batch"),
    (Local, "cannot be pickled"),
    (Homesick, "a copy in another process"),
    (Meddling, "changes the batch"),
    (Secretive, "uses a block of the batch and does not say so"),
    (Listing, "needs is no frozenset"),
    (English, "words of the feature 'length': the label lacks words"),
    (Eager, r"values of 0 candidates have shape \(0, 5\)"),
]


@pytest.mark.parametrize(("broken", "clause"), BROKEN, ids=[kind.__name__ for kind, _ in BROKEN])
def test_the_broken_clause_is_named(broken: type[Sound], clause: str) -> None:
    validate_featurizer(Sound)
    with pytest.raises(ContractError, match=clause) as caught:
        validate_featurizer(broken)
    assert str(caught.value).startswith("E-CONTRACT: featurizer 'sound' breaks its contract")


def test_what_has_no_words_at_all_is_no_featurizer() -> None:
    class Bare:
        name, version, feature_names, needs, parameters = "bare", "1", ("pid",), frozenset(), {}

        def featurize(self, batch: CandidateBatch) -> Features:
            return Features(np.full((len(batch), 1), float(os.getpid())), no_codes(len(batch)))

    with pytest.raises(ContractError, match="parts of the contract are missing"):
        validate_featurizer(Bare)  # type: ignore[arg-type]
