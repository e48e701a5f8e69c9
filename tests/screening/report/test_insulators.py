"""What a card says of P(insulator): the chance, the gap then, and how far the sources of the chance agree."""

import numpy as np

from matloop.screening.report.insulators import insulator_words
from matloop.screening.runs.card_records import InsulatorCard
from tests.strategies import batch_of

CARD = InsulatorCard(rows=37000, in_several=2518, disagreeing=236)


def test_chance_value_and_disagreement_stand_in_both_languages() -> None:
    batch = batch_of("NaCl").with_columns(insulator_probability=np.array([0.8]), insulator_value=np.array([5.0]))
    words = insulator_words(CARD, batch, 0)
    assert words is not None
    for text in words:
        assert "80 %" in text
        assert "5.0" in text
        assert "236" in text
        assert "2,518" in text


def test_nothing_is_said_where_it_was_not_asked() -> None:
    batch = batch_of("NaCl")
    assert insulator_words(CARD, batch, 0) is None
    assert insulator_words(None, batch.with_columns(insulator_probability=np.array([0.8])), 0) is None
