from matloop.data.candidates.reasons import DECISION_CODES
from matloop.data.errors import ROW_CODES
from matloop.screening.language.relaxing import relaxing_words


def test_every_reason_has_something_to_relax_in_both_languages() -> None:
    for code in [*DECISION_CODES, *ROW_CODES, "R-FILTER-ELEMENT-COUNT", "R-MY-OWN"]:
        words = relaxing_words(code)
        assert words.en
        assert words.zh
        assert words.en != words.zh


def test_the_nearest_words_are_taken() -> None:
    assert "explore: true" in relaxing_words("R-SURROGATE-DOMAIN").en
    assert "another potential" in relaxing_words("E-POTENTIAL-ELEMENT").en
    assert "more time" in relaxing_words("E-POTENTIAL-TIMEOUT").en
    assert "matloop why" in relaxing_words("R-MY-OWN").en
