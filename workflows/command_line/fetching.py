"""``matloop fetch``: snapshots of databases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

commands = typer.Typer(
    no_args_is_help=True,
    help="Fetch a snapshot of a database, so that a campaign needs no network. A fetch cut off goes on where it was.",
    epilog="Example: matloop fetch materials-project --thermo-type R2SCAN --elements Ti-O --output oxides.parquet\n\n"
    "Exit codes: 0 done, 1 refused with a coded message, 2 wrong command line, 130 interrupted.",
)
Output = Annotated[Path, typer.Option(help="Parquet file of the snapshot.")]
Disorder = Annotated[str, typer.Option(help="Shared or partly filled sites: reject, composition_only or order.")]


@commands.command(
    "optimade",
    epilog="Example: matloop fetch optimade --base-url https://example.org/optimade --filter 'nelements=2' "
    "--output binaries.parquet",
)
def fetch_optimade(
    base_url: Annotated[str, typer.Option(help="Address of the provider, with or without /v1.")],
    output: Output,
    filter_: Annotated[str, typer.Option("--filter", help='Such as: elements HAS ALL "Ti","O" AND nelements=2')] = "",
    disorder: Disorder = "reject",
) -> None:
    """Structures of any provider that speaks OPTIMADE."""
    from matloop.data.providers.optimade import Optimade
    from matloop.workflows.commands.fetch import fetch_and_print

    fetch_and_print(Optimade(base_url, filter_, disorder=disorder), output)


@commands.command(
    "materials-project",
    epilog="Example: matloop fetch materials-project --thermo-type R2SCAN --elements Ti-O --output oxides.parquet",
)
def fetch_materials_project(
    thermo_type: Annotated[str, typer.Option(help="Scheme of the energies: GGA_GGA+U, R2SCAN or GGA_GGA+U_R2SCAN.")],
    output: Output,
    chemical_system: Annotated[list[str] | None, typer.Option(help="Exactly these elements: Ti-O, Li-*-O.")] = None,
    elements: Annotated[str, typer.Option(help="These elements and perhaps others: Ti-O.")] = "",
    exclude: Annotated[str, typer.Option(help="None of these elements: Cd-Hg.")] = "",
    window: Annotated[list[str] | None, typer.Option(help="Such as band_gap=1.5:3 or energy_above_hull=:0.05.")] = None,
    disorder: Disorder = "reject",
    endpoint: Annotated[str | None, typer.Option(help="Another address of the service.")] = None,
) -> None:
    """Crystals and properties of the Materials Project; the key is read from MP_API_KEY."""
    from matloop.data.providers.materials_project import API, MaterialsProject, read_window
    from matloop.workflows.commands.fetch import fetch_and_print

    provider = MaterialsProject(
        thermo_type=thermo_type,
        chemical_systems=chemical_system or (),
        elements=elements.split("-") if elements else (),
        exclude=exclude.split("-") if exclude else (),
        windows=dict(map(read_window, window or ())),
        disorder=disorder,
        endpoint=endpoint or API,
    )
    fetch_and_print(provider, output)
