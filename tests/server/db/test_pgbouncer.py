"""A real PgBouncer between: in session mode, with its defaults, all works; in transaction mode the start is refused."""

import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from server.db.driver.database import open_database
from server.db.errors import DatabaseUnavailableError
from server.db.migrations.migrate import migrate
from server.secrets.vault import Vault
from tests.helpers.books import LEASE_MS, NOON_MS
from tests.helpers.programs import needed
from tests.helpers.programs_of_postgres import LocalServer, servers_folder, unprivileged
from tests.helpers.server_process import free_ports
from tests.helpers.stores import EveryStore

STARTS_S_MAX = 10


@pytest.fixture(scope="module")
def server():
    with servers_folder() as folder:
        local = LocalServer(folder / "server").initialize().start()
        try:
            yield local, folder
        finally:
            local.kill()


def is_listening(port) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextmanager
def bouncer(server, folder, mode):
    """The URL by which PgBouncer leads to the server. All settings are its defaults but what it can't do without."""
    (port,) = free_ports(1)
    folder.chmod(0o755)
    users, settings = folder / "users.txt", folder / "pgbouncer.ini"
    users.write_text('"postgres" ""\n')
    settings.write_text(
        f"[databases]\n* = host=127.0.0.1 port={server.port} user=postgres\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = trust\nauth_file = {users}\npool_mode = {mode}\n"
    )
    process = subprocess.Popen(
        [needed("pgbouncer"), "-q", str(settings)], stderr=subprocess.DEVNULL, cwd="/", **unprivileged()
    )
    try:
        deadline = time.monotonic() + STARTS_S_MAX
        while not is_listening(port):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        process.terminate()
        process.wait()


async def test_all_works_behind_one_in_session_mode_with_its_defaults(server):
    with bouncer(*server, "session") as url:
        for pool_size in (1, 4):
            async with open_database(url, Path(), pool_size=pool_size) as database:
                await migrate(database)
                assert await database.commit_group("{}") == []
                ledger = EveryStore(database, Vault(bytes(32)))
                owner = await ledger.register_node(f"node-{pool_size}", NOON_MS)
                assert await ledger.heartbeat(owner, NOON_MS + 1_000, LEASE_MS)
                for name, value in (("statement_timeout", "10s"), ("timezone", "UTC"), ("application_name", "getaway")):
                    show = f"SHOW {name}"
                    assert await database.run(lambda connection, show=show: connection.fetchval(show)) == value


@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_one_that_gives_one_connection_to_many_is_refused_at_every_start(server, mode):
    with bouncer(*server, mode) as url:
        for _ in range(3):
            with pytest.raises(
                DatabaseUnavailableError, match=r"must be in session mode \(pool_mode = session\)"
            ) as caught:
                async with open_database(url, Path(), pool_size=2):
                    pass
            assert len(str(caught.value).splitlines()) == 1
