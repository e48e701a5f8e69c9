"""How to install something beside this matloop, which came from a checkout, a file, an address or the package index."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

CONSTRAINTS = "constraints.txt"


def install_command(*requirements: str) -> str:
    """The command that installs requirements into the environment this matloop runs in.

    Args:
        requirements: As pip takes them; ``matloop[EXTRA]`` stands for this installation of matloop with an extra.

    >>> install_command("numpy>=2").endswith("install 'numpy>=2'")
    True
    """
    words = [word for requirement in requirements for word in _words(requirement)]
    return " ".join([*_installer(), *map(shlex.quote, words)])


def _installer() -> list[str]:
    """Pip of this environment: the one on the path may be another's, and an environment of uv has none."""
    own = Path(sys.executable).parent
    found = shutil.which("pip")
    if found is not None and Path(found).parent == own:
        return ["pip", "install"]
    if importlib.util.find_spec("pip") is None and shutil.which("uv"):
        return ["uv", "pip", "install", "--python", shlex.quote(sys.executable)]
    return [shlex.quote(sys.executable), "-m", "pip", "install"]


def _words(requirement: str) -> list[str]:
    """A requirement as words of a command line; matloop itself from where it was installed."""
    own = re.fullmatch(r"matloop(\[[a-z,-]+\])?", requirement)
    if own is None:
        return [requirement]
    extra, origin = own[1] or "", _origin()
    address = urlsplit(origin.get("url", ""))
    folder = Path(unquote(address.path))
    if "dir_info" in origin and (folder / "pyproject.toml").is_file():
        constraints = folder / CONSTRAINTS
        words = ["--constraint", str(constraints)] if constraints.is_file() else []
        return [*words, *["--editable"] * bool(origin["dir_info"].get("editable")), f"{folder}{extra}"]
    if isinstance(origin.get("vcs_info"), dict):
        return [f"matloop{extra} @ {origin['vcs_info'].get('vcs', 'git')}+{origin['url']}"]
    if "archive_info" in origin and (address.scheme != "file" or folder.is_file()):
        return [f"matloop{extra} @ {origin['url']}"]
    return [f"matloop{extra}"]


def _origin() -> dict[str, Any]:
    """Read what pip wrote about the origin of matloop (PEP 610); empty for the package index.

    Python started in a checkout also finds what a build left there, which says nothing about the installation.
    """
    found_here = importlib.metadata.distributions(name="matloop")
    written = next(filter(None, (found.read_text("direct_url.json") for found in found_here)), "{}")
    try:
        found = json.loads(written)
    except ValueError:
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("url", ""), str) else {}
