"""The command ``matloop models --store``: list the user's store of surrogates, or clear it."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from matloop.data.plain_text import counted
from matloop.models.surrogates.store import LIMIT_VARIABLE, SurrogateStore
from matloop.workflows.inspecting.status_text import clock_text
from matloop.workflows.terminal_tables import Heading, print_table
from matloop.workflows.wording import number_text

_HEADINGS = (
    Heading("property"), Heading("family"), Heading("features"), Heading("training set"), Heading("rows", right=True),
    Heading("MAE", right=True), Heading("MB", right=True), Heading("last use"), Heading("key"),
)  # fmt: skip
_MEGABYTE = 1e6
_NO_STORE = f"There is no store: {LIMIT_VARIABLE} is 0."


def print_store() -> None:
    """Print what the store holds, the surrogate used last first."""
    console, store = Console(highlight=False), SurrogateStore.of_user()
    if store is None:
        console.print(Text(_NO_STORE))
        return
    entries = store.entries()
    rows = [
        (entry.property_name, entry.family, ", ".join(entry.features), entry.training_set, f"{entry.rows:,}",
         f"{number_text(entry.mae, 3)} {entry.unit}", f"{entry.size / _MEGABYTE:.1f}",
         clock_text(entry.last_use)[: len("2026-01-01 00:00")], entry.key[:8])
        for entry in entries
    ]  # fmt: skip
    if rows:
        print_table(console, "", _HEADINGS, rows)
    used = sum(entry.size for entry in entries) / _MEGABYTE
    limit = store.limit / _MEGABYTE
    line = f"{counted(len(entries), 'surrogate')}, {used:,.1f} of {limit:,.0f} MB in {store.folder}"
    console.print(Text(line), soft_wrap=True)


def clear_store() -> None:
    """Remove every surrogate from the store, and print how many there were."""
    store = SurrogateStore.of_user()
    removed = "" if store is None else f"{counted(store.clear(), 'surrogate')} removed from {store.folder}"
    Console(highlight=False).print(Text(removed or _NO_STORE), soft_wrap=True)
