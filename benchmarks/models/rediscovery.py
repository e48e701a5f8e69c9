"""Rediscovery: well-known optical compounds, every polymorph removed from training, predicted as if new.

``python benchmarks/models/rediscovery.py``
"""

from __future__ import annotations

import numpy as np
from surrogates import load_task

from matloop.data.packaged.materials import load_materials
from matloop.data.properties.catalogue import property_named
from matloop.models.surrogates.surrogate import Surrogate
from matloop.workflows.bench.hardware import describe

COMPOUNDS = ("TiO2", "ZrO2", "HfO2", "Si3N4", "La2SO2", "GaN", "ZnS")
PROPERTIES = ("refractive_index", "band_gap")


def main() -> None:
    """Print prediction and truth of every polymorph, and how many compounds lie inside."""
    print(describe("scikit-learn"))
    materials = load_materials()
    formulas = np.array(materials.formulas)
    computed = np.isfinite(materials.column("refractive_index_dft"))
    held_out = {name: np.flatnonzero((formulas == name) & computed) for name in COMPOUNDS}
    held_out = {name: rows for name, rows in held_out.items() if len(rows)}
    absent = [name for name in COMPOUNDS if name not in held_out]
    print(
        f"held out with all polymorphs: {', '.join(held_out)}; not among the dielectrics: {', '.join(absent) or 'none'}"
    )
    inside: dict[str, list[bool]] = {name: [] for name in held_out}
    for property_name in PROPERTIES:
        transform = property_named(property_name).transform
        task = load_task(property_name, transform)
        rows = np.flatnonzero(np.isfinite(materials.column(f"{property_name}_dft")))
        names = formulas[rows]
        training, test = ~np.isin(names, list(held_out)), np.isin(names, list(held_out))
        model = Surrogate.fit(
            property_name, task.features.take(np.flatnonzero(training)), task.target[training], task.groups[training],
            transform=transform,
        )  # fmt: skip
        prediction = model.predict(task.features.take(np.flatnonzero(test)))
        low, high = prediction.interval(0.9)
        for k, row in enumerate(np.flatnonzero(test)):
            hit = bool(low[k] <= task.target[row] <= high[k])
            inside[names[row]].append(hit)
            material = materials.table["material_id"][int(rows[row])].as_py()
            print(
                f"  {property_name:<17} {names[row]:<7} {material:<11} computed {task.target[row]:6.2f}   "
                f"predicted {prediction.median[k]:6.2f} [{low[k]:6.2f}, {high[k]:6.2f}] {'' if hit else 'outside'}"
            )
    whole = [name for name, hits in inside.items() if all(hits)]
    values = [hit for hits in inside.values() for hit in hits]
    print(f"all values of all polymorphs inside the 90 % intervals: {len(whole)} of {len(inside)} compounds")
    print(
        f"values inside: {sum(values)} of {len(values)}; compounds with one outside: {sorted(set(inside) - set(whole))}"
    )


if __name__ == "__main__":
    main()
