"""Electronic transport of 47,737 crystals, read from the archive inside the installed matminer.

The table is that of Ricci et al., "An ab initio electronic transport database for inorganic materials", Scientific
Data 4, 170085 (2017), doi:10.1038/sdata.2017.85: Boltzmann transport at a constant relaxation time (BoltzTraP on PBE
bands) at 300 K and 1e18 carriers per cm3. Conductivities and power factors are per relaxation time: none of them can be
read as a measured one. The published power factor is the mean over directions of the product, so it equals the product
of the mean values in cubic crystals only. Metals are included, and the archive has no band gap to tell them apart.

matminer is located but not imported: that would take seconds, reading the archive takes a quarter of one.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from matloop.data.errors import DatasetError
from matloop.data.packaged.package_file import PackageFile
from matloop.data.properties.columns import Column

ARCHIVE = PackageFile(
    package="matminer",
    path=Path("utils", "data_files", "mp_transport", "transport_database.tar.xz"),
    sha256="d6cecdd6dc68ab95bc4348026e3872e77a186b96189a4e34dd253f8bacf0b08d",
    size_limit=4_000_000,  # it has 2.7 million
    install="matminer",
    release="install matminer 0.10.1, whose archive these columns were checked against",
)
MEMBER = "transport_database.csv"
MEMBER_LIMIT = 8_000_000  # bytes; the text has 6.5 million

# Column in the archive -> (column stem, unit, description); the carrier sign p or n stands between stem and suffix.
_QUANTITIES = {
    "S": ("seebeck", "uV/K", "Seebeck coefficient, mean of the tensor's eigenvalues"),
    "sigma": (
        "conductivity_per_relaxation_time",
        "1e15/(ohm m s)",
        "Electrical conductivity per relaxation time, mean of the tensor's eigenvalues",
    ),
    "PF": (
        "power_factor_per_relaxation_time",
        "1e9 W/(K2 m s)",
        "Power factor (Seebeck coefficient squared times conductivity) per relaxation time, mean eigenvalue",
    ),
    "kappa": (
        "electronic_thermal_conductivity_per_relaxation_time",
        "1e9 W/(K m s)",
        "Electronic thermal conductivity per relaxation time, mean of the tensor's eigenvalues",
    ),
    "m": (
        "conductivity_effective_mass",
        "1",
        "Effective mass in electron masses, mean eigenvalue of carriers times charge squared over conductivity "
        "per relaxation time; no band property where the crystal is a metal",
    ),
}
_CARRIERS = {"p": "1e18 holes/cm3", "n": "1e18 electrons/cm3"}
LICENCE = "CC BY 4.0"
_SOURCE = "Ricci et al. 2017, doi:10.1038/sdata.2017.85, as carried by matminer"


def _fields() -> dict[str, pa.Field]:
    """Column in the archive -> Arrow field of the table."""
    fields = {
        "mp_id": _field(Column.MATERIAL_ID, pa.string(), "1", "Materials Project identifier of 2017."),
        "pretty_formula": _field(Column.FORMULA, pa.string(), "1", "Reduced formula as published in 2017."),
    }
    for symbol, (stem, unit, description) in _QUANTITIES.items():
        for sign, carriers in _CARRIERS.items():
            text = f"{description}; {sign}-type, 300 K, {carriers}, constant relaxation time (BoltzTraP on PBE bands)."
            fields[f"{symbol}_{sign}"] = _field(f"{stem}_{sign}_dft", pa.float64(), unit, text)
    return fields


def _field(name: str, type_: pa.DataType, unit: str, description: str) -> pa.Field:
    return pa.field(name, type_, metadata={"unit": unit, "description": description, "source": _SOURCE})


def load_transport() -> pa.Table:
    """Transport properties by material id.

    Returns:
        47,737 rows: ``material_id``, ``formula`` and, for p- and n-type, ``seebeck_p_dft`` (uV/K),
        ``conductivity_per_relaxation_time_p_dft`` (1e15/(ohm m s)), ``power_factor_per_relaxation_time_p_dft``
        (1e9 W/(K2 m s)), ``electronic_thermal_conductivity_per_relaxation_time_p_dft`` (1e9 W/(K m s)),
        ``conductivity_effective_mass_p_dft``. Each field's metadata carry unit and description.

    Raises:
        DatasetError: If matminer is not installed, or its archive is not the one these columns were checked against.

    >>> table = load_transport()
    >>> table.num_rows, table["formula"][3].as_py(), table["seebeck_p_dft"][3].as_py()
    (47737, 'BaTe', 545.90221)
    """
    fields = _fields()
    # Only an empty cell is a missing value: formulas such as NaN and InF must stay text.
    options = pa.csv.ConvertOptions(
        column_types={source: field.type for source, field in fields.items()},
        include_columns=list(fields),
        null_values=[""],
        strings_can_be_null=False,
    )
    table = pa.csv.read_csv(io.BytesIO(_read_member(ARCHIVE.read())), convert_options=options)
    schema = pa.schema(list(fields.values()), metadata={"licence": LICENCE, "source": _SOURCE})
    return pa.Table.from_arrays(table.columns, schema=schema)


def _read_member(archive: bytes) -> bytes:
    """The text of the one member wanted; nothing is written to disk."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r|xz") as stream:
        for member in stream:
            if member.name == MEMBER and member.isfile() and member.size <= MEMBER_LIMIT:
                content = stream.extractfile(member)
                if content is not None:
                    return content.read(MEMBER_LIMIT)
    raise DatasetError(f"{ARCHIVE.path.name} has no file {MEMBER} of at most {MEMBER_LIMIT} bytes")
