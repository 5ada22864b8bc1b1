"""Settings of all tests: what they compile is kept for this run alone, and is optimised little."""

import os
import tempfile

import pytest
from llvmlite.binding import newpassmanagers
from numba.core import config
from numba.core.registry import cpu_target

if "PYTEST_XDIST_WORKER" not in os.environ:  # whose workers share it
    directory = tempfile.TemporaryDirectory(prefix="dualgrad-tests-")
    os.environ["DUALGRAD_CACHE_DIR"] = directory.name

# LLVM's full optimisation was 40 % of the time of the products. Tests of what it may change are
# marked `optimized`; `NUMBA_OPT=3 python -m pytest` has all of them compiled as for users.
FULL = config._OptLevel(3)
config.OPT = FULL
cpu_target.target_context  # asks once, for all tests, how machine code is to be made  # noqa: B018
os.environ.setdefault("NUMBA_OPT", "1")  # for processes that tests start, too
config.reload_config()  # now, or Numba does it in the middle of a test
config.OPT = config._OptLevel(os.environ["NUMBA_OPT"])

# llvmlite never frees a pass manager: `ObjectRef._dispose`, which does nothing, comes before
# theirs. It is most of the memory that compiling takes for good, gigabytes in these tests.
for pass_manager in newpassmanagers.ModulePassManager, newpassmanagers.FunctionPassManager:
    pass_manager._dispose = newpassmanagers.NewPassManager._dispose


@pytest.fixture(autouse=True)
def _optimized(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("optimized"):
        monkeypatch.setattr(config, "OPT", FULL)
