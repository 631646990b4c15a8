"""Tables: columns that line up, whatever is in them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from wcwidth import wcswidth

from hsadc.cli.show.table import counters_table, table
from tests.unit.syntax.strategies import names

KEYS = {"Name": "name"}
COUNTERS = {"First": "first", "Second": "second", "Third": "third"}
COLUMNS = {"Name": "name", "Number": "number", "Last": lambda row: row["last"]}


class TestTable:
    def test_numbers_stand_on_the_right_and_names_on_the_left(self):
        rows = [{"name": "中文", "n": 7}, {"name": "a", "n": 1234}, {"name": ["b", "c"], "n": None}]
        assert list(table({"Name": "name", "N": "n"}, rows)) == [
            "Name     N",
            "----------",
            "中文     7",
            "a     1234",
            "b c      -",
        ]

    def test_without_rows(self):
        assert list(table({"Name": "name", "N": "n"}, [])) == ["Name  N", "-------"]

    def test_text_in_the_last_column_is_cut_to_fit(self):
        rows = [{"name": "abcdef", "text": "中文中文"}, {"name": "x", "text": "short"}]
        assert list(table({"Name": "name", "Text": "text"}, rows, 14)) == [
            "Name    Text",
            "--------------",
            "abcdef  中文~",
            "x       short",
        ]
        assert list(table({"Name": "name", "Text": "text"}, rows, 3))[2] == "abcdef  中~"

    def test_numbers_are_never_cut(self):
        assert list(table({"Number": "n"}, [{"n": 123456789}], 3))[2] == "123456789"

    words = names.map(lambda name: f"x{name}")  # a column of digits stands on the right

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.tuples(words, st.none() | st.integers(0, 10**12), words), min_size=1, max_size=5))
    def test_each_column_begins_and_ends_where_its_head_does(self, rows):
        head, rule, *lines = table(COLUMNS, [dict(zip(("name", "number", "last"), row, strict=True)) for row in rows])
        first = max(wcswidth(str(cell)) for cell in ("Name", *(r[0] for r in rows)))
        numbers = [r[1] for r in rows if r[1] is not None]
        second, side = max(map(len, map(str, ["Number", *numbers]))), ">" if numbers else "<"
        assert head == f"{'Name':{first}}  {'Number':{side}{second}}  Last"
        assert rule == "-" * (first + second + 4 + max(4, *(wcswidth(r[2]) for r in rows)))
        for line, (name, number, last) in zip(lines, rows, strict=True):
            blanks = " " * (first - wcswidth(name))
            shown = "-" if number is None else number
            assert line == f"{name}{blanks}  {shown:{side}{second}}  {last}".rstrip()

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.tuples(words, words), min_size=1, max_size=5), st.integers(1, 60))
    def test_what_can_be_cut_fits(self, rows, width):
        lines = list(table({"A": "a", "B": "b"}, [{"a": a, "b": b} for a, b in rows], width))
        assert all(wcswidth(line) <= max(width, wcswidth(lines[1])) for line in lines)
        least = max(wcswidth(a) for a, _ in rows) + 3
        assert wcswidth(lines[1]) <= max(width, least)


class TestCounters:
    def test_what_is_zero_everywhere_is_left_out(self):
        rows = [{"name": "a", "first": 0, "second": 5, "third": 0}, {"name": "b", "first": 0, "second": 0, "third": 12}]
        assert list(counters_table(KEYS, COUNTERS, rows)) == [
            "Name  Second  Third",
            "-------------------",
            "a          5      0",
            "b          0     12",
        ]

    def test_when_all_is_zero_the_first_counter_stays(self):
        assert list(counters_table(KEYS, COUNTERS, [{"name": "a", "first": 0, "second": 0, "third": 0}])) == [
            "Name  First",
            "-----------",
            "a         0",
        ]

    def test_what_does_not_fit_follows_below(self):
        rows = [{"name": "a", "first": 1, "second": 22, "third": 333}]
        assert list(counters_table(KEYS, COUNTERS, rows, 20)) == [
            "Name  First  Second",
            "-------------------",
            "a         1      22",
            "",
            "Name  Third",
            "-----------",
            "a       333",
        ]

    @settings(max_examples=100, deadline=None)
    @given(st.lists(st.lists(st.integers(0, 10**15), min_size=3, max_size=3), min_size=1, max_size=4), st.integers(1, 80))
    def test_nothing_is_lost_and_what_can_fit_does(self, numbers, width):
        rows = [{"name": f"x{n}", **dict(zip(COUNTERS.values(), row, strict=True))} for n, row in enumerate(numbers)]
        lines = list(counters_table(KEYS, COUNTERS, rows, width))
        shown = " ".join(lines).split()
        assert all(str(number) in shown for row in numbers for number in row if number)
        assert all(len(line) <= max(width, 6 + 15 + 1) for line in lines)
