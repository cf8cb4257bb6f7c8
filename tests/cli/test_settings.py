"""Each configured value arrives in the settings of the part that it is for."""

from decimal import Decimal
from pathlib import Path

from server.config import load_config
from server.settings import edge_settings, game_settings, gateway_settings, web_settings

FILE = """
[server]
public_url = "https://play.example"
trusted_proxies = ["10.0.0.0/8"]
drain_ms_max = 1

[game]
growth_rate_per_ms = 0.00007
tick_ms = 20

[wallet]
bet_timeout_ms = 103
delivery_timeout_ms = 104
pending_wait_ms = 105
retry_first_ms = 106
retry_max_ms = 107
retry_period_ms = 273_600_108
bets_in_flight_max = 109
deliveries_in_flight_max = 110
breaker_failures_max = 111
breaker_pause_ms_max = 1_112
allow_insecure_callbacks = true

[limits]
requests_per_second = 9
requests_burst = 10

[currencies.JPY]
min_bet_minor = 1
max_bet_minor = 5
bet_step_minor = 1
max_payout_minor = 50
"""


def test_the_parts_get_what_is_configured(tmp_path):
    path: Path = tmp_path / "getaway.toml"
    path.write_text(FILE)
    config = load_config(path, {})

    game = game_settings(config)
    assert (game.growth_rate_per_ms, game.tick_ms, game.drain_ms_max) == (Decimal("0.00007"), 20, 1)
    assert (game.bet_timeout_ms, game.delivery_timeout_ms, game.pending_wait_ms) == (103, 104, 105)
    assert (game.retry_first_ms, game.retry_max_ms, game.retry_period_ms) == (106, 107, 273_600_108)
    assert (game.operator_bets_max, game.operator_deliveries_max) == (109, 110)
    assert (game.breaker_failures_max, game.breaker_open_max_ms, game.claim_ms) == (111, 1_112, 10_104)
    assert {code: limits.max_bet_minor for code, limits in game.bet_limits.items()} == {"JPY": 5}

    assert gateway_settings(config).allow_insecure_callbacks is True

    web = web_settings(config)
    assert (web.public_url, web.requests_per_second, web.requests_burst) == ("https://play.example", 9, 10)
    assert web.trusted_proxies == config.server.trusted_proxies != ()
    assert (web.static_dir / "index.html").is_file()
    assert web.allow_insecure_lobbies is True


def test_workers_share_what_is_for_the_whole_server_and_each_has_its_own_of_the_rest(tmp_path):
    path: Path = tmp_path / "getaway.toml"
    path.write_text(FILE)
    alone, workers = load_config(path, {}), load_config(path, {"GETAWAY_SERVER_WORKERS": "4"})

    game, web, edge = game_settings(workers), web_settings(workers), edge_settings(workers)
    assert (game.operator_bets_max, game.operator_deliveries_max) == (28, 28)
    assert (web.requests_per_second, web.requests_burst) == (3, 3)
    assert edge.connections_max == 2_500
    assert (game.operator_void_rounds_per_second, game.operator_void_rounds_burst) == (5, 50)
    assert game.sessions_of_operator_max == game_settings(alone).sessions_of_operator_max
    assert (game.sessions_of_operator_beside_others_max, edge.connections_max) == (1_875, 2_500)
    assert web.failures_burst == -(-web_settings(alone).failures_burst // 4)
    assert edge.messages_per_second == edge_settings(alone).messages_per_second
    assert game.drain_ms_max == game_settings(alone).drain_ms_max
