"""The benchmark's own arithmetic and its table. Timings are no tests."""

import pytest

from tests.bench.arithmetic import capacity, quantile
from tests.bench.report import BEGIN, END, Line, with_table, write_table


@pytest.mark.parametrize(
    ("part", "expected"), [(0.5, 50), (0.99, 99), (0.999, 100), (1, 100), (0.001, 1), (0.01, 1), (0.011, 2)]
)
def test_a_quantile_is_one_of_the_values(part, expected):
    assert quantile([*range(100, 0, -1)], part) == expected


def test_a_quantile_of_few_values():
    assert quantile([7.5], 0.99) == 7.5
    assert quantile([1, 2], 0.5) == 1


@pytest.mark.parametrize(("values", "part"), [([], 0.5), ([1], 0), ([1], 1.01)])
def test_no_quantile(values, part):
    with pytest.raises(ValueError, match="a quantile needs"):
        quantile(values, part)


@pytest.mark.parametrize("guess", [0, 1, 250, 1_000, 4_000, 7_999, 8_000, 99_999])
@pytest.mark.parametrize("limit", [0, 249, 250, 251, 1_000, 3_999, 4_000, 7_750, 8_000, 50_000])
def test_the_capacity_is_found_from_any_guess(guess, limit):
    tried = []

    def holds(players):
        tried.append(players)
        return players <= limit

    assert capacity(holds, guess, 250, 8_000) == min(limit, 8_000) // 250 * 250
    assert len(set(tried)) == len(tried) <= 12
    assert all(250 <= players <= 8_000 and players % 250 == 0 for players in tried)


def test_a_good_guess_needs_few_trials():
    tried = []
    assert capacity(lambda players: tried.append(players) or players <= 4_100, 4_000, 250, 8_000) == 4_000
    assert tried == [4_000, 4_250]


LINES = [Line("streaming", "4,000", "5,250 | floor 6,000", True), Line("launches", "1,000/s", "812/s", False)]


def test_the_table_is_written_between_its_markers():
    written = with_table(f"# Before\n\n{BEGIN}\nold\n{END}\n\nAfter.\n", LINES)
    assert written == (
        f"# Before\n\n{BEGIN}\n| what | goal | measured | met |\n| --- | --- | --- | --- |\n"
        "| streaming | 4,000 | 5,250 / floor 6,000 | yes |\n"
        f"| launches | 1,000/s | 812/s | no |\n{END}\n\nAfter.\n"
    )
    assert with_table(written, LINES) == written


def test_rows_that_were_not_measured_stay():
    written = with_table(with_table(f"{BEGIN}\n{END}", LINES), [Line("launches", "1,000/s", "1,100/s", True)])
    assert written.splitlines()[3:5] == [
        "| streaming | 4,000 | 5,250 / floor 6,000 | yes |",
        "| launches | 1,000/s | 1,100/s | yes |",
    ]


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}{BEGIN}", f"{BEGIN}{BEGIN}{END}", f"{BEGIN}{END}{END}"])
def test_a_file_without_the_markers_is_left_alone(text, tmp_path):
    path = tmp_path / "performance.md"
    path.write_text(text)
    with pytest.raises(ValueError, match="must have the lines"):
        write_table(path, LINES)
    assert path.read_text() == text


def test_a_missing_file_is_made(tmp_path):
    path = tmp_path / "performance.md"
    write_table(path, LINES)
    write_table(path, LINES[:1])
    assert path.read_text().count("| launches |") == 1
