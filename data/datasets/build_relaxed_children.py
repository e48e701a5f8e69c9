"""Build ``relaxed_children.parquet``: candidates drawn at random, relaxed with CHGNet, with SevenNet's energies too.

Run ``python data/datasets/build_relaxed_children.py``, which takes about an hour of one core. Children are drawn by row
from the default ionic substitution (120,000 of the packaged crystals). Two of each three have a composition that the
packaged table of the Materials Project lists and no packaged crystal has; one has a composition that no list of the
Materials Project has. The numbers of the rows change with the generator: the released file was drawn before
substitutions of mixed valence were added, so another run draws others. Children with radioactive elements are left
out, and so are those that do not come to rest. Needs matloop with its extras ``potentials`` and ``sevennet``.
"""

from __future__ import annotations

import argparse
import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matloop.data.candidates.batch import CandidateBatch
from matloop.data.candidates.compositions import composition_keys
from matloop.data.candidates.formula import parse_formulas
from matloop.data.generators.ionic_substitution import IonicSubstitution
from matloop.data.packaged.computed_phases import load_known_formulas
from matloop.data.packaged.materials import load_materials
from matloop.data.packaged.relaxed_children import RELAXED_CHILDREN
from matloop.data.packaged.transport import load_transport
from matloop.data.properties.columns import Column
from matloop.data.registry import lookup

# By name: nothing below data/ imports another folder.
NAMES = {
    "chgnet": "matloop.models.potentials.chgnet:CHGNetPotential",
    "sevennet": "matloop.models.potentials.sevennet:SevenNetPotential",
    "relax": "matloop.models.potentials.guarded_relaxation:relax_guarded",
    "settings": "matloop.models.potentials.guarded_relaxation:GuardedRelaxationSettings",
    "limits": "matloop.models.potentials.relaxed_crystal:RelaxationLimits",
}
RADIOACTIVE = [43, 61, *range(84, 119)]
FIELDS = {
    "formula": "Reduced formula.",
    "origin": "Parent crystal, and which of its ions were replaced.",
    "substitution_probability": "Probability of the substitution.",
    "listed": "Whether the Materials Project of 2019 lists the composition.",
    "chgnet_energy_per_atom": "Energy of the relaxed crystal by CHGNet, which relaxed it.",
    "sevennet_energy_per_atom": "Energy of the same crystal by SevenNet.",
}


def drawn(triples: int) -> tuple[CandidateBatch, NDArray[np.bool_]]:
    """Children in the order of drawing, and whether their composition is listed."""
    children = [intake.batch for intake in IonicSubstitution().intakes(20_000)]
    keys = np.concatenate([composition_keys(batch.compositions) for batch in children])
    listed = np.isin(keys, keys_of(load_known_formulas("materials_project").to_pylist()))
    packaged = load_materials().formulas + load_transport()[Column.FORMULA].to_pylist()
    unpackaged = ~np.isin(keys, keys_of(packaged))
    random = np.random.default_rng(0)
    known, new = (
        random.permutation(np.flatnonzero(listed & unpackaged)),
        random.permutation(np.flatnonzero(~listed & unpackaged)),
    )
    rows = np.column_stack([known[: 2 * triples : 2], known[1 : 2 * triples : 2], new[:triples]]).ravel()
    places = np.searchsorted(np.cumsum([len(batch) for batch in children]), rows, side="right")
    starts = np.concatenate([[0], np.cumsum([len(batch) for batch in children])])
    tables = [
        children[place].take(np.array([row - starts[place]])).to_arrow()
        for place, row in zip(places.tolist(), rows.tolist(), strict=True)
    ]
    return CandidateBatch.from_arrow(pa.concat_tables(tables)), listed[rows]


def keys_of(formulas: list[str]) -> NDArray[np.uint64]:
    """Keys of the compositions of formulas; what cannot be read has none."""
    compositions, codes = parse_formulas(formulas, exact=True)
    return composition_keys(compositions.take(np.flatnonzero(codes == "")))


def build(triples: int) -> None:
    """Draw, relax, evaluate and write."""
    batch, listed = drawn(triples)
    wanted = ~batch.compositions.element_mask()[:, RADIOACTIVE].any(axis=1)
    batch, listed = batch.take(np.flatnonzero(wanted)), listed[wanted]
    limits = lookup("part", NAMES, "limits")(largest_force=0.1, steps=150, seconds=300)
    relaxed = lookup("part", NAMES, "relax")("chgnet", batch, lookup("part", NAMES, "settings")(limits=limits))
    rows = np.flatnonzero(relaxed.column(Column.RELAXATION_OUTCOME) == "converged")
    second = lookup("part", NAMES, "sevennet")()
    rows = rows[second.row_codes(relaxed.take(rows)) == ""]
    write(relaxed.take(rows), listed[rows], second.energies(relaxed.take(rows)))


def write(relaxed: CandidateBatch, listed: NDArray[np.bool_], second: NDArray[np.float64]) -> None:
    """Write the file and print its hash."""
    potentials = {name: lookup("part", NAMES, name)() for name in ("chgnet", "sevennet")}
    about = {name: f"{p.name}-{p.version}-{p.weights_sha256[:12]}" for name, p in potentials.items()}
    columns = {
        "formula": pa.array(relaxed.formulas),
        "origin": relaxed.table[Column.ORIGIN].combine_chunks(),
        "substitution_probability": relaxed.table[Column.SUBSTITUTION_PROBABILITY].combine_chunks(),
        "listed": pa.array(listed),
        "chgnet_energy_per_atom": pa.array(relaxed.column(Column.RELAXATION_ENERGY).astype(np.float32)),
        "sevennet_energy_per_atom": pa.array(second.astype(np.float32)),
    }
    fields = [pa.field(name, columns[name].type, metadata={"description": words}) for name, words in FIELDS.items()]
    about |= {"licence": "CC BY 4.0", "attribution": "ATTRIBUTION.md"}
    table = pa.Table.from_arrays(list(columns.values()), schema=pa.schema(fields, metadata=about))
    output = RELAXED_CHILDREN.path
    pq.write_table(table, output, compression="zstd", compression_level=19)
    sha256 = hashlib.sha256(output.read_bytes()).hexdigest()
    print(f"{table.num_rows} rows, {output.stat().st_size:,} bytes, sha256 {sha256}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--triples", type=int, default=420, help="two listed compositions and one that is not, each")
    build(parser.parse_args().triples)
