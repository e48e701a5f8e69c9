"""Where the numbers of a dossier come from: each has a source with a date, and the sources are listed once.

In ``dossier.json`` a number stands in an object that names its source, or inside one that does. The key leads to the
list ``sources``, which says what it is and of when.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from matloop.data.element_facts.fact_tables import FactTable
from matloop.data.packaged.citations import CITATIONS, MATERIALS_PROJECT
from matloop.data.packaged.computed_phases import load_computed_phases
from matloop.data.training.packaged_tables import LICENCE
from matloop.screening.dossier.diffraction import WAVELENGTH_SOURCE, Radiation
from matloop.screening.language.model_words import family_words
from matloop.screening.language.stages import stage_words
from matloop.screening.language.text import Words, property_words
from matloop.screening.runs.run_view import RunView


class NumberSource(NamedTuple):
    """Where numbers come from.

    Attributes:
        key: By which numbers name it.
        title: What it is.
        date: Day or year of which its numbers are, such as ``2026-11-29`` or ``2019``.
        detail: Publication, file or versions.
        licence: Of the data; empty for what the run computed.
        expires: Day from which it has to be looked at again; empty where there is none.
    """

    key: str
    title: Words
    date: str
    detail: str = ""
    licence: str = ""
    expires: str = ""

    def record(self) -> dict[str, Any]:
        """The source as plain JSON values."""
        told = {**self._asdict(), "title": {"en": str(self.title.en), "zh": str(self.title.zh)}}
        return {name: value for name, value in told.items() if value and name != "key"}


class NumberSources:
    """The sources that a dossier names, in the order in which they were first named."""

    def __init__(self) -> None:
        self._found: dict[str, NumberSource] = {}

    def __iter__(self) -> Iterator[NumberSource]:
        return iter(self._found.values())

    def add(self, source: NumberSource) -> str:
        """List a source; its key is returned."""
        self._found.setdefault(source.key, source)
        return source.key

    def mark(self, key: str) -> int:
        """Number of a source in the list, from 1."""
        return list(self._found).index(key) + 1

    def record(self) -> dict[str, Any]:
        """The list as plain JSON values by key."""
        return {source.key: source.record() for source in self}


def stability_sources(sources: NumberSources) -> list[str]:
    """Keys of what distances from hulls rest on, as far as a dossier has them."""
    there = {source.key for source in sources}
    return [key for key in ("potential", "second_potential", "hull") if key in there]


def traced(value: float | None, unit: str, source: str) -> dict[str, Any] | None:
    """A number with its unit and the key of its source; None where there is no number.

    >>> traced(2.46, "1", "surrogate/structure/refractive_index")
    {'value': 2.46, 'unit': '1', 'source': 'surrogate/structure/refractive_index'}
    """
    if value is None or not math.isfinite(value):
        return None
    return {"value": value, "unit": unit, "source": source}


def date_of_run(view: RunView) -> str:
    """Day on which a run came to its end."""
    progress = view.progress
    seconds = view.paths.summary.stat().st_mtime if progress is None else progress.updated
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def run_source(view: RunView) -> NumberSource:
    """What a run computed as a whole: probabilities, ranks, and the crystals as it wrote them."""
    name, version = view.campaign.name, view.summary.versions.get("matloop", "")
    title = Words(f"Run of the campaign {name}", f"筛选任务 {name} 的运行结果")
    return NumberSource("run", title, date_of_run(view), f"matloop {version}, ranked.parquet".replace("  ", " "))


def surrogate_source(view: RunView, stage: str, name: str) -> NumberSource:
    """The surrogate of one property in one stage, and what it learned from."""
    label, where = property_words(name), stage_words(stage)
    family, rows, detail = family_words(""), "", ""
    card = view.cards_of_stages.get((stage, name))
    if card is not None:
        told = card.model_dump()
        family, rows = family_words(str(told.get("family", ""))), f"{told.get('rows_trained') or 0:,}"
        detail = f"data sha256 {str(told.get('data_sha256') or '')[:12]}"
    data = view.training[name]
    title = Words(
        f"Model of the {label.en} ({where.en.lower()}): {family.en}, {rows} rows of {data.name} ({data.provenance})",
        f"{label.zh}模型（{where.zh}）：{family.zh}，{data.name} 数据 {rows} 行（{data.provenance}）",
    )
    cited = "; ".join(filter(None, (data.citation, detail)))
    return NumberSource(f"surrogate/{stage}/{name}", title, date_of_run(view), cited, data.licence)


def potential_source(view: RunView) -> NumberSource:
    """Energies and forces of the potential of a run."""
    name = "" if view.campaign.potential is None else view.campaign.potential.name
    title = Words(f"Relaxed with the potential {name}", f"势函数 {name} 的弛豫结果")
    return NumberSource("potential", title, date_of_run(view), view.summary.energies or name)


def second_potential_source(view: RunView) -> NumberSource | None:
    """Energies of the second potential of a run; None where it has none."""
    stage = view.campaign.potential
    if stage is None or stage.second is None:
        return None
    name = stage.second.name
    title = Words(f"Energies of the relaxed crystals by the second potential {name}", f"第二势函数 {name} 给出的能量")
    return NumberSource("second_potential", title, date_of_run(view), name)


def hull_source() -> NumberSource:
    """Formation energies of the phases that a database had computed."""
    about = load_computed_phases("materials_project").schema.metadata
    database, year = about[b"database"].decode(), about[b"year"].decode()
    title = Words(f"Computed phases of the {database}", f"{database} 的计算相")
    return NumberSource("hull", title, year, about[b"publications"].decode(), about[b"licence"].decode())


def crystals_source() -> NumberSource:
    """Packaged crystals with computed properties."""
    title = Words("Packaged crystals and their computed properties", "内置晶体及其计算性质")
    return NumberSource("known", title, "2015-2017", CITATIONS[MATERIALS_PROJECT], LICENCE)


def table_source(table: FactTable) -> NumberSource:
    """A packaged table of facts about elements."""
    return NumberSource(
        f"table/{table.name}", Words(*table.label), table.as_of.isoformat(), table.source, table.licence,
        table.expires.isoformat(),
    )  # fmt: skip


def diffraction_source(radiation: Radiation, today: str) -> NumberSource:
    """Powder patterns, computed when the dossier is written."""
    from importlib.metadata import version

    title = Words(
        f"Kinematic powder pattern, {radiation.label} {radiation.wavelength:.5f} Å",
        f"运动学粉末衍射图，{radiation.label} {radiation.wavelength:.5f} Å",
    )
    return NumberSource(
        "diffraction", title, today, f"pymatgen {version('pymatgen')}; wavelengths: {WAVELENGTH_SOURCE}"
    )


def numbers_without_source(record: Any, *, path: str = "", sources: Mapping[str, Any] | None = None) -> list[str]:
    """Where a record has numbers that neither they nor what they stand in gives a dated source.

    Args:
        record: Content of ``dossier.json``, or a part of it.
        path: Where the part stands.
        sources: The list of sources; by default that of the record.

    >>> numbers_without_source({"sources": {"run": {"date": "2026"}}, "a": {"x": 1, "source": "run"}, "b": [2]})
    ['b.0']
    """
    if sources is None:
        sources = record.get("sources", {})
        record = {name: value for name, value in record.items() if name != "sources"}
    if isinstance(record, Mapping):
        named = record.get("source")
        if named is not None and sources.get(named, {}).get("date"):
            return []
        parts: Any = record.items()
    elif isinstance(record, list | tuple):
        parts = enumerate(record)
    else:
        number = isinstance(record, int | float) and not isinstance(record, bool)
        return [path.removeprefix(".")] if number else []
    return [
        found
        for name, value in parts
        for found in numbers_without_source(value, path=f"{path}.{name}", sources=sources)
    ]
