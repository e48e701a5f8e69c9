"""The cache folder of a user, for results that took long to compute and can be computed again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the user's cache folder of matloop; it need not exist, and deleting it costs nothing but time.

    ``MATLOOP_CACHE`` names it; without that it is ``matloop`` in ``XDG_CACHE_HOME`` or in ``~/.cache``
    (XDG Base Directory Specification 0.8, which has relative paths ignored).
    """
    own = os.environ.get("MATLOOP_CACHE")
    if own:
        return Path(own).absolute()
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not shared.is_absolute():
        shared = Path(os.path.expanduser("~")) / ".cache"  # stays "~" where there is no home
    return shared / "matloop"
