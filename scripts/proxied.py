"""The real service before a small server that stands for an API, for scripts that try clients."""

import contextlib
import http.server
import json
import pathlib
import secrets
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

from generated_client_flow import SECRETS, ready

SERVICE_TOKEN = secrets.token_hex(32)


@contextlib.contextmanager
def serving(binary, folder, upstream, base, more, secret):
    """The service on a free port, before an upstream of these handlers, whose address is in the setting `base`, which
    is a name and a path; gives the addresses of both, and the log, in which the secret must not be."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    name, path = base
    settings = {
        **SECRETS,
        "DATABASE_URL": f"sqlite://{folder}/data/proxy.db",
        "BIND_ADDR": f"127.0.0.1:{port}",
        "BASE_URL": f"http://localhost:{port}",
        "SERVICE_TOKEN": SERVICE_TOKEN,
        name: f"http://127.0.0.1:{server.server_port}{path}",
        **more,
    }
    log = pathlib.Path(folder, "log")
    with log.open("w") as out:
        process = subprocess.Popen(
            [binary, "serve", "--log-format", "json"], env=settings, stdout=out, stderr=out, cwd=folder
        )
    try:
        ready(process, log)
        yield settings["BASE_URL"], settings[name], log
        if secret in log.read_text():
            raise SystemExit("the secret of the upstream is in the log")
    except BaseException:
        print(log.read_text()[-5000:], file=sys.stderr)
        raise
    finally:
        process.kill()
        process.wait()
        server.shutdown()


def operate(address, method, path, body=None):
    """What the holder of the service token does."""
    headers = {"authorization": f"Bearer {SERVICE_TOKEN}", "content-type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{address}{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{method} {path}: {error.code} {error.read().decode()}") from error
    return json.loads(text) if text else None


def expect(seen, wanted, what):
    if seen != wanted:
        raise SystemExit(f"{what}: {seen!r} in place of {wanted!r}")
