"""Anthropic's Python and npm SDKs, unmodified, through the real service; called by scripts/anthropic_sdks_check.sh.

    anthropic_sdks.py BINARY FOLDER

FOLDER is empty but for anthropic_sdk_use.mjs and node_modules.
"""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import anthropic

from approving import Approver
from proxied import SERVICE_TOKEN, expect, operate
from proxied_anthropic import EVENTS, MODEL, STORED, Upstream, service


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
    made = client.messages.batches.create(requests=[{"custom_id": "one", "params": words}])
    expect(client.messages.batches.retrieve(made.id), made, "a batch that was made")
    expect(made.results_url, f"{address}/proxy/anthropic/v1/messages/batches/msgbatch_1/results", "the results' place")
    results = [one.result.message.id for one in client.messages.batches.results(made.id)]
    expect(results, ["msg_1"], "the results of a batch")
    expect(client.messages.batches.cancel(made.id).id, made.id, "a batch that is cancelled")
    expect(client.messages.batches.delete(made.id).type, "message_batch_deleted", "a batch that is deleted")

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


RULES = """
engine = "lpp-cel/1"
[[rule]]
id = "ask"
priority = 1
action = "ask"
operations = ["anthropic.messages.create"]
when = 'params.max_tokens >= 70'
"""


def asks_people(address, client):
    """Messages about which a rule has people asked: told while nobody answers, and made while the SDK waits for them."""
    approver = Approver(address)
    headers = {
        "authorization": f"Bearer {SERVICE_TOKEN}",
        "content-type": "application/toml",
        "if-match": '"0"',
    }
    put = urllib.request.Request(f"{address}/v1/policy", RULES.encode(), headers, method="PUT")
    try:
        urllib.request.urlopen(put, timeout=30).close()
    except urllib.error.HTTPError as error:
        raise SystemExit(f"the policy: {error.code} {error.read().decode()}") from error
    before = len(Upstream.seen)
    hasty = client.with_options(timeout=1.0, max_retries=1)
    told = refused(anthropic.ConflictError, lambda: asked(hasty, max_tokens=70), "a message that nobody approves")
    expect(f"approve it at {address}/" in told.message, True, "the link of the question")
    expect(len(Upstream.seen), before, "the requests that upstream had before anybody approved")
    with approver:
        expect(asked(client, max_tokens=70).content[0].text, "Hello!", "a message that is approved while it waits")
        with client.messages.stream(
            model=MODEL, max_tokens=71, messages=[{"role": "user", "content": "Hello"}]
        ) as stream:
            expect(list(stream.text_stream), ["Hel", "lo!"], "the pieces of a stream that is approved")
        expect(approver.new(), 2, "the questions about two messages")
    expect(len(Upstream.seen) - before, 2, "the requests that upstream had")


NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/n1; proxy_temp_path {folder}/n2; fastcgi_temp_path {folder}/n3;
  uwsgi_temp_path {folder}/n4; scgi_temp_path {folder}/n5;
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass {service}; proxy_set_header Host $http_host; }}
  }}
}}
"""


def through_nginx(address, key, folder):
    """A stream comes event by event through an nginx that buffers by default; how many messages were made."""
    program = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")
    if not program:
        print("Anthropic's SDKs: nginx SKIPPED: it is not installed")
        return 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = pathlib.Path(folder, "nginx.conf")
    service = address.replace("localhost", "127.0.0.1")
    settings.write_text(NGINX.format(folder=folder, port=port, service=service))
    nginx = subprocess.Popen([program, "-c", str(settings), "-p", folder])
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            if time.monotonic() > deadline or nginx.poll() is not None:
                raise SystemExit("nginx does not listen")
            time.sleep(0.05)
        Upstream.arrived = threading.Semaphore(0)
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        words = {"model": MODEL, "max_tokens": 64, "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
        headers = {"authorization": f"Bearer {key}", "content-type": "application/json", "host": address.split("/")[2]}
        client.request("POST", "/proxy/anthropic/v1/messages", json.dumps(words), headers)
        events = 0
        answer = client.getresponse()
        for line in answer:
            if not line.strip():
                events += 1
                Upstream.arrived.release()
        expect((answer.status, events), (200, len(EVENTS)), "a stream through nginx, event by event")
    finally:
        Upstream.arrived = None
        nginx.terminate()
        nginx.wait()
    return 1


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
        print("Anthropic's SDKs: a stream through nginx")
        messages = 11 + through_nginx(address, key["key"], folder)
        print("Anthropic's SDKs: a message that people approve")
        asks_people(address, client)
        for _, path, headers in Upstream.seen:
            for name in headers:
                if name.lower() in ("authorization", "cookie") or name.lower().startswith("x-stainless"):
                    raise SystemExit(f"{name} went up with {path}")

        # Taken away at once.
        operate(address, "DELETE", f"/v1/agents/deployer/keys/{key['id']}")
        before = len(Upstream.seen)
        refused(anthropic.AuthenticationError, lambda: asked(client), "a key that was taken away")
        expect(len(Upstream.seen), before, "the requests of a key that was taken away")
        usage(log, messages)
    print("Anthropic's SDKs: passed")


def usage(log, messages):
    """Each message that came to its end is told with its tokens: six of Python, three of npm, two that were approved, and
    the one through nginx."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    told = [(line["input_tokens"], line["output_tokens"]) for line in lines if line.get("target") == "usage"]
    expect(told, [(25, 12)] * messages, "the tokens that were used")


if __name__ == "__main__":
    main(*sys.argv[1:])
