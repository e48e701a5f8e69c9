"""Identifiers in texts as links: crystals of the Materials Project and publications with a DOI."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from matloop.screening.language.text import Words, finalize

_MATERIAL = re.compile(r"(?<![\w/-])mp-[0-9]{1,9}(?![\w-])")
_PUBLICATION = re.compile(r"(?:https?://(?:dx\.)?doi\.org/|\bdoi:\s?)(10\.[0-9]{4,9}/\S+)", re.IGNORECASE)
_LINK = Markup('<a href="{}" rel="noreferrer noopener">{}</a>')


def linked(text: str | Words) -> Markup | Words:
    """A text whose identifiers of materials and DOIs are links; in both languages if it is in both.

    Args:
        text: Plain text, which is escaped, or markup without links.

    >>> print(linked("Si (mp-149)"))
    Si (<a href="https://next-gen.materialsproject.org/materials/mp-149" rel="noreferrer noopener">mp-149</a>)
    >>> print(linked("Chem. Mater. 32, 10610 (doi:10.1021/acs.chemmater.0c03381)."))
    Chem. Mater. 32, 10610 (<a href="https://doi.org/10.1021/acs.chemmater.0c03381" \
rel="noreferrer noopener">doi:10.1021/acs.chemmater.0c03381</a>).
    """
    if isinstance(text, Words):
        return Words(_with_links(text.en), _with_links(text.zh))
    return _with_links(text)


def _with_links(text: str) -> Markup:
    safe = str(escape(finalize(text)))
    safe = _MATERIAL.sub(lambda found: _to_material(found[0]), safe)
    return Markup(_PUBLICATION.sub(_to_publication, safe))


def _to_material(name: str) -> str:
    return str(_LINK.format(f"https://next-gen.materialsproject.org/materials/{name}", name))


def _to_publication(found: re.Match[str]) -> str:
    """A link without the marks that end a sentence or close a bracket opened before it."""
    doi = found[1].rstrip(".,;:")
    while doi.endswith(")") and doi.count(")") > doi.count("("):
        doi = doi[:-1].rstrip(".,;:")
    shown = found[0][: len(found[0]) - len(found[1]) + len(doi)]
    # Both are escaped already.
    return str(_LINK.format(Markup(f"https://doi.org/{doi}"), Markup(shown))) + found[1][len(doi) :]
