import pytest
from pydantic import ValidationError

from matloop.screening.campaign.target import Target

WRITTEN = {"property": "band_gap", "goal": "at_least", "value": 2.5, "unit": "eV"}


def test_the_measured_scale_is_a_transfer_from_computed_to_measured_labels() -> None:
    target = Target(**WRITTEN, scale="experiment")
    assert target.transfer is not None
    assert (target.transfer.from_, target.transfer.to, target.provenance) == ("dft", "exp", "exp")
    written = target.model_dump(mode="json")
    assert written["scale"] == "experiment"
    assert not {"transfer", "provenance", "value_scale"} & set(written)
    assert Target.model_validate(written) == target


def test_a_target_without_it_is_written_as_before() -> None:
    assert "scale" not in Target(**WRITTEN).model_dump(mode="json")


@pytest.mark.parametrize(
    ("further", "words"),
    [
        ({"property": "bulk_modulus_vrh", "unit": "GPa"}, "no measured values of bulk_modulus_vrh"),
        ({"provenance": "exp"}, "leave 'provenance' out"),
        ({"transfer": {"from": "dft:pbe", "to": "exp"}}, "leave 'transfer' out"),
        ({"scale": "measured"}, "experiment"),
    ],
)
def test_what_it_cannot_mean_is_refused(further: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Target.model_validate({**WRITTEN, "scale": "experiment", **further})
