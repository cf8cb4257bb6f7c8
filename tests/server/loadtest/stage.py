"""A real server with an operator, and ``getaway loadtest`` run against it as a person would."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

from tests.helpers.independent_signer import signed_headers
from tests.helpers.server_process import ROOT, ServerProcess, free_ports

RUN_S_MAX = 90
RATE_PER_MS = "0.0006"
"""Ten times as fast as usual: 1.50x after 0.7 s."""
SEATED, FLYING = "getaway_player_sockets_open", "getaway_rounds_live"
LIMITS = ("--limits", "USD:10:100000:1:20000000")


class Stage:
    def __init__(self, database_url, folder):
        self.folder = folder
        self.server = ServerProcess(database_url, folder, GETAWAY_GAME_GROWTH_RATE_PER_MS=RATE_PER_MS)
        (self.wallet_port,) = free_ports(1)
        self.operator = self.server.create_operator(f"http://127.0.0.1:{self.wallet_port}/casino/wallet", *LIMITS)
        self.server.start()
        self.credentials = self.write("credentials.json", json.dumps(self.operator))

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def options(self, *more, players=20, duration="4s", ramp="1s", wallet=True):
        listen = ("--wallet-listen", f"127.0.0.1:{self.wallet_port}") if wallet else ()
        chosen = ("--players", str(players), "--duration", duration, "--ramp", ramp)
        return ["--target", self.server.url, "--credentials", self.credentials, *listen, *chosen, *more]

    def start(self, *options, stderr=subprocess.PIPE, **variables):
        # Whoever is counted from now on is of this run.
        self.wait_for(SEATED, lambda count: count == 0)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GETAWAY_")}
        return subprocess.Popen(
            [sys.executable, "-m", "server.cli", "loadtest", *options],
            cwd=self.folder,
            env=clean | {"PYTHONPATH": str(ROOT)} | variables,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def gauge(self, name):
        """What the server counts at this moment."""
        with urllib.request.urlopen(f"{self.server.metrics_url}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    def wait_for(self, name, is_right):
        deadline = time.monotonic() + RUN_S_MAX
        while not is_right(count := self.gauge(name)):
            assert time.monotonic() < deadline, f"{name} is {count}"
            time.sleep(0.05)

    def wait_until_seated(self, players=20):
        self.wait_for(SEATED, lambda count: count == players)

    def finish(self, process):
        """Exit status, output, and what came on the error stream."""
        try:
            out, err = process.communicate(timeout=RUN_S_MAX)
        finally:
            process.kill()
        return process.returncode, out, err

    def run(self, *options, **variables):
        status, out, err = self.finish(self.start(*options, **variables))
        for secret in (self.operator["api_key"], self.operator["hmac_secret"]):
            assert secret not in out + (err or "")
        assert "Traceback" not in out + (err or ""), err
        return status, out, err

    def document(self, *options):
        """The JSON of a run, and its exit status."""
        status, out, err = self.run(*options, "--json")
        assert out, err
        return status, json.loads(out)

    def call_wallet(self, kind, **fields):
        """A signed call of the server's, which it never made, once the wallet is open: the status of the answer."""
        target, body = f"/casino/wallet/{kind}", json.dumps(fields).encode()
        deadline = time.monotonic() + 20
        while True:
            headers = signed_headers(
                self.operator["operator_id"],
                self.operator["api_key"],
                self.operator["hmac_secret"],
                int(time.time()),
                "POST",
                target,
                body,
            )
            url = f"http://127.0.0.1:{self.wallet_port}{target}"
            request = urllib.request.Request(url, data=body, headers=dict(headers), method="POST")
            try:
                with urllib.request.urlopen(request, timeout=5) as answer:
                    return answer.status
            except urllib.error.HTTPError as refusal:
                return refusal.code
            except urllib.error.URLError:
                assert time.monotonic() < deadline, "the stand-in wallet never opened"
                time.sleep(0.1)
