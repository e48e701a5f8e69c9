"""What ``matloop substitute`` does: search in each material, print the best replacements, write all of them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from rich.console import Console

from matloop.data.errors import SubstitutionError, UnknownNameError
from matloop.data.plain_text import plain
from matloop.workflows.substituting.materials import materials_of, materials_of_shortlist
from matloop.workflows.substituting.search import Replacements, SubstitutionSearch, Wish
from matloop.workflows.substituting.shown import print_replacements
from matloop.workflows.substituting.written import check_output, write_replacements

LANGUAGES = ("en", "zh")


def search_and_print(
    wish: Wish, *, material: str | None, shortlist: Path | None, top: int, output: Path | None, lang: str, store: bool
) -> None:
    """Search in one material, in those of a file or in a shortlist, and print what was found.

    Args:
        wish: What is searched for.
        material: A formula or a file.
        shortlist: A run directory in its place.
        top: How many replacements of each material are printed.
        output: File for all of them.
        lang: Language of what is printed.
        store: Whether models are taken from the user's store, and left there.

    Raises:
        UnknownNameError: For another language.
        SubstitutionError: If nothing can be replaced.
    """
    if lang not in LANGUAGES:
        raise UnknownNameError(f"language '{lang}'", ", ".join(LANGUAGES))
    if output is not None:
        check_output(output)
    chosen = materials_of_shortlist(shortlist, wish.replaced) if shortlist else materials_of(material or "")
    today, console, found = dt.date.today(), Console(), list[Replacements]()
    with SubstitutionSearch(wish, store=store) as search:
        for composition in chosen:
            found.append(search.replacements(composition))
            print_replacements(found[-1], console, top=top, lang=lang, on=today)
            console.print()
    if output is not None:
        write_replacements(output, found, on=today)
        print(plain(str(output)))
    if not any(one.found for one in found):
        raise SubstitutionError(
            f"no replacement of {wish.replaced} with the charge of {found[0].leaving}",
            "other elements, or all of them", "leave out --with",
        )  # fmt: skip
