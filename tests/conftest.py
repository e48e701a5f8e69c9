"""Settings shared by all tests. The lines about threads must run before anything imports numpy."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

# Two test processes share the machine: one thread each, also in the processes that tests start.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ["MATLOOP_CACHE"] = tempfile.mkdtemp(prefix="matloop-cache-")  # the user's own stays as it is
os.environ["MATLOOP_STORE_LIMIT"] = "0"  # a test that trains really trains; tests of the store set a limit

import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

# The same examples on every run and no time limit per example: a red test is the change's fault, not the machine's.
settings.register_profile(
    "ci", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
# HYPOTHESIS_PROFILE=search looks for new examples, for as long as one likes.
settings.register_profile("search", deadline=None, max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def server() -> Iterator[Any]:
    """A PostgreSQL server of the tests' own; without one installed the test is skipped."""
    from tests.postgresql_server import PATH, running_server

    if shutil.which("initdb", path=PATH) is None:
        pytest.skip("PostgreSQL is not installed")
    with running_server() as started:
        yield started
