"""The demo operator as a process of its own, over real sockets."""

import hashlib
import hmac
import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CREDENTIALS = {"operator_id": "7f5c1d3e-0000-4000-8000-000000000001", "api_key": "key", "hmac_secret": "secret"}
BET = json.dumps(
    {
        "operator_tx_id": "bet-1",
        "operator_player_id": "ada",
        "session_id": "s",
        "round_id": "0a1b2c3d",
        "currency": "USD",
        "amount_minor": 10_000,
    }
).encode()


def command(directory, **changes):
    options = {
        "port": "0",
        "getaway-url": "http://127.0.0.1:1",
        "credentials": str(directory / "operator.json"),
        "database": str(directory / "wallet.sqlite"),
    } | changes
    return [sys.executable, "-m", "server.sandbox.operator", *(f"--{name}={value}" for name, value in options.items())]


@contextmanager
def running(directory):
    (directory / "operator.json").write_text(json.dumps(CREDENTIALS))
    process = subprocess.Popen(command(directory), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        first = process.stdout.readline()
        assert first.startswith("operator: lobby at http://127.0.0.1:"), first
        yield process, int(first.rstrip("/\n").rpartition(":")[2])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def signed(target, body):
    timestamp = str(int(time.time()))
    text = f"{timestamp}.POST.{target}.{hashlib.sha256(body).hexdigest()}"
    return {
        "Content-Type": "application/json",
        "X-Operator-Id": CREDENTIALS["operator_id"],
        "X-Operator-Key": CREDENTIALS["api_key"],
        "X-Timestamp": timestamp,
        "X-Signature": hmac.new(CREDENTIALS["hmac_secret"].encode(), text.encode(), hashlib.sha256).hexdigest(),
    }


def ask(connection, method, target, body=b"", headers=None):
    connection.request(method, target, body, headers or {})
    response = connection.getresponse()
    return response.status, response.read()


def test_money_survives_a_kill_and_a_restart(tmp_path):
    with running(tmp_path) as (process, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        assert ask(connection, "GET", "/?player=ada")[0] == 200
        status, answer = ask(connection, "POST", "/wallet/bet", BET, signed("/wallet/bet", BET))
        assert (status, json.loads(answer)) == (200, {"ok": True, "balance_minor": 490_000})
        assert "balance 4,900.00 USD" in process.stdout.readline()
        process.kill()
        connection.close()
    with running(tmp_path) as (process, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        again = ask(connection, "POST", "/wallet/bet", BET, signed("/wallet/bet", BET))
        assert again == (status, answer)
        assert "repeated" in process.stdout.readline()
        assert json.loads(ask(connection, "GET", "/api/balance?player=ada")[1])["balance_minor"] == 490_000
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0


def raw(port, data):
    with socket.create_connection(("127.0.0.1", port), timeout=5) as stream:
        stream.sendall(data)
        stream.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := stream.recv(65536):
            answer += piece
        return answer


def test_bad_requests_get_an_answer_and_leave_it_running(tmp_path):
    with running(tmp_path) as (process, port):
        head = b"POST /wallet/bet HTTP/1.1\r\nHost: x\r\n"
        assert b" 411 " in raw(port, head + b"\r\n")
        assert b" 411 " in raw(port, head + b"Content-Length: -1\r\n\r\n")
        assert b" 411 " in raw(port, head + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab")
        assert b" 411 " in raw(port, head + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n")
        assert b" 413 " in raw(port, head + b"Content-Length: 65537\r\n\r\n")
        assert b" 401 " in raw(port, head + b"Content-Length: 2\r\n\r\n{}")
        assert b" 501 " in raw(port, b"DELETE / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"400" in raw(port, b"garbage \xff\r\n\r\n")
        raw(port, b"GET //[ HTTP/1.1\r\nHost: x\r\n\r\n")
        raw(port, b"")
        assert b" 200 " in raw(port, b"GET /?player=ada HTTP/1.1\r\nHost: x\r\n\r\n")
        assert process.poll() is None


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"operator_id": "x"}'])
def test_bad_credentials_are_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "operator.json").write_text(content)
    done = subprocess.run(command(tmp_path), cwd=ROOT, capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "operator.json" in done.stderr


def test_a_taken_port_is_one_line(tmp_path):
    (tmp_path / "operator.json").write_text(json.dumps(CREDENTIALS))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            command(tmp_path, port=port), cwd=ROOT, capture_output=True, text=True, timeout=10, check=False
        )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"operator: can't listen on 127.0.0.1:{port}: Address already in use"]
