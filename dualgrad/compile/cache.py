"""Compiled kernels on disk: what was compiled once is loaded in the next process.

One file holds one kernel for one set of argument types. Its name is a hash of all that its machine
code depends on, so that a file is right or is not looked for; there is no index to keep. A file
is written under another name and moved into place, and carries a checksum of what it holds.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import importlib.util
import itertools
import os
import pickle
import secrets
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy
from numba.core import bytecode, compiler, config
from numba.core.environment import Environment
from numba.core.runtime import _nrt_python
from numba.core.serialize import dumps

from dualgrad import recall, symbols, vectormath  # noqa: F401  (code from disk may use their names)
from dualgrad.compile.fingerprint import Unknown, fingerprint

_SUFFIX = ".dualgrad"
#: Files that no process has used for so long, in seconds, are deleted: functions change.
_UNUSED_AFTER = 60 * 24 * 3600.0
_warned: list[str] = []
#: Modules of Numba's whose import tells LLVM addresses of what compiled code uses: the numbers by
#: which strings are hashed, and what threads need.
_HASHING = "numba.cpython.hashing"
_REGISTERING = {_HASHING, "numba.np.ufunc.parallel"}
#: Settings of Numba that change the code that it makes.
_SETTINGS = (
    "OPT BOUNDSCHECK DEBUGINFO_DEFAULT LOOP_VECTORIZE SLP_VECTORIZE ENABLE_AVX DISABLE_INTEL_SVML "
    "CPU_NAME CPU_FEATURES LLVM_REFPRUNE_PASS"
).split()

# Numba tells functions of one name apart by counting them, in their symbols too. Those of code from
# disk must not be those of other code in this process: each process counts from another number.
bytecode.FunctionIdentity._unique_ids = itertools.count(1 + secrets.randbits(44))


def cache_dir() -> Path:
    """The directory that holds compiled derivatives.

    It is that of the environment variable ``DUALGRAD_CACHE_DIR``, else ``dualgrad`` in that of
    ``NUMBA_CACHE_DIR``, else the place where the operating system has caches of the user.

    Returns
    -------
    Path
        The directory. It need not exist.

    Examples
    --------
    >>> import dualgrad as dg
    >>> dg.cache_dir()
    PosixPath('...')
    """
    own, of_numba = os.environ.get("DUALGRAD_CACHE_DIR"), config.CACHE_DIR
    if own:
        return Path(own).expanduser()
    if of_numba:
        return Path(of_numba).expanduser() / "dualgrad"
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "dualgrad"


def clear_cache() -> int:
    """Delete all compiled derivatives from disk. Those already loaded go on working.

    Returns
    -------
    int
        How many were deleted.

    Examples
    --------
    >>> import dualgrad as dg
    >>> dg.clear_cache() >= 0
    True
    """
    return sum(_delete(path) for path in _files())


def _files() -> Iterator[Path]:
    try:
        yield from (path for path in cache_dir().iterdir() if _SUFFIX in path.suffixes)
    except OSError:
        return


def _delete(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True


class DiskCache:
    """The compiled kernels of one transform, in the form of the caches that dispatchers have."""

    def __init__(self, transform: Any) -> None:
        self._transform = transform

    @property
    def cache_path(self) -> str:
        """The directory of the files."""
        return str(cache_dir())

    def flush(self) -> None:
        """Forget nothing: what is on disk is right for as long as it is found."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """What was compiled for these argument types, or None."""
        # Not all that Numba prepares for compiling: that takes it longer than all of this, as it
        # compiles its runtime, and imports `scipy.linalg` and more.
        _name_runtime()
        path = self._path(sig, target_context)
        if path is None:
            return None
        try:
            data = path.read_bytes()
        except OSError:
            return None
        try:
            checksum, payload = data[:32], data[32:]
            if hashlib.sha256(payload).digest() != checksum:
                raise ValueError("damaged")
            names, reduced = pickle.loads(payload)
            for reload in reduced[-2]:
                reload()
            if not _are_known(names):
                raise ValueError("what it calls is nowhere")
            result = compiler.CompileResult._rebuild(target_context, *reduced)
        except Exception:  # whatever a file may do that is not what was written
            _delete(path)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # used: not to be deleted
        return result

    def save_overload(self, sig: Any, cres: Any) -> None:
        """Keep what was compiled for these argument types, if it can be kept."""
        path, names = self._path(sig, cres.target_context), _referred(cres.library)
        # Functions that call each other refer to what Numba fills in once both are compiled.
        if path is None or cres.library.has_dynamic_globals or not _are_known(names):
            return
        *parts, reload, referenced = cres._reduce()
        if any("hashsecret" in name for name in names):
            reload = [*reload, functools.partial(importlib.import_module, _HASHING)]
        reduced = *parts, reload, tuple(map(_without_module, referenced))
        payload = dumps((names, reduced))
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(path, hashlib.sha256(payload).digest() + payload)
            _tidy()
        except OSError as error:
            _warn(error.strerror or str(error))

    def _path(self, sig: Any, target_context: Any) -> Path | None:
        plan, chunk = self._transform.plan, self._transform.chunk
        codegen = target_context.codegen()
        try:
            key = fingerprint(plan, chunk, tuple(sig), codegen.magic_tuple(), _surroundings())
        except (Unknown, ValueError, RecursionError):  # of a cell that is empty
            return None
        name = f"{plan.name}-{plan.function.__name__}".replace("<", "").replace(">", "")
        return cache_dir() / f"{name[:64]}-{key[:40]}{_SUFFIX}"


def _without_module(environment: Any) -> Any:
    """What a function of Numba's or ours refers to, loaded without the module of the function.

    That may import most of Numba, and SciPy, and compiled code asks for no names of it.
    """
    module = str(environment.globals.get("__name__"))
    if not module.startswith(("dualgrad.", "numba.")) or module in _REGISTERING:
        return environment
    other = Environment(globals())
    other.env_name = environment.env_name
    other.consts[:] = environment.consts
    return other


def _referred(library: Any) -> list[str]:
    """The names by which machine code refers to what is elsewhere."""
    module = library._final_module
    used = itertools.chain(module.functions, module.global_variables)
    return [it.name for it in used if it.is_declaration and not it.name.startswith("llvm.")]


def _are_known(names: list[str]) -> bool:
    """Whether LLVM has addresses for names: to load code that refers to others is fatal."""
    return all(llvm.address_of_symbol(name) is not None for name in names)


@functools.cache
def _name_runtime() -> None:
    """Tell LLVM what kernels call of Numba's runtime, as far as they have not compiled it in."""
    if config.NRT_STATS:
        _nrt_python.memsys_enable_stats()
    for name, address in _nrt_python.c_helpers.items():
        llvm.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


def _surroundings() -> list[Any]:
    """All but the function and its arguments that the machine code depends on."""
    settings = {name: getattr(config, name, None) for name in _SETTINGS}
    return [_versions(), settings, vectormath.version()]


@functools.cache
def _versions() -> tuple[Any, ...]:
    """Versions of the packages that make the code; of dualgrad, the state of its files.

    That of SciPy is read from its files: its import takes longer than all else here.
    """
    root = Path(__file__).parents[1]
    ours = repr(sorted(_states(str(root))))  # as one, which is fast to hash
    spec = importlib.util.find_spec("scipy")
    scipy = Path(spec.origin).with_name("version.py") if spec and spec.origin else None
    of_scipy = scipy.read_bytes() if scipy and scipy.exists() else scipy
    return sys.version, numba.__version__, numpy.__version__, llvmlite.__version__, of_scipy, ours


def _states(folder: str) -> Iterator[tuple[str, int, int]]:
    """The Python files in a folder and below: name, size, time of the last change."""
    for entry in os.scandir(folder):
        if entry.is_dir():
            yield from _states(entry.path)
        elif entry.name.endswith(".py"):
            state = entry.stat()
            yield entry.path.removeprefix(folder), state.st_size, state.st_mtime_ns


def _write(path: Path, data: bytes) -> None:
    """Write a file so that whoever reads it at the same time sees all of it or none."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=f"{_SUFFIX}.part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except BaseException:
        _delete(Path(name))
        raise


@functools.cache
def _tidy() -> None:
    """Delete what has not been used for long, once in a process."""
    for path in _files():
        try:
            if time.time() - path.stat().st_mtime > _UNUSED_AFTER:
                path.unlink()
        except OSError:
            continue


def _warn(reason: str) -> None:
    if _warned:
        return
    _warned.append(reason)
    warnings.warn(
        f"dualgrad cannot keep compiled code in {cache_dir()} ({reason}); the next process "
        "will compile it again",
        RuntimeWarning,
        stacklevel=2,
    )
