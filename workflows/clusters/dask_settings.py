"""The settings of Dask that hold for schedulers, workers and clients of a run.

What a site sets for Dask, in files or in variables ``DASK_...``, is meant for its own clusters: a scheme that speaks
without TLS, a module loaded into every worker or a life of five minutes would end a run. Workers on this machine
therefore start from Dask's own defaults. In a batch queue and at a scheduler that runs already, those of the site hold.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matloop.data.errors import RunError

WORKER_SETTINGS: dict[str, Any] = {
    "distributed.worker.daemon": False,
    "distributed.scheduler.allowed-failures": 0,  # a task that killed its worker is not tried on the others
    "distributed.worker.memory.spill": False,
    "distributed.worker.http.routes": [],
    "distributed.scheduler.http.routes": [],
    "distributed.comm.timeouts.connect": "60s",
    "distributed.nanny.pre-spawn-environ": {
        "OMP_NUM_THREADS": 1,
        "MKL_NUM_THREADS": 1,
        "OPENBLAS_NUM_THREADS": 1,
        # With Dask's own threshold of 64 KiB, workers give memory back after every array and get it anew for the next:
        # scoring took a quarter longer. These are the largest that glibc comes to by itself (mallopt(3)).
        "MALLOC_MMAP_THRESHOLD_": 32 * 2**20,
        "MALLOC_TRIM_THRESHOLD_": 64 * 2**20,
    },
}
"""Settings of Dask for schedulers and workers that are ours."""

LOCAL_SETTINGS: dict[str, Any] = {
    **WORKER_SETTINGS,
    # Dask looks 15 s after a worker died, and gives it up for good if it has just died again. Ours always come back.
    "distributed.deploy.lost-worker-timeout": "1000 days",
}
"""The same for workers on this machine."""


def check_dask() -> None:
    """Make sure that Dask can read its settings.

    Raises:
        RunError: If a settings file or variable of the site is damaged.
    """
    try:
        importlib.import_module("dask.config")
    except (ValueError, TypeError, OSError) as error:
        where = os.environ.get("DASK_CONFIG", "~/.config/dask or /etc/dask")
        raise RunError(
            f"Dask cannot read its settings: {error}",
            f"settings in {where} and variables DASK_... as Dask takes them",
            "mend or remove the file or variable",
        ) from error  # fmt: skip


@contextlib.contextmanager
def dask_set(settings: dict[str, Any], *, site: bool) -> Iterator[Path]:
    """Let Dask work with some settings, and keep its files in a new folder for this user only.

    Dask would share a folder of ``/tmp`` between users and import modules from there.

    Args:
        settings: Settings by their names with dots.
        site: Whether settings of the site hold beside them, or Dask's own defaults.

    Yields:
        The folder; it is removed at the end.

    Raises:
        RunError: If Dask cannot read its settings, or the folder cannot be made.
    """
    check_dask()
    import dask.config
    import distributed  # noqa: F401  # adds its defaults to those of Dask

    with contextlib.ExitStack() as stack:
        try:
            # What a killed run leaves behind is no secret, and nobody else can write to it.
            made = tempfile.TemporaryDirectory(prefix="matloop-dask-", ignore_cleanup_errors=True)
        except OSError as error:
            raise RunError(
                f"no folder for temporary files can be made: {error}", "a folder that you may write to",
                "set TMPDIR to one",
            ) from error  # fmt: skip
        folder = Path(stack.enter_context(made))
        if not site:
            defaults = dask.config.merge(*dask.config.defaults)
            stack.enter_context(dask.config.set({"distributed": defaults["distributed"]}))
        stack.enter_context(dask.config.set({**settings, "temporary-directory": str(folder)}))
        yield folder
