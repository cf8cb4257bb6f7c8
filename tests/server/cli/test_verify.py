"""``getaway verify`` against the customer's vectors."""

import pytest

from tests.helpers import vectors
from tests.helpers.command_line import CommandLine

VECTORS = vectors.VECTORS["rounds"]
SEED = VECTORS[0]["server_seed"]
getaway = CommandLine({})


def options(vector: dict) -> list[str]:
    named = {
        "--server-seed": vector["server_seed"],
        "--client-seed": vector["client_seed"],
        "--nonce": str(vector["nonce"]),
        "--rtp": f"{vector['rtp_bps'] / 100:g}",
        "--max-win": str(vector["max_win_multiplier"]),
    }
    return [word for option in named.items() for word in option]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["server_seed"][:8])
def test_every_vector_holds(vector):
    assert getaway("verify", *options(vector), "--json").document == {
        "server_seed_hash": vector["server_seed_hash"],
        "crash_point": vector["crash_hundredths"] / 100,
        "map_seed": vector["map_seed"],
        "loot_seed": vector["loot_seed"],
        "guard_seed": vector["guard_seed"],
    }


def test_people_read_aligned_lines_and_the_defaults_are_96_percent_and_2000():
    vector = VECTORS[0]
    assert (vector["rtp_bps"], vector["max_win_multiplier"]) == (9_600, 2_000)
    done = getaway("verify", *options(vector)[:6])
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"server_seed_hash  {vector['server_seed_hash']}",
        f"crash_point       {vector['crash_hundredths'] / 100:.2f}x",
        f"map_seed          {vector['map_seed']}",
        f"loot_seed         {vector['loot_seed']}",
        f"guard_seed        {vector['guard_seed']}",
    ]


@pytest.mark.parametrize(
    ("option", "value", "clause"),
    [
        ("--server-seed", SEED.upper(), "must be 64 lower-case hex characters"),
        ("--server-seed", SEED[1:], "must be 64 lower-case hex characters"),
        ("--client-seed", "", "must be 1 to 64 characters"),
        ("--client-seed", "a:b", "must be 1 to 64 characters"),
        ("--client-seed", "a" * 65, "must be 1 to 64 characters"),
        ("--nonce", "0", "0 is not in the range"),
        ("--nonce", "1.5", "is not a valid integer"),
        ("--rtp", "0.99", "must be a percentage from 1 to 100"),
        ("--rtp", "96.001", "must be a percentage from 1 to 100"),
        ("--rtp", "100.01", "must be a percentage from 1 to 100"),
        ("--rtp", "٩٦", "must be a percentage from 1 to 100"),
        ("--max-win", "1", "1 is not in the range"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_its_option(option, value, clause):
    good = ["--server-seed", SEED, "--client-seed", "player", "--nonce", "1"]
    line = getaway.refusal(2, "verify", *good, option, value)
    assert line.startswith(f"getaway verify: Invalid value for '{option}': ") and clause in line


@pytest.mark.parametrize("missing", ["--server-seed", "--client-seed", "--nonce"])
def test_each_seed_is_needed(missing):
    good = {"--server-seed": SEED, "--client-seed": "player", "--nonce": "1"}
    rest = [word for name, value in good.items() if name != missing for word in (name, value)]
    assert f"Missing option '{missing}'" in getaway.refusal(2, "verify", *rest)
