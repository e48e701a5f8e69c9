"""Replace an element of a material: which elements may take its place, and what becomes of it then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace as changed
from pathlib import Path

from matloop.data.element_facts.element_facts import ElementFacts
from matloop.workflows.substituting.materials import materials_of
from matloop.workflows.substituting.phase_evidence import NEAR_HULL
from matloop.workflows.substituting.search import Replacements, SubstitutionSearch, read_wish


def substitute(
    material: str,
    *,
    replace: str,
    by: Sequence[str] | None = None,
    keep: Sequence[str] = (),
    region: str = "world",
    facts: str | Path | None = None,
    company: str = "",
    models: Sequence[str | Path] = (),
    near_hull: float = NEAR_HULL,
    left_out: Sequence[str] = (),
    store: bool = True,
) -> Replacements:
    """Search for elements that may take the whole place of one element of a material, the best first.

    Args:
        material: A formula, or a structure file, whose first crystal counts.
        replace: Symbol of the element that is replaced.
        by: Symbols of the elements that may replace it; all elements if None.
        keep: What is to be kept, such as ``refractive_index within 5%``, ``band_gap within 0.3 eV`` or ``band_gap >=
            2.5 eV``.
        region: Whose lists and facts count: ``cn``, ``eu``, ``us`` or ``world``.
        facts: A file with facts of one's own about elements.
        company: A company named in that file.
        models: Folders of models of one's own (``matloop train``), in place of models of packaged labels.
        near_hull: eV/atom above the hull up to which a phase counts as one that can be made.
        left_out: Formulas whose labels count as unknown, to judge the search by what it has not seen.
        store: Whether models are taken from the user's store, and left there.

    Raises:
        SubstitutionError: If the material cannot be read or lacks the element, or what is to be kept cannot be read.
        UnknownNameError: If an element, a property or a unit is unknown.
        UnitError: If a number has no unit, or one that measures something else.
        CampaignError: For another region, or a company that the file does not name.
    """
    wish = read_wish(replace, by=by, keep=keep, facts=ElementFacts.read(facts, region=region, company=company))
    folders = tuple(Path(folder).expanduser() for folder in models)
    wish = changed(wish, models=folders, near_hull=near_hull, left_out=tuple(left_out))
    with SubstitutionSearch(wish, store=store) as search:
        return search.replacements(materials_of(material)[0])
