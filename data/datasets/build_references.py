"""Build ``NAME_references.parquet``: the energy a potential gives each packaged crystal as it stands, unrelaxed.

Run ``python data/datasets/build_references.py chgnet``, which takes two to three minutes on one core, or ``sevennet``,
which takes some twenty-five. Energies repeat within 1e-5 eV/atom however the crystals are batched, so the file need not
come out byte for byte the same elsewhere. Needs matloop with its extra ``potentials`` or ``sevennet``.
"""

from __future__ import annotations

import argparse
import hashlib
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from matloop.data.elements import SYMBOLS
from matloop.data.packaged.materials import MATERIALS_SHA256, load_materials
from matloop.data.packaged.reference_energies import REFERENCE_FILES
from matloop.data.registry import lookup

# By name: nothing below data/ imports another folder.
POTENTIALS = {
    "chgnet": "matloop.models.potentials.chgnet:CHGNetPotential",
    "sevennet": "matloop.models.potentials.sevennet:SevenNetPotential",
}


def build(name: str) -> None:
    """Evaluate, write, and print what is in the file."""
    materials, potential = load_materials(), lookup("potential", POTENTIALS, name)()
    start = time.perf_counter()
    energies = potential.energies(materials)
    print(f"{len(materials)} crystals in {time.perf_counter() - start:.0f} s")
    codes = potential.row_codes(materials)
    for code in np.unique(codes[codes != ""]):
        rows = np.flatnonzero(codes == code)
        print(f"no energy, {code}: {', '.join(materials.table['material_id'].take(pa.array(rows)).to_pylist())}")
    description = f"Potential energy of the crystal in materials.parquet, unrelaxed, by {name} {potential.version}."
    fields = [
        pa.field("material_id", pa.string(), metadata={"unit": "1", "description": "Materials Project identifier."}),
        pa.field("energy_per_atom", pa.float32(), metadata={"unit": "eV/atom", "description": description}),
    ]
    about = {
        "potential": potential.name, "version": potential.version, "weights_sha256": potential.weights_sha256,
        "materials_sha256": MATERIALS_SHA256, "licence": "CC BY 4.0", "attribution": "ATTRIBUTION.md",
    }  # fmt: skip
    values = pa.array(energies.astype(np.float32), mask=np.isnan(energies))
    columns = [materials.table["material_id"].combine_chunks(), values]
    table = pa.Table.from_arrays(columns, schema=pa.schema(fields, metadata=about))
    output = REFERENCE_FILES[name].path
    draft = output.with_suffix(".partial")
    pq.write_table(table, draft, compression="zstd", compression_level=19, use_dictionary=False)
    draft.replace(output)
    print(f"{output.name}: {output.stat().st_size:,} bytes, sha256 {hashlib.sha256(output.read_bytes()).hexdigest()}")
    single = materials.compositions.take(np.flatnonzero((materials.compositions.lengths == 1) & (codes == "")))
    pure, present = {SYMBOLS[z] for z in single.elements}, {SYMBOLS[z] for z in materials.compositions.elements}
    print(f"{len(pure)} elements have a crystal of their own; only in compounds: {', '.join(sorted(present - pure))}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("potential", choices=POTENTIALS)
    build(parser.parse_args().potential)
