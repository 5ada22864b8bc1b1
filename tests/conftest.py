"""Settings of all tests: what they compile is kept for this run alone, not for the user."""

import os
import tempfile

if "PYTEST_XDIST_WORKER" not in os.environ:  # whose workers share it
    directory = tempfile.TemporaryDirectory(prefix="dualgrad-tests-")
    os.environ["DUALGRAD_CACHE_DIR"] = directory.name
