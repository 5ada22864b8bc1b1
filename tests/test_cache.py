"""The cache on disk: the right code is found again, other code never is."""

import copy
import functools
import gc
import math
import operator
import os
import pickle
import subprocess
import sys
import textwrap
import types
import weakref

import numpy as np
import pytest
from numba import cloudpickle, njit, vectorize
from numba.core.types import Array, StructRef
from numba.experimental import structref
from numba.extending import overload, overload_attribute, overload_method

import dualgrad as dg
from dualgrad.compile import cache
from dualgrad.compile.fingerprint import Unknown, fingerprint
from dualgrad.compile.frontend import as_dispatcher
from dualgrad.transforms.transform import Transform


def function(text, name="f", **names):
    """The function `name` of a source text."""
    namespace = {"np": np, "njit": njit, "__name__": "a_module", **names}
    exec(textwrap.dedent(text), namespace)
    return namespace[name]


PROGRAM = """
    table = np.array([1.0, 2.0])
    scale = 3.0

    @njit
    def inner(x):
        return x * scale

    def helper(x, power=2):
        return inner(x) ** power

    def f(x):
        "Words."
        total = 0.0
        for item in x:
            total += helper(item) + table[1]
        return total
"""


class TestFingerprint:
    def test_same_text_elsewhere(self):
        moved = "\n\n# a comment\n" + textwrap.dedent(PROGRAM)
        assert fingerprint(function(PROGRAM)) == fingerprint(function(moved))

    @pytest.mark.parametrize(
        "old, new",
        [
            ("total = 0.0", "total = 1.0"),
            ("2.0]", "2.5]"),
            ("[1.0, 2.0]", "[1, 2]"),
            ("scale = 3.0", "scale = 3"),
            ("x * scale", "x / scale"),
            ("power=2", "power=3"),
            ("@njit", "@njit(fastmath=True)"),
            ("@njit", "@njit(error_model='numpy')"),
            ("table[1]", "table[0]"),
            ("helper(item)", "inner(item)"),
        ],
    )
    def test_every_change_counts(self, old, new):
        assert old in PROGRAM
        changed = PROGRAM.replace(old, new)
        assert fingerprint(function(PROGRAM)) != fingerprint(function(changed))

    def test_closures(self):
        make = function("""
            def f(a, g):
                def inner(x):
                    return [a * g(y) for y in x]
                return inner
        """)
        base = fingerprint(make(1.0, np.sin))
        assert base == fingerprint(make(1.0, np.sin))
        assert base != fingerprint(make(2.0, np.sin))
        assert base != fingerprint(make(1.0, np.cos))
        assert base != fingerprint(make(1.0, njit(lambda x: x)))

    def test_members_of_modules(self):
        module = types.ModuleType("a_users_module")
        module.inner = types.ModuleType("a_users_module.inner")
        f = function("def f(x): return m.scale * m.inner.g(x)", m=module)
        seen = set()
        for module.scale in (1.0, 2.0):
            for module.inner.g in (function("def f(x): return x"), function("def f(x): return -x")):
                seen.add(fingerprint(f))
        assert len(seen) == 4
        module.unused = 1
        assert fingerprint(f) in seen

    def test_recursion(self):
        text = "def f(x): return x if x < 1 else f(x - {})"
        one, two = (function(text.format(step)) for step in (1, 2))
        assert fingerprint(one) == fingerprint(function(text.format(1)))
        assert fingerprint(one) != fingerprint(two)

    def test_transforms_and_ufuncs(self):
        inner = njit(lambda x: x * x)
        things = [
            inner, dg.derivative(inner), dg.derivative(njit(lambda x: x + x)), dg.jvp(inner),
            dg.value_and_derivative(inner), vectorize(lambda x: x), vectorize(lambda x: x + 1),
        ]  # fmt: skip
        prints = [fingerprint(function("def f(x): return g(x)", g=g)) for g in things]
        assert len(set(prints)) == len(things)

    def test_rules_of_ones_own(self):
        def make(value, slope):
            f = dg.custom_jvp(function(f"def f(x): return {value}"))
            f.defjvp(function(f"def f(x, dx): return {slope}"))
            return fingerprint(function("def f(x): return g(x)", g=f))

        base = make("x * x", "2 * x * dx")
        assert base == make("x * x", "2 * x * dx")
        assert len({base, make("x * x", "x * dx + x * dx"), make("x ** 2", "2 * x * dx")}) == 3

    def test_code_is_not_a_librarys_by_its_name(self):
        def wrapping(k):
            return functools.wraps(math.exp)(function("def f(x): return k * x", k=k))

        assert fingerprint(wrapping(2.0)) == fingerprint(wrapping(2.0))
        assert fingerprint(wrapping(2.0)) != fingerprint(wrapping(3.0))
        partials = [functools.partial(np.convolve, np.array([k])) for k in (1.0, 2.0)]
        one, two = (fingerprint(as_dispatcher(it)) for it in partials)
        assert one != two

    def test_programs_with_structures(self):
        """Numba writes their constructors, whose types are classes of the user's."""

        class Kind(StructRef):
            pass

        class Proxy(structref.StructRefProxy):
            pass

        f = function("def f(x): return x")
        before = fingerprint(f)
        structref.define_proxy(Proxy, structref.register(Kind), ["a"])
        assert fingerprint(f) == fingerprint(function("def f(x): return x")) != before

    def test_closures_of_libraries(self):
        text = """
            def f(a):
                def inner(x):
                    return a * x
                return inner
        """
        make = function(text, __name__="numpy")
        assert fingerprint(make(1.0)) == fingerprint(make(1.0))
        assert fingerprint(make(1.0)) != fingerprint(make(2.0))

    def test_fields_of_records(self):
        items = [(1.0, 2.0)]
        one, two = (np.array(items, [(a, "f8"), (b, "f8")]) for a, b in ("ab", "ba"))
        assert fingerprint(one) != fingerprint(two)

    def test_overloads_of_what_libraries_name(self):
        """Of a method, of an operator, of a function that is found in a module."""
        f = function("def f(x): return x.gradient_of_mine")
        make = "def of(k): return lambda *args: None if k else k"  # it applies to nothing
        seen = {fingerprint(f)}
        for k, register in enumerate((
            overload_attribute(Array, "gradient_of_mine"), overload_method(Array, "scaled_by_me"),
            overload(operator.matmul), overload(np.sum),
        )):  # fmt: skip
            register(function(make, "of")(k))
            seen.add(fingerprint(f))
            assert fingerprint(f) in seen
        assert len(seen) == 5

    def test_unknown_objects_have_none(self):
        module = types.ModuleType("a_users_module")
        for text in ("def f(x): return thing", "def f(x): return g(thing)"):
            for thing in (object(), module, np.array([object()])):
                with pytest.raises(Unknown):
                    fingerprint(function(text, thing=thing, g=abs))


def anew(transform):
    """The transform as the next process makes it: nothing compiled yet."""
    return Transform(transform.plan, transform.chunk, transform.signature, True)


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.setenv("DUALGRAD_CACHE_DIR", str(tmp_path / "kernels"))
    return tmp_path / "kernels"


def hits(transform):
    return sum(transform.stats.cache_hits.values())


@pytest.fixture(scope="module")
def gradient():
    return dg.grad(njit(lambda x: np.sum(x * x * x)), chunk=8)


class TestFiles:
    x = np.array([1.0, 2.0, 3.0])

    def test_round_trip(self, directory, gradient):
        first, second = anew(gradient), anew(gradient)
        np.testing.assert_array_equal(first(self.x), 3 * self.x**2)
        assert dg.cache_dir() == directory
        [file] = directory.iterdir()
        assert file.name.startswith("grad-")
        np.testing.assert_array_equal(second(self.x), 3 * self.x**2)
        assert (hits(first), hits(second)) == (0, 1)

        whole, [signature] = file.read_bytes(), first.signatures
        for damaged in (b"", whole[:1000], whole[:-1], whole[:50] + b"?" + whole[51:]):
            file.write_bytes(damaged)
            assert anew(gradient)._cache.load_overload(signature, gradient.targetctx) is None
            assert not file.exists()
        third = anew(gradient)
        np.testing.assert_array_equal(third(self.x), 3 * self.x**2)
        assert hits(third) == 0 and file.exists()

    def test_clear(self, directory, gradient):
        assert dg.clear_cache() == 0
        anew(gradient)(self.x)
        (directory / "of somebody else").write_text("")
        assert dg.clear_cache() == 1
        assert [file.name for file in directory.iterdir()] == ["of somebody else"]

    def test_where_nothing_can_be_written(self, tmp_path, monkeypatch, gradient):
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("DUALGRAD_CACHE_DIR", str(tmp_path / "file" / "kernels"))
        monkeypatch.setattr(cache, "_warned", [])
        with pytest.warns(RuntimeWarning, match="cannot keep compiled code") as seen:
            for _ in range(2):
                np.testing.assert_array_equal(anew(gradient)(self.x), 3 * self.x**2)
        assert len([it for it in seen if it.category is RuntimeWarning]) == 1

    def test_turned_off(self, directory):
        dg.derivative(lambda x: x * x, cache=False)(3.0)
        assert not directory.exists()

    def test_unused_files_go(self, directory):
        directory.mkdir()
        old, new = directory / "old.dualgrad", directory / "new.dualgrad"
        for file in (old, new):
            file.write_text("")
        os.utime(old, (0, 0))
        cache._tidy.cache_clear()
        cache._tidy()
        assert not old.exists() and new.exists()

    def test_where_it_is(self, monkeypatch):
        monkeypatch.delenv("DUALGRAD_CACHE_DIR")
        monkeypatch.setattr(cache.config, "CACHE_DIR", "/of/numba")
        assert str(dg.cache_dir()) == os.path.join("/of/numba", "dualgrad")
        monkeypatch.setattr(cache.config, "CACHE_DIR", "")
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
        assert str(dg.cache_dir()) == os.path.join("/xdg", "dualgrad")


SCRIPT = """
import sys, numpy as np, dualgrad as dg
import helpers

def f(x):
    A = np.eye(2) * 2.0 + np.outer(x, x)
    return helpers.scaled(np.linalg.solve(A, x)[0])

gradient = dg.grad(f)
result = gradient(np.array([1.0, 0.5]))
misses = sum(gradient.stats.cache_misses.values())
print(misses, *result)
"""


def test_processes(tmp_path):
    """The next process loads; edited callees compile; two processes at once do not collide."""
    script, helpers = tmp_path / "script.py", tmp_path / "helpers.py"
    script.write_text(SCRIPT)

    def start():
        environ = {**os.environ, "DUALGRAD_CACHE_DIR": str(tmp_path / "kernels")}
        environ["PYTHONPATH"] = os.pathsep.join(sys.path)
        return subprocess.Popen(
            [sys.executable, str(script)], env=environ, stdout=subprocess.PIPE, text=True
        )

    def result(process):
        misses, *gradient = process.communicate(timeout=300)[0].split()
        assert process.returncode == 0
        return int(misses), [float(it) for it in gradient]

    # x / (2 + x @ x) solves it
    d = 2 + 1.25
    expected = np.array([1 / d - 2 / d**2, -1 / d**2])
    helpers.write_text("def scaled(y):\n    return 3.0 * y\n")
    for process in [start(), start()]:
        misses, gradient = result(process)
        np.testing.assert_allclose(gradient, 3 * expected, rtol=1e-14)
    misses, gradient = result(start())
    np.testing.assert_allclose(gradient, 3 * expected, rtol=1e-14)
    assert misses == 0
    helpers.write_text("def scaled(y):\n    return 4.0 * y\n")
    misses, gradient = result(start())
    np.testing.assert_allclose(gradient, 4 * expected, rtol=1e-14)
    assert misses == 1
    helpers.write_text("\n# moved\ndef scaled(y):\n    return 4.0 * y\n")
    assert result(start())[0] == 0


RECURSION = """
from numba import njit
import dualgrad as dg

@njit
def even(x, n):
    return x if n == 0 else odd(x, n - 1) * 0.5 + x

@njit
def odd(x, n):
    return x * x if n == 0 else even(x, n - 1) * x

@njit
def product(x, n):
    return product(x, n - 1) * x if n > 0 else 1.0

print(*dg.value_and_derivative(even)(3.0, 4), dg.derivative(lambda x: product(x, 3))(2.0))
"""


def test_functions_that_call_each_other(tmp_path):
    """Their machine code has references to what Numba keeps in memory: the next process crashed."""
    environ = {**os.environ, "DUALGRAD_CACHE_DIR": str(tmp_path)}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", RECURSION], env=environ, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == ["14.25", "10.75", "12.0"]  # x + x**2 (1/2 + x / 4) at 3


def of_this_module(x):
    return x * x


class TestObjects:
    def test_one_transform_for_each_plan(self):
        assert dg.grad(of_this_module) is dg.grad(of_this_module)
        assert dg.grad(of_this_module, chunk=4) is not dg.grad(of_this_module)
        assert dg.grad(of_this_module) != dg.value_and_grad(of_this_module)

    def test_copies_are_the_object(self):
        g = dg.derivative(of_this_module)
        for twin in (copy.copy(g), copy.deepcopy(g), pickle.loads(pickle.dumps(g))):
            assert twin is g

    @pytest.mark.parametrize(
        "dumps, f", [(pickle.dumps, of_this_module), (cloudpickle.dumps, None)]
    )
    def test_pickle_to_another_process(self, tmp_path, dumps, f):
        scale = 2.0
        f = f or (lambda x: scale * x * x)
        (tmp_path / "g").write_bytes(dumps(dg.derivative(f)))
        code = "import pickle; print(pickle.load(open('g', 'rb'))(3.0))"
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), *sys.path])}
        out = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        assert float(out.stdout) == (6.0 if f is of_this_module else 12.0)

    def test_a_wrapper_has_its_own_transforms(self):
        import functools

        @functools.wraps(of_this_module)
        def doubled(x):
            return 2.0 * (x * x)

        assert dg.derivative(of_this_module)(3.0) == 6.0
        functools.update_wrapper(doubled, of_this_module)
        assert dg.derivative(doubled)(3.0) == 12.0

    def test_functions_are_freed(self):
        alive = []
        for k in range(3):
            f = njit(lambda x, k=k: x * k)
            g = dg.derivative(f, cache=False)
            g(2.0)
            alive += [weakref.ref(f), weakref.ref(g)]
        del f, g
        gc.collect()
        assert [it for it in alive if it() is not None] == []


def in_two_processes(directory, lines, expected, **variables):
    """What a script prints in a process that compiles, and in one that loads."""
    variables = {**os.environ, "DUALGRAD_CACHE_DIR": str(directory), **variables}
    for line in expected:
        command = [sys.executable, "-c", "\n".join(lines)]
        assert subprocess.check_output(command, env=variables, text=True).strip() == line


def test_statistics_of_the_runtime(tmp_path):
    """Numba counts allocations, if it is told to, also where nothing is compiled."""
    lines = [
        "import numpy as np, dualgrad as dg",
        "dg.grad(lambda x: x[0] * x[1])(np.array([2.0, 3.0]))",
        "from numba.core.runtime import rtsys",
        "print(rtsys.get_allocation_stats().alloc > 0)",
    ]
    in_two_processes(tmp_path, lines, ["True", "True"], NUMBA_NRT_STATS="1")


def test_what_the_next_process_imports(tmp_path):
    """Not the modules that compiling needs, which take longer than all else of loading."""
    lines = [
        "import sys, numpy as np, dualgrad as dg",
        "f = lambda x: np.sum(x.reshape(2, -1) ** 2) + x[x.size - 1]",
        "assert dg.grad(f)(np.ones(4)).tolist() == [2.0, 2.0, 2.0, 3.0]",
        "print('dualgrad.seeds' in sys.modules, 'numba.np.arrayobj' in sys.modules)",
    ]
    in_two_processes(tmp_path, lines, ["True True", "False False"])


def test_strings_in_the_next_process(tmp_path):
    """Their hashes go by numbers of the process, whose addresses a module of Numba's registers."""
    lines = [
        "import numpy as np, dualgrad as dg",
        "def f(x, key):",
        "    factors = {'a': 2.0, 'b' + key: 3.0}",
        "    return x[0] ** 2 * factors['b' + key]",
        "print(*dg.grad(f)(np.array([2.0]), 'c'), sum(dg.grad(f).stats.cache_hits.values()))",
    ]
    in_two_processes(tmp_path, lines, ["12.0 0", "12.0 1"])
