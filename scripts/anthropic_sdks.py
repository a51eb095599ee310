"""Anthropic's Python and npm SDKs, unmodified, through the real service; called by scripts/anthropic_sdks_check.sh.

    anthropic_sdks.py BINARY FOLDER

FOLDER is empty but for anthropic_sdk_use.mjs and node_modules. A small server in this process stands for Anthropic: it
takes one key, and answers each request in the form of Anthropic's documentation.
"""

import contextlib
import http.server
import json
import os
import pathlib
import secrets
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import anthropic

from generated_client_flow import SECRETS, ready

STORED = "sk-ant-api03-" + secrets.token_hex(20)
SERVICE_TOKEN = secrets.token_hex(32)
MODEL = "claude-check"
USAGE = {"input_tokens": 25, "output_tokens": 1, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 7}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": MODEL,
    "content": [{"type": "text", "text": "Hello!"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {**USAGE, "output_tokens": 12},
}
EVENTS = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None, "usage": USAGE}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo!"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 12},
    },
    {"type": "message_stop"},
]
MODELS = {
    "data": [{"type": "model", "id": MODEL, "display_name": "Sonnet", "created_at": "2025-09-29T00:00:00Z"}],
    "has_more": False,
    "first_id": MODEL,
    "last_id": MODEL,
}
BATCH = {
    "id": "msgbatch_1",
    "type": "message_batch",
    "processing_status": "ended",
    "request_counts": {"processing": 0, "succeeded": 1, "errored": 0, "canceled": 0, "expired": 0},
    "created_at": "2026-11-30T00:00:00Z",
    "expires_at": "2026-12-01T00:00:00Z",
    "ended_at": "2026-11-30T00:01:00Z",
    "archived_at": None,
    "cancel_initiated_at": None,
    "results_url": "https://api.anthropic.com/v1/messages/batches/msgbatch_1/results",
}


class Upstream(http.server.BaseHTTPRequestHandler):
    """Anthropic, as far as the clients look."""

    protocol_version = "HTTP/1.1"
    seen = []
    busy = {}

    def answer(self):
        body = self.body()
        self.seen.append((self.command, self.path, dict(self.headers.items())))
        # From the service it comes in the one header, from the SDK itself in the other.
        keys = self.headers.get_all("x-api-key", []) + self.headers.get_all("authorization", [])
        if keys not in ([STORED], [f"Bearer {STORED}"]):
            return self.error(401, "authentication_error", "invalid x-api-key")
        path = self.path.split("?")[0]
        asked = json.loads(body) if body else {}
        if path == "/v1/messages":
            return self.messages(asked)
        if path == "/v1/messages/count_tokens":
            return self.json(200, {"input_tokens": 25})
        if path == "/v1/models":
            return self.json(200, MODELS)
        if path == "/v1/messages/batches/msgbatch_1":
            return self.json(200, BATCH)
        if path == "/v1/messages/batches/msgbatch_1/results":
            result = {"custom_id": "one", "result": {"type": "succeeded", "message": MESSAGE}}
            return self.send(200, "application/x-jsonl", json.dumps(result).encode() + b"\n")
        return self.error(404, "not_found_error", "there is no such route")

    do_DELETE = do_GET = do_POST = answer

    def messages(self, asked):
        client = self.headers.get("user-agent")
        if asked["max_tokens"] == 0:
            return self.error(400, "invalid_request_error", "max_tokens: must be at least 1")
        if asked["max_tokens"] == 529:
            self.busy[client] = self.busy.get(client, 0) + 1
            if self.busy[client] < 3:
                return self.error(529, "overloaded_error", "Overloaded", {"retry-after-ms": "20"})
        if not asked.get("stream"):
            return self.json(200, MESSAGE)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in EVENTS:
            text = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
            self.wfile.write(f"{len(text):x}\r\n".encode() + text + b"\r\n")
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def body(self):
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def error(self, status, kind, message, headers=None):
        error = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_upstream"}
        self.json(status, error, headers)

    def json(self, status, value, headers=None):
        self.send(status, "application/json", json.dumps(value).encode(), headers)

    def send(self, status, kind, data, headers=None):
        self.send_response(status)
        for name, value in {"content-type": kind, "request-id": "req_upstream", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def service(binary, folder):
    """The service on a free port, before the server that stands for Anthropic; gives the addresses of both, and the log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    settings = {
        **SECRETS,
        "DATABASE_URL": f"sqlite://{folder}/data/proxy.db",
        "BIND_ADDR": f"127.0.0.1:{port}",
        "BASE_URL": f"http://localhost:{port}",
        "SERVICE_TOKEN": SERVICE_TOKEN,
        "ANTHROPIC_API_BASE": f"http://127.0.0.1:{upstream.server_port}",
    }
    log = pathlib.Path(folder, "log")
    with log.open("w") as out:
        process = subprocess.Popen(
            [binary, "serve", "--log-format", "json"], env=settings, stdout=out, stderr=out, cwd=folder
        )
    try:
        ready(process, log)
        yield settings["BASE_URL"], settings["ANTHROPIC_API_BASE"], log
        if STORED in log.read_text():
            raise SystemExit("the stored key is in the log")
    except BaseException:
        print(log.read_text()[-5000:], file=sys.stderr)
        raise
    finally:
        process.kill()
        process.wait()
        upstream.shutdown()


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


def refused(kind, call, what):
    """The error of the SDK that a call ends with."""
    try:
        call()
    except kind as error:
        return error
    raise SystemExit(f"{what} was not refused")


def asked(client, **more):
    words = {"model": MODEL, "max_tokens": 64, "messages": [{"role": "user", "content": "Hello"}], **more}
    return client.messages.create(**words)


def answers(client):
    """The answers that a client must get through the service as it gets them directly."""
    whole = client.messages.with_raw_response.create(
        model=MODEL, max_tokens=64, messages=[{"role": "user", "content": "Hello"}]
    )
    yield whole.http_response.text, whole.headers["request-id"]
    with client.messages.stream(model=MODEL, max_tokens=64, messages=[{"role": "user", "content": "Hello"}]) as stream:
        yield [event.model_dump_json() for event in stream]
    error = refused(anthropic.BadRequestError, lambda: asked(client, max_tokens=0), "no token at all")
    yield error.body, error.request_id


def python_sdk(address, key, upstream):
    # As its users configure it: by the environment alone.
    os.environ["ANTHROPIC_BASE_URL"] = f"{address}/proxy/anthropic"
    os.environ["ANTHROPIC_AUTH_TOKEN"] = key
    os.environ.pop("ANTHROPIC_API_KEY", None)
    client = anthropic.Anthropic()
    expect(asked(client).content[0].text, "Hello!", "a message")
    words = {"model": MODEL, "max_tokens": 64, "messages": [{"role": "user", "content": "Hello"}]}
    with client.messages.stream(**words) as stream:
        expect(list(stream.text_stream), ["Hel", "lo!"], "the pieces of a stream")
        usage = stream.get_final_message().usage
    expect((usage.input_tokens, usage.output_tokens), (25, 12), "the usage of a stream")
    counted = client.messages.count_tokens(model=MODEL, messages=words["messages"])
    expect(counted.input_tokens, 25, "the count of tokens")
    expect([model.id for model in client.models.list()], [MODEL], "the models")
    closed = lambda: client.messages.batches.create(requests=[{"custom_id": "one", "params": words}])
    refused(anthropic.PermissionDeniedError, closed, "a batch, of which nothing is recorded,")
    made = client.messages.batches.retrieve("msgbatch_1")
    expect(made.results_url, f"{address}/proxy/anthropic/v1/messages/batches/msgbatch_1/results", "the results' place")
    results = [one.result.message.id for one in client.messages.batches.results(made.id)]
    expect(results, ["msg_1"], "the results of a batch")

    wrong = refused(anthropic.BadRequestError, lambda: asked(client, max_tokens=0), "no token at all")
    expect(wrong.body["error"]["message"], "max_tokens: must be at least 1", "an error of upstream's")
    before = len(Upstream.seen)
    expect(asked(client, max_tokens=529).id, "msg_1", "a message after an overload")
    expect(len(Upstream.seen) - before, 3, "the tries until then")

    before = len(Upstream.seen)
    real = anthropic.Anthropic(api_key=STORED)
    told = refused(anthropic.AuthenticationError, lambda: asked(real), "a real key")
    expect("ANTHROPIC_AUTH_TOKEN" in told.message and STORED not in told.message, True, "what a real key is told")
    stranger = anthropic.Anthropic(auth_token="cak_" + "x" * 43)
    refused(anthropic.AuthenticationError, lambda: asked(stranger), "a made-up key")
    expect(len(Upstream.seen), before, "the requests that upstream had of those")

    # What it is not told it takes from the environment.
    token = os.environ.pop("ANTHROPIC_AUTH_TOKEN")
    direct = anthropic.Anthropic(base_url=upstream, api_key=STORED)
    os.environ["ANTHROPIC_AUTH_TOKEN"] = token
    before = len(Upstream.seen)
    told_directly = list(answers(direct))
    del Upstream.seen[before:]
    expect(list(answers(client)), told_directly, "the answers through the service")
    expect(asked(client, system="x" * 31 * 1024 * 1024).id, "msg_1", "a message of 31 MiB")
    large = refused(anthropic.APIStatusError, lambda: asked(client, system="x" * 33 * 1024 * 1024), "33 MiB")
    expect((large.status_code, large.response.headers["x-llm-proxy-code"]), (413, "too_large"), "33 MiB")
    return client


def npm_sdk(address, key, folder):
    environment = {
        "PATH": os.environ["PATH"],
        "ANTHROPIC_BASE_URL": f"{address}/proxy/anthropic",
        "ANTHROPIC_AUTH_TOKEN": key,
        "MODEL": MODEL,
    }
    subprocess.run(["node", "anthropic_sdk_use.mjs"], cwd=folder, env=environment, check=True, timeout=120)


def main(binary, folder):
    with service(binary, folder) as (address, upstream, log):
        operate(address, "POST", "/v1/agents", {"agent": "deployer"})
        key = operate(address, "POST", "/v1/agents/deployer/keys", {})
        without = anthropic.Anthropic(base_url=f"{address}/proxy/anthropic", auth_token=key["key"])
        told = refused(anthropic.AuthenticationError, lambda: asked(without), "an agent without a stored key")
        expect("/v1/agents/deployer/upstream-keys/anthropic" in told.message, True, "where a key is stored")
        operate(address, "PUT", "/v1/agents/deployer/upstream-keys/anthropic", {"api_key": STORED})

        print("Anthropic's SDKs: Python", anthropic.__version__)
        client = python_sdk(address, key["key"], upstream)
        print("Anthropic's SDKs: npm")
        npm_sdk(address, key["key"], folder)
        for _, path, headers in Upstream.seen:
            for name in headers:
                if name.lower() in ("authorization", "cookie") or name.lower().startswith("x-stainless"):
                    raise SystemExit(f"{name} went up with {path}")

        # Taken away at once.
        operate(address, "DELETE", f"/v1/agents/deployer/keys/{key['id']}")
        before = len(Upstream.seen)
        refused(anthropic.AuthenticationError, lambda: asked(client), "a key that was taken away")
        expect(len(Upstream.seen), before, "the requests of a key that was taken away")
        usage(log)
    print("Anthropic's SDKs: passed")


def usage(log):
    """Each message that came to its end is told with its tokens: six of Python, three of npm."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    told = [(line["input_tokens"], line["output_tokens"]) for line in lines if line.get("target") == "usage"]
    expect(told, [(25, 12)] * 9, "the tokens that were used")


if __name__ == "__main__":
    main(*sys.argv[1:])
