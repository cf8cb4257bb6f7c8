"""A server that is ready has tried its connection for commits: the first bet need not wait for one or find trouble."""

from tests.bench.figures.stand import open_stand

COMMITTED = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%commit_group%' AND pid <> pg_backend_pid()"


def test_the_connection_for_commits_is_there_before_the_first_bet():
    with open_stand() as stand:
        stand.server.start()
        assert stand.query(COMMITTED)[0][0] == 1
