import socket
import sys

import pytest

from server.sandbox.demo import plan_demo, run_demo
from server.sandbox.show import DemoError


@pytest.fixture
def environ(tmp_path):
    return {
        "PATH": "/bin",
        "GETAWAY_SERVER_PORT": "18080",
        "GETAWAY_DATABASE_DATA_DIR": str(tmp_path / "data"),
    }


def test_the_parts_are_told_of_each_other(environ, tmp_path):
    plan = plan_demo(None, environ, host="127.0.0.1", lobby_port=18090)
    assert plan.server_command == [sys.executable, "-m", "server.cli", "serve"]
    assert plan.demo_dir == tmp_path / "data" / "demo"
    assert plan.lobby_url == "http://127.0.0.1:18090/"
    line = " ".join(plan.operator_command)
    assert "-m server.sandbox.operator" in line
    assert "--port 18090" in line
    assert "--getaway-url http://127.0.0.1:18080" in line
    assert f"--credentials {tmp_path}/data/demo/operator.json" in line
    assert plan.provisioning.wallet_callback_url == "http://127.0.0.1:18090/wallet"
    assert plan.provisioning.frame_origins == ["http://127.0.0.1:18090", "http://localhost:18090"]
    told = plan.provisioning.environ
    assert told["GETAWAY_WALLET_ALLOW_INSECURE_CALLBACKS"] == "true"
    assert told["GETAWAY_SERVER_PUBLIC_URL"] == "http://127.0.0.1:18080"
    assert told["GETAWAY_SERVER_PORT"] == "18080"
    assert told["PATH"] == "/bin"


def test_only_configured_currencies_are_offered(environ, tmp_path):
    path = tmp_path / "config.toml"
    limits = "min_bet_minor = 1\nmax_bet_minor = 100\nbet_step_minor = 1\nmax_payout_minor = 10000\n"
    path.write_text(f"[currencies.JPY]\n{limits}[currencies.GBP]\n{limits}")
    assert plan_demo(path, environ, host="127.0.0.1", lobby_port=1).provisioning.currencies == ["JPY"]
    path.write_text(f"[currencies.GBP]\n{limits}")
    with pytest.raises(DemoError, match="none of USD, EUR, JPY"):
        plan_demo(path, environ, host="127.0.0.1", lobby_port=1)


def test_a_config_file_is_passed_on_but_the_demo_stays_on_this_machine(environ, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text('[server]\npublic_url = "https://game.example"\nport = 1')
    plan = plan_demo(path, environ, host="127.0.0.1", lobby_port=18090)
    assert plan.server_command[-3:] == ["--config", str(path), "serve"]
    assert plan.server_port == 18080
    assert plan.provisioning.environ["GETAWAY_SERVER_PUBLIC_URL"] == "http://127.0.0.1:18080"


def test_the_demo_listens_to_this_machine_alone_and_without_tls_whatever_is_configured(environ):
    wide = {
        "GETAWAY_SERVER_HOST": "0.0.0.0",
        "GETAWAY_SERVER_TLS_CERTIFICATE_FILE": "c",
        "GETAWAY_SERVER_TLS_KEY_FILE": "k",
    }
    told = plan_demo(None, environ | wide, host="127.0.0.1", lobby_port=18090).provisioning.environ
    assert [told[name] for name in wide] == ["127.0.0.1", "", ""]


def test_a_bad_config_is_one_line(environ, capsys, tmp_path):
    assert run_demo(tmp_path / "missing.toml", environ) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_taken_port_is_one_line(environ, capsys, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run_demo(None, environ | {"GETAWAY_SERVER_PORT": str(port)}) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert str(port) in line
    assert not (tmp_path / "data").exists()
