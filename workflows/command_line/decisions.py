"""Commands about one material: what may replace an element, and how one would make it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from matloop.workflows.command_line.options import UseStore

commands = typer.Typer()


@commands.command(epilog="Example: matloop substitute --material CdS --replace Cd --keep 'refractive_index within 5%'")
def substitute(
    replace: Annotated[str, typer.Option(help="Symbol of the element that is replaced, all of it.")],
    material: Annotated[str | None, typer.Option(help="A formula, a structure file or a table of formulas.")] = None,
    shortlist: Annotated[Path | None, typer.Option(help="A run directory, whose shortlist is taken.")] = None,
    with_: Annotated[
        str, typer.Option("--with", help="Elements that may replace it, such as Ni,Mn; all elements without.")
    ] = "",
    keep: Annotated[
        list[str] | None,
        typer.Option(help="Property to keep: 'band_gap within 0.3 eV', 'band_gap >= 2 eV'; may be repeated."),
    ] = None,
    region: Annotated[str, typer.Option(help="Whose lists and facts count: cn, eu, us or world.")] = "world",
    facts: Annotated[Path | None, typer.Option(help="A .csv file with facts of your own about elements.")] = None,
    company: Annotated[str, typer.Option(help="A company that the file names, whose facts count.")] = "",
    model: Annotated[
        list[Path] | None, typer.Option(help="Model of your own, a folder of matloop train; may be repeated.")
    ] = None,
    near_hull: Annotated[
        float, typer.Option(min=0, max=1, help="eV/atom above the hull up to which a phase counts as makeable.")
    ] = 0.05,
    top: Annotated[int, typer.Option(min=1, max=1000, help="How many replacements are printed.")] = 20,
    out: Annotated[Path | None, typer.Option(help="File for all of them: .csv or .json.")] = None,
    lang: Annotated[str, typer.Option(help="Language of what is printed: en or zh.")] = "en",
    store: UseStore = True,
) -> None:
    """Replace an element: what may take its place, what becomes of properties, phase, supply, price and hazards."""
    if (material is None) == (shortlist is None):
        raise typer.BadParameter("give --material or --shortlist")
    from dataclasses import replace as changed

    from matloop.data.element_facts.element_facts import ElementFacts
    from matloop.workflows.commands.substitute import search_and_print
    from matloop.workflows.substituting.search import read_wish

    own = ElementFacts.read(None if facts is None else facts.expanduser(), region=region, company=company)
    by = [symbol.strip() for symbol in with_.split(",")] if with_ else None
    wish = changed(
        read_wish(replace, by=by, keep=keep or (), facts=own), models=tuple(model or ()), near_hull=near_hull
    )  # fmt: skip
    search_and_print(
        wish, material=material, shortlist=shortlist, top=top, lang=lang, store=store,
        output=None if out is None else out.expanduser(),
    )  # fmt: skip


@commands.command(epilog="Example: matloop synthesis BaTiO3 --mass 10 --purity BaCO3=99.5%")
def synthesis(
    formula: Annotated[str, typer.Argument(help="Formula of the compound to make.")],
    mass: Annotated[float, typer.Option(help="Grams of the compound.")] = 10.0,
    precursors: Annotated[str, typer.Option(help="Only these precursors: BaCO3,TiO2.")] = "",
    purity: Annotated[
        list[str] | None, typer.Option(help="Mass fraction of a precursor: BaCO3=99.5%; may be repeated.")
    ] = None,
    loss: Annotated[
        list[str] | None, typer.Option(help="Excess of an element that evaporates: Li=5%; may be repeated.")
    ] = None,
    energy: Annotated[
        float | None, typer.Option(help="Formation energy in eV/atom on the scale of the packaged hull.")
    ] = None,
    temperature: Annotated[float, typer.Option(help="Temperature in K of the entropies of gases.")] = 1000.0,
    routes: Annotated[int, typer.Option(min=1, max=100, help="How many routes to print.")] = 3,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    lang: Annotated[str, typer.Option(help="Language: en or zh.")] = "en",
) -> None:
    """Tell how one would make a compound: balanced routes, masses, hazards, and what speaks for it being made."""
    from matloop.workflows.commands.synthesis import plan_and_print

    found = plan_and_print(
        formula, grams=mass, precursors=precursors, purity=purity or (), loss=loss or (), energy=energy,
        temperature=temperature, routes=routes, as_json=json, language=lang,
    )  # fmt: skip
    raise typer.Exit(int(not found))
