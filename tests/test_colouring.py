"""Colourings: valid by the definition, entry by entry; and few colours where few are needed."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dualgrad.sparse import colouring, orders
from tests.patterns import (
    RECTANGULAR,
    SYMMETRIC,
    arrow,
    banded,
    brusselator,
    crown,
    pattern_of,
    row_arrow,
)

ALL = {**RECTANGULAR, **SYMMETRIC}
random_patterns = st.tuples(st.integers(0, 9), st.integers(0, 9)).flatmap(
    lambda shape: arrays(bool, shape, elements=st.booleans())
)


def check_range(colours: np.ndarray, dense: np.ndarray) -> None:
    """One number for each column: -1 where it is empty, else from 0 without gaps."""
    assert colours.dtype == np.int64 and colours.shape == dense.shape[1:]
    np.testing.assert_array_equal(colours < 0, ~dense.any(axis=0))
    used = np.unique(colours[colours >= 0])
    np.testing.assert_array_equal(used, np.arange(used.size))


def check_columns(pattern: sp.csr_array) -> int:
    """By the definition: in each row all columns with an entry differ. The number of colours."""
    colours, dense = colouring.of_columns(pattern), pattern.toarray() != 0
    check_range(colours, dense)
    for row in dense:
        seen = colours[row].tolist()
        assert len(seen) == len(set(seen))
    return int(colours.max(initial=-1)) + 1


class TestColumns:
    @pytest.mark.parametrize("name", ALL)
    def test_is_valid(self, name):
        check_columns(ALL[name])

    @given(random_patterns)
    @settings(max_examples=150, deadline=None)
    def test_random(self, dense):
        check_columns(sp.csr_array(dense))

    @pytest.mark.parametrize(
        "name, pattern, count",
        [
            ("no entries", pattern_of(np.zeros((3, 5))), 0),
            ("diagonal", banded(100, 0, 0), 1),
            ("tridiagonal", banded(100, 1, 1), 3),
            ("banded", banded(100, 2, 4), 7),
            ("blocks", SYMMETRIC["blocks"], 3),
            ("arrow", arrow(50), 50),
            ("dense row", row_arrow(50), 50),
            ("dense column", row_arrow(50).T.tocsr(), 2),
            ("dense", RECTANGULAR["dense, many"], 150),
            ("brusselator", brusselator(32), 8),
            ("crown", crown(8), 2),  # eight in the natural order
        ],
    )
    def test_known_counts(self, name, pattern, count):
        assert check_columns(pattern) == count

    def test_more_than_64_colours(self):
        """Rows of 40 of 300 columns: the bits of several numbers are used, and every order."""
        rng = np.random.default_rng(3)
        dense = np.zeros((200, 300), bool)
        for row in dense:
            row[rng.choice(300, 40, replace=False)] = True
        assert 64 < check_columns(pattern_of(dense)) < 300

    def test_better_than_each_order(self):
        """An odd torus, where classes that are coloured again are fewer."""
        pattern = brusselator(31)
        by_column = pattern.tocsc()
        greedy = [
            colouring._first_fit(order, by_column.indptr, by_column.indices, 31 * 31 * 2).max() + 1
            for order in orders.orders(pattern, by_column)
        ]
        assert len(set(greedy)) > 1
        assert check_columns(pattern) < min(greedy)

    def test_a_dense_row_among_many(self):
        n = 100_000
        row = np.ones((1, n), np.int8)
        for missing in (0, 1):
            row[0, :missing] = 0
            pattern = sp.csr_array(sp.vstack([sp.eye_array(n, dtype=np.int8), sp.csr_array(row)]))
            colours = colouring.of_columns(pattern)
            assert np.unique(colours[missing:]).size == n - missing == colours.max() + 1

    def test_structure_alone_counts(self):
        """Values, the order of entries, duplicates and the container do not matter."""
        starts, columns = [0, 3, 5], [4, 0, 0, 2, 1]
        messy = sp.csr_array(([0.0, 1.0, -1.0, np.nan, 2.0], columns, starts), shape=(2, 5))
        before = messy.copy()
        colours = colouring.of_columns(messy)
        assert colours[0] != colours[4] and colours[1] != colours[2] and colours[3] == -1
        assert colours.max() == 1
        np.testing.assert_array_equal(messy.indices, before.indices)
        tidy = sp.coo_matrix(([1] * 4, ([0, 0, 1, 1], [0, 4, 1, 2])), shape=(2, 5))
        np.testing.assert_array_equal(colouring.of_columns(tidy), colours)


def check_star(pattern: sp.csr_array) -> int:
    """By the definition: neighbours differ, and no path of four vertices has two colours."""
    colours, dense = colouring.star(pattern), pattern.toarray() != 0
    check_range(colours, dense)
    edges = dense & ~np.eye(len(dense), dtype=bool)
    for v, w in np.argwhere(edges):  # in the middle of paths x, v, w, y
        assert colours[v] != colours[w]
        x, y = colours[edges[v]], colours[edges[w]]
        assert np.sum(x == colours[w]) == 1 or np.sum(y == colours[v]) == 1
    return int(colours.max(initial=-1)) + 1


def check_recovery(pattern: sp.csr_array, colours: np.ndarray) -> None:
    """A random symmetric matrix is what is read from its product with the seeds."""
    values = np.random.default_rng(5).normal(size=pattern.shape)
    matrix = np.where(pattern.toarray() != 0, values + values.T, 0.0)
    seeds = (colours[:, None] == np.arange(colours.max(initial=-1) + 1)).astype(float)
    rows, columns = colouring.recovery(pattern, colours)
    data = (matrix @ seeds)[rows, columns]
    found = sp.csr_array((data, pattern.indices, pattern.indptr), matrix.shape)
    np.testing.assert_array_equal(found.toarray(), matrix)


FOURS = np.array(list(itertools.permutations(range(10), 4))).T


class TestStar:
    @pytest.mark.parametrize("name", SYMMETRIC)
    def test_is_valid(self, name):
        pattern = SYMMETRIC[name]
        assert check_star(pattern) <= check_columns(pattern)
        check_recovery(pattern, colouring.star(pattern))
        check_recovery(pattern, colouring.of_columns(pattern))

    @given(random_patterns)
    @settings(max_examples=250, deadline=None)
    def test_random(self, dense):
        square = np.zeros((10, 10), bool)  # with an empty row and column, and no full diagonal
        square[: dense.shape[0], : dense.shape[1]] = dense
        square |= square.T
        pattern = sp.csr_array(square)
        check_star(pattern)
        colours = colouring.star(pattern)
        check_recovery(pattern, colours)
        x, v, w, y = FOURS
        path = square[x, v] & square[v, w] & square[w, y]
        assert not np.any(path & (colours[x] == colours[w]) & (colours[v] == colours[y]))

    def test_more_than_64_colours(self):
        """A graph in which neighbours of several numbers of 64 colours meet."""
        dense = np.random.default_rng(7).random((160, 160)) < 0.3
        dense[:, :8] = True  # of degrees large and small
        dense[100:, 100:] = False
        pattern = pattern_of(dense | dense.T | np.eye(160, dtype=bool))
        assert 64 < check_star(pattern) < 160
        check_recovery(pattern, colouring.star(pattern))

    @pytest.mark.parametrize(
        "name, pattern, count",
        [
            ("no entries", pattern_of(np.zeros((4, 4))), 0),
            ("diagonal", banded(100, 0, 0), 1),
            ("tridiagonal", banded(100, 1, 1), 3),
            ("pentadiagonal", banded(100, 2, 2), 5),
            ("arrow", arrow(50), 2),
            ("blocks", SYMMETRIC["blocks"], 3),
            ("dense", SYMMETRIC["dense"], 70),
            ("brusselator", brusselator(8), 8),
        ],
    )
    def test_known_counts(self, name, pattern, count):
        assert check_star(pattern) == count

    def test_a_hub_among_many(self):
        n = 100_000
        rows = np.concatenate([np.arange(n), np.full(n, 7), np.arange(n)])
        columns = np.concatenate([np.arange(n), np.arange(n), np.full(n, 7)])
        colours = colouring.star(sp.coo_array((np.ones(3 * n, bool), (rows, columns))))
        np.testing.assert_array_equal(colours, np.where(np.arange(n) == 7, colours[7], colours[0]))
        assert {colours[0], colours[7]} == {0, 1}

    @pytest.mark.parametrize(
        "call, message",
        [
            (lambda: colouring.star(row_arrow(4)), "a symmetric pattern"),
            (lambda: colouring.star(pattern_of(np.ones((2, 3)))), "a symmetric pattern"),
            (lambda: colouring.recovery(row_arrow(3), np.arange(3)), "a symmetric pattern"),
            (lambda: colouring.recovery(arrow(3), np.arange(4)), "must have a colour"),
            (lambda: colouring.recovery(arrow(3), np.array([0, 1, -1])), "must have a colour"),
            (lambda: colouring.recovery(arrow(3), np.array([0, 1, 1])), "no star colouring"),
            (lambda: colouring.recovery(banded(4, 1, 1), np.array([0, 1, 0, 1])), "no star"),
            (
                lambda: colouring.recovery(sp.csr_array(([1, 1], [0, 0], [0, 2])), np.zeros(1)),
                "canonical format",
            ),
        ],
    )
    def test_bad_input(self, call, message):
        with pytest.raises(ValueError, match=message):
            call()


class TestOrders:
    pattern = brusselator(5)

    def test_each_is_a_permutation(self):
        pattern = sp.csr_array(sp.hstack([self.pattern, sp.csr_array((50, 3), dtype=bool)]))
        found = list(orders.orders(pattern, pattern.tocsc()))
        assert len(found) == 4
        for order in found:
            np.testing.assert_array_equal(np.sort(order), np.arange(50))

    @given(random_patterns)
    @settings(max_examples=60, deadline=None)
    def test_follow_their_definitions(self, dense):
        by_row = sp.csr_array(dense)
        found = list(orders.orders(by_row, by_row.tocsc()))
        shared = dense.T.astype(int) @ dense  # rows that two columns share
        np.fill_diagonal(shared, 0)
        _, largest_first, *dynamic = found
        assert np.all(np.diff(shared.sum(0)[largest_first]) <= 0)
        for smallest_last, incidence in [dynamic] if dynamic else []:
            for place, j in enumerate(smallest_last):
                left = smallest_last[: place + 1]
                assert shared[j, left].sum() == shared[np.ix_(left, left)].sum(0).min()
            for place, j in enumerate(incidence):
                waiting = incidence[place:]
                assert shared[j, incidence[:place]].sum() == (
                    shared[np.ix_(waiting, incidence[:place])].sum(1).max()
                )


def test_compiled_where_nothing_can_be_written():
    """A function that Numba has no place for, as in an installation that is read-only."""
    names = {}
    exec(compile("def twice(x): return 2 * x", "<nowhere>", "exec"), names)
    assert orders.compiled(names["twice"])(4) == 8
