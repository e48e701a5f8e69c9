"""Where numba keeps what it compiled, so that not every process compiles for minutes.

By itself numba keeps it beside the modules or in the user's home. Where neither can be written to, as in a read-only
installation under a batch system without homes, it would refuse to import a single compiled function.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

from matloop.data.cache_folder import cache_folder

VARIABLE = "NUMBA_CACHE_DIR"
_PREFIX = "matloop-compiled-"


def places() -> list[Path]:
    """Return the folders that compiled code may be kept in, the first choice first."""
    chosen = os.environ.get(VARIABLE)
    own = [Path(__file__).parent / "__pycache__", cache_folder() / "compiled"]
    return [Path(chosen), *own] if chosen else own


def place_compiled_code() -> None:
    """Choose a folder for compiled code, for this process and those that it starts.

    Nothing is changed where numba finds one by itself: the folder that ``NUMBA_CACHE_DIR`` names, or the one beside the
    modules. Else it is the cache folder of matloop, and at worst a folder that is removed when this process ends.
    """
    writable = [place for place in places() if is_writable(place)]
    if writable and writable[0] != cache_folder() / "compiled":
        return
    if writable:
        place = writable[0]
    else:
        place = Path(tempfile.mkdtemp(prefix=_PREFIX))
        atexit.register(_remove, place, os.getpid())
    os.environ[VARIABLE] = str(place)
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = str(place)


def compiled_code_is_lost() -> str:
    """Say in one sentence that compiled code is not kept, and how to mend that; nothing where it is kept."""
    if not Path(os.environ.get(VARIABLE, "")).name.startswith(_PREFIX):
        return ""
    return (
        f"compiled code cannot be kept in {' or '.join(map(str, places()[1:]))}, so that every start takes minutes; "
        "set MATLOOP_CACHE to a folder you may write to"
    )


def is_writable(folder: Path) -> bool:
    """Whether files can be made in a folder, or the folder itself can."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _remove(place: Path, maker: int) -> None:
    if os.getpid() == maker:  # and not in a process that was forked from it
        shutil.rmtree(place, ignore_errors=True)
