"""The ``matloop`` command. Everything heavy is imported inside the commands, so that ``--help`` answers at once."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from matloop.data.errors import FileAccessError, LockedError, LockLostError, MatloopError
from matloop.workflows.command_line import benches, campaigns, data, decisions, fetching, laboratory, loop, models, runs
from matloop.workflows.command_line.options import AsJson

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="High-throughput screening of materials: candidates in, a ranked shortlist with uncertainties out.",
    epilog="Example: matloop screen optical_window --output runs/first\n\n"
    "Exit codes: 0 done, 1 refused with a coded message, 2 wrong command line, 3 no workers, 4 stopped in the "
    "middle and resumable, 130 interrupted before or after a run.",
)
for panel, group in (
    ("Runs", runs),
    ("Campaigns", campaigns),
    ("Data and models", data),
    ("Data and models", models),
    ("Decisions", decisions),
    ("Laboratory", laboratory),
):
    for command in group.commands.registered_commands:
        command.rich_help_panel = panel
    app.add_typer(group.commands)
app.add_typer(loop.commands, name="loop", rich_help_panel="Laboratory")
app.add_typer(fetching.commands, name="fetch", rich_help_panel="Data and models")
app.add_typer(benches.commands, name="bench", rich_help_panel="Data and models")


def main() -> None:
    """Run the command line; a coded error becomes one message and its exit code."""
    try:
        app(prog_name="matloop")
    except MatloopError as error:
        _end(error)
    except OSError as error:  # of a command that looks at a folder; what works on a run has a code already
        place = f"{error.filename}: " if error.filename else ""
        _end(FileAccessError(f"{place}{error.strerror or error}", "files and folders that can be read and written"))
    except KeyboardInterrupt:
        sys.exit(130)


def _end(error: MatloopError) -> NoReturn:
    """Print a coded error and end; a batch script is told that it is one, which no later job would do better with."""
    print(f"matloop: {error}", file=sys.stderr)
    code = error.exit_code if error.exit_code != _RESUMABLE or error.in_run else 1
    place = os.environ.get("MATLOOP_REFUSAL", "")
    if place and code == 1 and not isinstance(error, LockedError | LockLostError):
        with contextlib.suppress(OSError):
            Path(place).write_text(f"{error.code}\n", encoding="utf-8")
    sys.exit(code)


_RESUMABLE = 4


@app.command(epilog="Example: matloop doctor --folder runs", rich_help_panel="Runs")
def doctor(
    folder: Annotated[Path, typer.Option(help="Where runs are to be written.")] = Path("runs"), as_json: AsJson = False
) -> None:
    """Check whether this machine can run a campaign; exit code 1 if it cannot."""
    from matloop.workflows.inspecting.doctor import print_doctor

    raise typer.Exit(0 if print_doctor(folder, as_json=as_json) else 1)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> Any:
    if version:
        from importlib.metadata import version as installed

        print(installed("matloop"))
        raise typer.Exit


if __name__ == "__main__":
    main()
