"""Each configured value arrives in the settings of the part that it is for."""

from decimal import Decimal
from pathlib import Path

from actors.play.round import START_TOLD_MS_MAX
from actors.rules.retries import SLOWER_AFTER_MS, SLOWER_MS, SLOWEST_AFTER_MS, SLOWEST_MS
from actors.shared.contact import DIFFERENCE_MS_MAX, DIFFERENCE_MS_WARNED
from actors.shared.game_settings import GameSettings
from server.config.loading import load_config
from server.db.driver.heartbeat_line import LINE_MS_MAX
from server.edge.settings import EdgeSettings
from server.settings import edge_settings, game_settings, gateway_settings, metrics_edge_settings, web_settings
from server.wallet.gateway import WalletGatewaySettings
from server.wallet.verdict import RETRY_AFTER_MS_MAX
from server.web.services import WebSettings

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
FILE = """
[server]
public_url = "https://play.example"
trusted_proxies = ["10.0.0.0/8"]
drain_ms_max = 1
host = "127.0.0.2"
port = 17
metrics_host = "127.0.0.3"
metrics_port = 18
connections_max = 120

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
messages_per_second = 11
messages_burst = 12
sessions_of_player_max = 13
sessions_of_operator_max = 14
void_rounds_of_session_per_minute = 15
void_rounds_of_operator_per_second = 16

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

    assert (game.sessions_of_player_max, game.sessions_of_operator_max) == (13, 14)
    assert game.sessions_of_operator_beside_others_max == 90, "three quarters of the places"
    assert (game.session_void_rounds_per_minute, game.operator_void_rounds_per_second) == (15, 16)
    assert game.operator_void_rounds_burst == 160

    edge, private = edge_settings(config), metrics_edge_settings(config)
    assert (edge.host, edge.port, edge.connections_max) == ("127.0.0.2", 17, 120)
    assert (edge.messages_per_second, edge.messages_burst) == (11, 12)
    assert edge.origins == {"https://play.example"}, "and no page of another one opens a player's socket"
    assert edge.trusted_proxies == config.server.trusted_proxies
    assert (private.host, private.port, private.origins) == ("127.0.0.3", 18, frozenset())

    assert gateway_settings(config).allow_insecure_callbacks is True

    web = web_settings(config)
    assert (web.public_url, web.requests_per_second, web.requests_burst) == ("https://play.example", 9, 10)
    assert web.trusted_proxies == config.server.trusted_proxies != ()
    assert (web.static_dir / "index.html").is_file()
    assert web.allow_insecure_lobbies is True


def test_a_part_that_is_made_by_itself_has_the_defaults_of_the_configuration():
    config = load_config(Path("/dev/null"), {})
    assert game_settings(config) == GameSettings(bet_limits=config.currencies)
    assert gateway_settings(config) == WalletGatewaySettings()
    web, edge = web_settings(config), edge_settings(config)
    assert web == WebSettings(public_url=web.public_url, static_dir=web.static_dir)
    assert edge == EdgeSettings(host=edge.host, port=edge.port, origins=edge.origins)


def test_workers_share_what_is_for_the_whole_server_and_each_has_its_own_of_the_rest(tmp_path):
    path: Path = tmp_path / "getaway.toml"
    path.write_text(FILE)
    path.write_text(FILE.replace("connections_max = 120", "").replace("void_rounds_of_operator_per_second = 16", ""))
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


def test_what_nobody_configures_is_what_the_guides_tell_operators():
    """`docs/operators.md`: wallets, and those who run them, count on these numbers."""
    config = load_config(None, {})
    game, gateway = game_settings(config), gateway_settings(config)
    assert gateway.idle_ms_max == 4_000, "connections are kept open for up to 4 s"
    assert gateway.answer_bytes_max == 64 * 1024, "at most 64 KiB of an answer are read"
    assert gateway.drain_ms_max <= 250, "a refusal's status has said all: a bet's player waits"
    assert 1 <= gateway.resolver_threads_max <= 8 and 1 <= gateway.idle_connections_max <= game.operator_bets_max
    assert (game.retry_first_ms, game.retry_max_ms) == (1_000, 60_000), "after about 1 s, then up to 60 s"
    assert game.retry_period_ms == 76 * HOUR_MS
    assert (SLOWER_AFTER_MS, SLOWER_MS) == (HOUR_MS, 5 * MINUTE_MS), "after an hour of refusals every 5 minutes"
    assert (SLOWEST_AFTER_MS, SLOWEST_MS) == (12 * HOUR_MS, 30 * MINUTE_MS), "after twelve hours every 30"
    assert RETRY_AFTER_MS_MAX == 10 * MINUTE_MS, "or before 10 minutes have passed"
    assert not gateway.allow_insecure_callbacks and gateway.private_networks == ()


def test_what_nobody_configures_is_what_the_guides_tell_whoever_runs_it():
    """`docs/money.md` and `docs/production.md`; the others are what these follow from."""
    game = game_settings(load_config(None, {}))
    assert game.lease_ms == 4_000, "a node that is only silent has a lease of 4 s"
    assert game.heartbeat_ms + LINE_MS_MAX < game.lease_ms, "a silent database is left in time for another one"
    assert START_TOLD_MS_MAX == 250, "later than 250 ms after its own moment nothing is flown"
    assert (DIFFERENCE_MS_WARNED, DIFFERENCE_MS_MAX) == (250, 1_000), "clocks"
    assert game.courier_poll_ms <= 1_000, "a retried call is sent within a second"
    assert game.operator_refresh_ms + 1_000 <= 3_000 and game.operators_age_ms_max == 30_000, "operators' age"
    assert game.claim_ms >= game.delivery_timeout_ms + 5_000, "a claim outlives its attempt and the way to it"
    assert game.start_patience_ms + game.bet_timeout_ms < game.handover_patience_ms
    assert game.outbox_check_ms <= 5_000 and game.orphan_sweep_ms <= game.lease_ms
    assert game.unattended_age_ms + 2 * game.unattended_look_ms < MINUTE_MS, "within a minute"
