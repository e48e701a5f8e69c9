"""The contract check of filters names the clause that is broken."""

from typing import Any, ClassVar

import numpy as np
import pytest

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.reasons import Reason
from matloop.data.errors import ContractError
from matloop.data.label import Label
from matloop.screening.filters.contract import Filter, Verdict
from matloop.screening.filters.validation import validate_filter

CALLS: list[int] = []
LONG = "R-TEST-TOO-LONG"


class Sound(Filter):
    """Keeps formulas of at most three letters, until a test overrides something."""

    name = "sound"
    reason_words: ClassVar[dict[str, Label]] = {LONG: Label("{value} letters", "{value} 个字符")}

    def judge(self, batch: CandidateBatch) -> Verdict:
        lengths = np.array([len(formula) for formula in batch.formulas], int)
        return self.verdict(lengths <= 3, lengths)

    def verdict(self, keep: Any, lengths: Any) -> Verdict:
        return Verdict.of(keep, [Reason(LONG, int(length), source=self.name) for length in lengths])


class Unnamed(Sound):
    name = ""


class Nameless(Sound):
    @classmethod
    def title(cls) -> Label:
        return Label("length", "")


class English(Sound):
    reason_words: ClassVar[dict[str, Label]] = {LONG: Label("{value} letters", " ")}


class Wordless(Sound):
    reason_words: ClassVar[dict[str, Label]] = {}


class Fielded(Sound):
    reason_words: ClassVar[dict[str, Label]] = {LONG: Label("{length} letters", "{value} 个字符")}


class Numeric(Sound):
    def verdict(self, keep: Any, lengths: Any) -> Verdict:
        found = super().verdict(keep, lengths)
        return found._replace(keep=found.keep.astype(int))  # type: ignore[arg-type]


class Short(Sound):
    def verdict(self, keep: Any, lengths: Any) -> Verdict:
        found = super().verdict(keep, lengths)
        return found._replace(keep=found.keep[:-1])


class Sparse(Sound):
    def verdict(self, keep: Any, lengths: Any) -> Verdict:
        found = super().verdict(keep, lengths)
        return found._replace(reasons=found.reasons[:1])


class Mute(Sound):
    def verdict(self, keep: Any, lengths: Any) -> Verdict:
        return Verdict(keep, np.full(len(keep), None, object))


class Talkative(Sound):
    def verdict(self, keep: Any, lengths: Any) -> Verdict:
        return Verdict(keep, np.array([Reason(LONG, source="sound")] * len(keep), object))


class Wordy(Sound):
    def verdict(self, keep: Any, lengths: Any) -> Verdict:
        return Verdict(keep, np.where(keep, None, "too long"))


class Uncoded(Sound):
    def verdict(self, keep: Any, lengths: Any) -> Verdict:
        return Verdict.of(keep, Reason("too long", source="sound"))


class Borrowed(Sound):
    def verdict(self, keep: Any, lengths: Any) -> Verdict:
        return Verdict.of(keep, Reason(LONG, source="another"))


class Moody(Sound):
    def judge(self, batch: CandidateBatch) -> Verdict:
        CALLS.append(1)
        found = super().judge(batch)
        return found if len(CALLS) % 3 else self.verdict(np.ones(len(batch), bool), [])


class Seeded(Sound):
    def __init__(self) -> None:
        self.turn = np.random.default_rng().random()

    def verdict(self, keep: Any, lengths: Any) -> Verdict:
        return Verdict.of(keep, Reason(LONG, self.turn, source="sound"))


class Ordered(Sound):
    def judge(self, batch: CandidateBatch) -> Verdict:
        return self.verdict(np.arange(len(batch)) % 2 == 0, np.zeros(len(batch)))


class Relative(Sound):
    def judge(self, batch: CandidateBatch) -> Verdict:
        lengths = np.array([len(formula) for formula in batch.formulas], int)
        return self.verdict(lengths <= lengths.mean() if len(batch) else lengths > 0, lengths)


class Local(Sound):
    def __init__(self) -> None:
        self.function = lambda: None


class Homesick(Sound):
    def __init__(self, home: str = "here") -> None:
        self.home = home

    def __reduce__(self) -> Any:
        return Homesick, ("abroad",)

    def judge(self, batch: CandidateBatch) -> Verdict:
        found = super().judge(batch)
        return found if self.home == "here" else self.verdict(np.ones(len(batch), bool), [])


class Meddling(Sound):
    def judge(self, batch: CandidateBatch) -> Verdict:
        batch.compositions.amounts.flags.writeable = True
        batch.compositions.amounts[:] *= 2
        return super().judge(batch)


class Silent(Sound):
    def margin(self, finalist: CandidateBatch, **_: Any) -> Label:
        return Label("one letter", "")


BROKEN = [
    (Unnamed, "its name is no text"),
    (Nameless, "its title lacks words in a language"),
    (English, "the reason R-TEST-TOO-LONG lacks words in a language"),
    (Wordless, "the reason R-TEST-TOO-LONG has no words"),
    (Fielded, "another field than value and limit: 'length'"),
    (Numeric, "keep is int64, not bool"),
    (Short, r"shape \(8,\), not \(9,\)"),
    (Sparse, r"reasons of 9 candidates have shape \(1,\)"),
    (Mute, "a reason exactly if it goes"),
    (Talkative, "a reason exactly if it goes"),
    (Wordy, "a reason is str, not Reason"),
    (Uncoded, "'too long' is no code"),
    (Borrowed, "the source of a reason is 'another'"),
    (Moody, "the second time"),
    (Seeded, "another one of its kind"),
    (Ordered, "order of the candidates"),
    (Relative, "what else is in the batch"),
    (Local, "cannot be pickled"),
    (Homesick, "a copy in another process"),
    (Meddling, "changes the batch"),
    (Silent, "a margin lacks words in a language"),
]


@pytest.mark.parametrize(("broken", "clause"), BROKEN, ids=[kind.__name__ for kind, _ in BROKEN])
def test_the_broken_clause_is_named(broken: type[Sound], clause: str) -> None:
    CALLS.clear()
    validate_filter(Sound)
    with pytest.raises(ContractError, match=clause) as caught:
        validate_filter(broken)
    assert str(caught.value).startswith("E-CONTRACT: filter ")


def test_what_has_no_margin_is_no_filter() -> None:
    class Bare:
        name = "bare"

        def judge(self, batch: CandidateBatch) -> Verdict:
            return Verdict.of(np.ones(len(batch), bool), [])

    with pytest.raises(ContractError, match="parts of the contract are missing"):
        validate_filter(Bare)  # type: ignore[arg-type]
