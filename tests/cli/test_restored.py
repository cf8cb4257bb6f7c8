"""``getaway restored`` where an operator's wallet does not take what it is sent."""

import uuid

from tests.helpers.command_line import on_database

LOCAL = {"GETAWAY_WALLET_ALLOW_INSECURE_CALLBACKS": "true"}
NOBODY_LISTENS = "http://127.0.0.1:9/callbacks"
CREATE = ("operator", "create", "--name", "Casino", "--wallet-url", NOBODY_LISTENS, "--currency", "USD", "--json")


def test_bets_stay_stopped_while_a_refund_is_not_acknowledged(emptied_database_url, postgres, tmp_path):
    getaway = on_database(emptied_database_url)
    operator_id = getaway(*CREATE, **LOCAL).document["operator_id"]
    round_id, theirs = uuid.uuid4(), tmp_path / "theirs.csv"
    theirs.write_text(
        "operator_tx_id,kind,amount_minor,currency,session_id,operator_player_id\n"
        f"bet-{round_id},bet,100,USD,{uuid.uuid4()},player-42\n"
    )
    restored = (
        "restored",
        "--since",
        "2026-01-01T00:00:00Z",
        "--operator",
        operator_id,
        "--operator-file",
        str(theirs),
    )
    for _ in range(2):
        done = getaway(*restored, "--yes", "--by", "me", **LOCAL)
        assert (done.status, done.err) == (1, "")
        assert f"refund-{round_id}" in done.out and "bets stay stopped until all" in done.out
    no_history = "DO $$ BEGIN ASSERT NOT EXISTS (SELECT FROM histories), 'a history has begun'; END $$"
    postgres.execute(no_history, url=emptied_database_url)
