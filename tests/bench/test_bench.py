"""The benchmark's own arithmetic and its table. Timings are no tests."""

import pytest

from tests.bench import rounds, streaming, ten_million
from tests.bench.arithmetic import capacity, quantile
from tests.bench.report import BEGIN, END, Line, with_table, write_table
from tests.bench.ten_million import Reads
from tests.bench.writing import Written
from tests.bench.yardsticks import parse_load


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


def test_a_table_made_anew_has_no_old_lines():
    assert with_table(with_table(f"{BEGIN}\n{END}", LINES), LINES[:1], keep=False).count("\n| ") == 3


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


TICKLOAD = (
    "players=4000 up=4000 gone=0 flying={flying} rounds/s=0.5 ticks/s=80002 per_flying={per_flying}"
    " late_ms p50=1.3 p99={late} p99.9=11.6 bet_ms p50=-1.0 p99=7.5 errors={errors}\n"
)
KEPT_UP = {"flying": 4000, "per_flying": "20.00", "late": "5.0", "errors": 0}


def test_the_line_of_tickload_is_read():
    load = parse_load(TICKLOAD.format(**KEPT_UP))
    assert (load.players, load.flying, load.errors) == (4000, 4000, 0)
    assert (load.rounds_per_s, load.ticks_per_s, load.per_flying) == (0.5, 80_002, 20)
    assert (load.late_p50_ms, load.late_p99_ms, load.bet_p50_ms, load.bet_p99_ms) == (1.3, 5, -1, 7.5)


def test_a_line_that_is_not_tickloads():
    with pytest.raises(ValueError, match="has no 'players'"):
        parse_load("cannot connect\n")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"late": "24.9"}, True),
        ({"late": "25.0"}, False),
        ({"per_flying": "19.60"}, True),
        ({"per_flying": "19.59"}, False),
        ({"per_flying": "20.41"}, False),
        ({"flying": 3999}, False),
        ({"errors": 1}, False),
    ],
)
def test_when_a_server_keeps_up(change, expected):
    assert streaming.holds(parse_load(TICKLOAD.format(**(KEPT_UP | change))), 4000) is expected


@pytest.mark.parametrize(
    ("found", "met"),
    [
        ({"floor": [6000], "peer": [3000], "ours": [4250]}, True),
        ({"floor": [9000, 6000, 3000], "peer": [4500, 3000, 1500], "ours": [6500, 4500, 2250]}, True),
        ({"floor": [9000, 6000, 3000], "peer": [4500, 3000, 1500], "ours": [2250, 4500, 6500]}, True),
        ({"floor": [3000, 6000, 9000], "peer": [1500, 3000, 4500], "ours": [6500, 4000, 2000]}, False),
        ({"floor": [6000], "peer": [3000], "ours": [4000]}, False),
        ({"floor": [6000], "peer": [4000], "ours": [4250]}, False),
        ({"floor": [6000], "ours": [4250]}, None),
        ({"floor": [6000], "ours": [4000]}, False),
    ],
)
def test_the_goal_of_streaming_is_beside_the_yardsticks(found, met):
    assert streaming.line(found).met is met


def test_neither_ticks_nor_idle_sockets_count_as_the_rounds_cpu():
    figures = {"cashouts": 60, "crashes": 40, "ticks": 10_000, "cpu_s": 0.6, "idle_s": 0.1}
    assert rounds.cpu_of_a_round(figures, 20e-6) == pytest.approx(3)


def ten_million_lines(stored=10_000_000, failed=0, full_per_s=800.0, lock_part=0.0):
    written = {(name, writers): Written(1_000, lock_part) for name in ("empty", "full") for writers in (1, 4)}
    written["full", 4] = Written(full_per_s, 0)
    return ten_million.lines(stored, 1.2, (Reads([19.0] * 99 + [90], failed), Reads([2.0], 0)), written)


@pytest.mark.parametrize(
    ("changes", "met"),
    [
        ({}, [True, True, True, True]),
        ({"stored": 9_999_900}, [False, False, False, False]),
        ({"failed": 1}, [False, True, True, True]),
        ({"full_per_s": 799.0}, [True, True, False, True]),
        ({"lock_part": 0.1}, [True, True, False, True]),
    ],
)
def test_the_goals_of_ten_million_rounds(changes, met):
    assert [line.met for line in ten_million_lines(**changes)] == met


def test_fewer_rounds_are_told():
    assert all("5,000 rounds" in line.measured for line in ten_million_lines(stored=5_000))
