"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def campaign_names(incomplete: str) -> list[str]:
    """Names for a shell that completes a campaign: the packaged ones, and files in the folder that is typed."""
    packaged = [path.stem for path in (Path(__file__).parent.parent / "campaigns").glob("*.yaml")]
    folder, _, start = incomplete.rpartition("/")
    beside = sorted(Path(f"{folder}/" if folder or incomplete.startswith("/") else ".").expanduser().glob(f"{start}*"))
    prefix = incomplete[: len(incomplete) - len(start)]
    files = [f"{prefix}{path.name}/" if path.is_dir() else f"{prefix}{path.name}" for path in beside[:_MOST_COMPLETED]]
    return [name for name in [*packaged, *files] if name.startswith(incomplete)]


_MOST_COMPLETED = 200

CampaignName = Annotated[
    str,
    typer.Argument(
        help="A campaign file, or the name of a packaged one (optical_window).", autocompletion=campaign_names
    ),
]
WorkerCount = Annotated[
    int | None,
    typer.Option(min=1, max=256, help="Worker processes; by default one for each core that memory allows."),
]
Workers = Annotated[
    str | None,
    typer.Option(help="Where workers are: local, slurm, pbs, lsf, sge, a scheduler's tls:// address or .json file."),
]
Allow = Annotated[
    list[str] | None,
    typer.Option(help="Module of another package that the campaign may call: mace.calculators; may be repeated."),
]
PrepareOnly = Annotated[bool, typer.Option(help="Stop when candidates are in and surrogates trained.")]
UseStore = Annotated[
    bool, typer.Option("--store/--no-store", help="Take surrogates that were trained before from your store.")
]
RunFolder = Annotated[Path, typer.Argument(help="A run directory.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON with stable names.")]
