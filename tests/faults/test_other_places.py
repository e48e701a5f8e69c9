"""Runs from a script without main guard, under a site's settings for Dask, in an installation nobody may write to."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import matloop.data
from matloop.data.errors import RunError
from matloop.workflows.clusters.dask_settings import check_dask
from matloop.workflows.clusters.workers import local_workers

ROOT = Path(matloop.data.__file__).resolve().parents[1]
CAMPAIGN = {
    "name": "few",
    "sources": [{"table": {"path": "few.csv", "id_column": "id"}}],
    "targets": [{"property": "refractive_index", "goal": "at_least", "value": 1.0, "unit": "1"}],
    "surrogates": {"features": ["stoichiometry"], "keep": 100},
    "shortlist": {"size": 3, "diversity": 0.0},
}
CALL = 'screen("few.yaml", output="run", workers=1)\n'
IMPORT = "from matloop.workflows.screen import screen\n"
WITHOUT_GUARD = {
    "at the top level": IMPORT + CALL,
    "in a function": f"{IMPORT}def work():\n    {CALL}work()\n",
    "after a guard": f'{IMPORT}if __name__ == "__main__":\n    print(1)\n{CALL}',
    "after an end": f'{IMPORT}import sys\nif __name__ != "__main__":\n    sys.exit()\n{CALL}',  # it ends the worker too
    "below another condition": f"{IMPORT}import sys\nif len(sys.argv) < 5:\n    {CALL}",
}
WITH_GUARD = {
    "guard": f'{IMPORT}if __name__ == "__main__":\n    {CALL}',
    "guard in a name": f'{IMPORT}is_main = __name__ == "__main__"\nif is_main:\n    {CALL}',
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with (tmp_path / "few.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(CAMPAIGN, file)
    (tmp_path / "few.csv").write_text("id,formula\na,SiO2\nb,TiO2\nc,ZnO\n", "utf-8")
    return tmp_path


def run(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    (folder / "script.py").write_text(script, "utf-8")
    return subprocess.run(
        [sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.parametrize("name", WITHOUT_GUARD)
def test_r34_a_script_without_main_guard_ends_with_one_sentence(name: str, folder: Path) -> None:
    done = run(folder, WITHOUT_GUARD[name])
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("matloop: E-RUN-GUARD: script.py starts worker processes without a main guard")
    assert 'if __name__ == "__main__":' in line
    assert not (folder / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_GUARD)
def test_r34_a_script_with_a_guard_runs(name: str, folder: Path) -> None:
    done = run(folder, WITH_GUARD[name])
    assert done.returncode == 0, done.stderr
    assert (folder / "run" / "run.json").is_file()


SITES = {
    "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "true",
    "DASK_DISTRIBUTED__COMM__DEFAULT_SCHEME": "ucx",
    "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": "/nowhere/ca.pem",
    "DASK_DISTRIBUTED__COMM__TLS__MIN_VERSION": "1.0",
    "DASK_DISTRIBUTED__WORKER__PRELOAD": '["not_a_module"]',
    "DASK_DISTRIBUTED__SCHEDULER__PRELOAD": '["not_a_module"]',
    "DASK_DISTRIBUTED__WORKER__LIFETIME__DURATION": "1s",
    "DASK_DISTRIBUTED__WORKER__MULTIPROCESSING_METHOD": "fork",
    "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "1ms",
    "DASK_DISTRIBUTED__NANNY__ENVIRON": '{"OMP_NUM_THREADS": 64}',
    "DASK_SCHEDULER_ADDRESS": "tcp://192.0.2.1:8786",
    "DASK_TEMPORARY_DIRECTORY": "/proc/nowhere",
}
ASKED = """
from matloop.workflows.clusters.workers import local_workers
with local_workers(1) as client:
    print(client.submit(abs, -7).result(timeout=60))
"""


def test_r34_the_settings_of_a_site_do_not_reach_local_workers() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASKED], env={**os.environ, **SITES}, capture_output=True, text=True, check=False,
        timeout=200,
    )  # fmt: skip
    assert done.stdout == "7\n", done.stderr[-3000:]


def test_r34_damaged_settings_of_a_site_are_named(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("distributed: [1,\n", "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "matloop.workflows.cli", "doctor", "--folder", str(tmp_path / "runs")],
        env={**os.environ, "DASK_CONFIG": str(tmp_path)}, capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert "Traceback" not in done.stderr + done.stdout
    assert "Dask cannot read its settings" in done.stdout
    assert "site.yaml" in done.stdout


def test_r34_no_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    check_dask()
    monkeypatch.setattr("tempfile.tempdir", "/proc/nowhere")
    with pytest.raises(RunError, match=r"no folder for temporary files.*set TMPDIR"), local_workers(1):
        pass


WITHOUT_RIGHTS = shutil.which("setpriv") and os.getuid() == 0
"""Root may write anywhere; without the capabilities it has, the modes of files hold for it too."""


@pytest.fixture
def read_only(tmp_path: Path) -> Path:
    """A copy of the installation that nobody may write to."""
    top = tmp_path / "installed" / "matloop"
    for name in ("data", "featurizers", "models", "screening", "workflows"):
        shutil.copytree(
            ROOT / name, top / name, ignore=shutil.ignore_patterns("__pycache__", "datasets"), symlinks=False
        )
    (top / "data" / "datasets").symlink_to(ROOT / "data" / "datasets")
    for path in (top.parent, *(path for path in top.rglob("*") if path.is_dir() and not path.is_symlink()), top):
        path.chmod(0o555)
    return top.parent


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() == 0 and not WITHOUT_RIGHTS, reason="root may write anywhere")
@pytest.mark.parametrize("cache", ["/proc/nowhere", None])
def test_r34_a_read_only_installation_and_no_home(cache: str | None, read_only: Path, folder: Path) -> None:
    there = {"HOME": "/proc/nowhere", "PYTHONPATH": str(read_only), "MATLOOP_CACHE": cache or str(folder / "cache")}
    kept = {name: value for name, value in os.environ.items() if name not in ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR")}
    dropped = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if WITHOUT_RIGHTS else []

    def matloop_says(*words: str) -> str:
        done = subprocess.run(
            [*dropped, sys.executable, "-m", "matloop.workflows.cli", *words], env={**kept, **there}, cwd=folder,
            capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, (words, done.stdout[-3000:], done.stderr[-3000:])
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    lost = "compiled code cannot be kept in"
    assert (lost in matloop_says("doctor")) == (cache is not None)
    told = matloop_says("screen", "few.yaml", "--output", "run", "--workers", "1")
    assert told.count(lost) == (1 if cache else 0)
    assert list((folder / "cache").rglob("*.nbi")) or cache
