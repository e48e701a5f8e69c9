import numpy as np
import pyarrow as pa
import pytest

from matloop.data.candidates.formula import parse_formulas
from matloop.data.errors import DatasetError
from matloop.data.packaged import transport as module
from matloop.data.packaged.transport import load_transport

STEMS = ("seebeck", "conductivity_per_relaxation_time", "power_factor_per_relaxation_time",
         "electronic_thermal_conductivity_per_relaxation_time", "conductivity_effective_mass")  # fmt: skip


@pytest.fixture(scope="session")
def transport() -> pa.Table:
    return load_transport()


def test_rows_and_columns(transport: pa.Table) -> None:
    assert transport.num_rows == 47_737
    expected = {f"{stem}_{carrier}_dft" for stem in STEMS for carrier in "pn"} | {"material_id", "formula"}
    assert set(transport.column_names) == expected
    assert len(transport["material_id"].unique()) == 47_737
    assert transport.schema.metadata[b"licence"] == b"CC BY 4.0"
    for field in transport.schema:
        assert set(field.metadata) == {b"unit", b"description", b"source"}


def test_no_value_is_missing_and_every_formula_is_read(transport: pa.Table) -> None:
    assert {name: transport[name].null_count for name in transport.column_names if transport[name].null_count} == {}
    _, codes = parse_formulas(transport["formula"].combine_chunks())
    assert not codes.any()


def test_formulas_that_look_like_something_else_stay_text(transport: pa.Table) -> None:
    assert transport.schema.field("formula").type == pa.string()
    assert {"NO", "I", "Na"} <= set(transport["formula"].to_pylist())


@pytest.mark.parametrize(("carrier", "sign"), [("p", 1), ("n", -1)])
def test_signs_and_sizes_are_physical(transport: pa.Table, carrier: str, sign: int) -> None:
    column = {stem: transport[f"{stem}_{carrier}_dft"].to_numpy() for stem in STEMS}
    assert (column["conductivity_per_relaxation_time"] >= 0).all()
    assert (column["power_factor_per_relaxation_time"] >= 0).all()
    assert (column["electronic_thermal_conductivity_per_relaxation_time"] >= 0).all()
    # Most crystals are semiconductors, whose holes and electrons carry Seebeck coefficients of opposite sign.
    assert (sign * column["seebeck"] > 0).mean() > 0.6


def test_power_factor_is_seebeck_squared_times_conductivity_in_cubic_crystals(transport: pa.Table) -> None:
    # (uV/K)^2 times 1e15/(ohm m s) is 1e3 W/(K2 m s), which the table counts in 1e9.
    seebeck, sigma = (transport[f"{stem}_p_dft"].to_numpy() for stem in STEMS[:2])
    published = transport["power_factor_per_relaxation_time_p_dft"].to_numpy()
    expected = seebeck**2 * sigma * 1e-6
    agrees = np.isclose(published, expected, rtol=0.02)
    assert agrees.mean() > 0.15
    assert np.median(published / expected) == pytest.approx(1.0, abs=0.1)


def test_other_archive_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ARCHIVE", module.ARCHIVE._replace(sha256="0" * 64))
    with pytest.raises(DatasetError, match=r"transport_database\.tar\.xz has sha256.*install matminer 0.10.1"):
        load_transport()


def test_too_large_a_member_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MEMBER_LIMIT", 1000)
    with pytest.raises(DatasetError, match="at most 1000"):
        load_transport()
