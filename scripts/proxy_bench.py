"""Measures the proxy of Anthropic's API beside nginx and, where it is there, LiteLLM, before one upstream.

    proxy_bench.py BINARY [SECONDS]

BINARY is a release build. Needs nginx and wrk on PATH. LITELLM names LiteLLM's program (PyPI: litellm[proxy]); without
it that row is left out. The upstream is an nginx that answers from memory; each row is measured SECONDS long (5).
"""

import contextlib
import json
import os
import pathlib
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from generated_client_flow import SECRETS, ready
from proxied import SERVICE_TOKEN, operate
from proxied_anthropic import EVENTS, MESSAGE, STORED

STREAM_BYTES = 200_000
OPEN_STREAMS = 1000
BODY = json.dumps({"model": "claude-check", "max_tokens": 64, "messages": [{"role": "user", "content": "Hello"}]})
NGINX = """
worker_processes {workers}; daemon off; pid {folder}/{name}.pid; error_log {folder}/{name}.log crit;
worker_rlimit_nofile 8192;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000; client_max_body_size 40m; default_type application/json;
  client_body_temp_path {folder}/{name}-1; proxy_temp_path {folder}/{name}-2; fastcgi_temp_path {folder}/{name}-3;
  uwsgi_temp_path {folder}/{name}-4; scgi_temp_path {folder}/{name}-5;
  {http}
}}
"""
UPSTREAM = """
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /v1/messages {{
      if ($arg_bench = stream) {{ rewrite ^ /stream.sse last; }}
      if ($arg_bench = slow) {{ rewrite ^ /slow.sse last; }}
      return 200 '{message}';
    }}
    location = /stream.sse {{
      default_type text/event-stream; alias {folder}/stream.sse; error_page 405 =200 $uri;
    }}
    location = /slow.sse {{
      default_type text/event-stream; limit_rate 1500; alias {folder}/stream.sse; error_page 405 =200 $uri;
    }}
  }}
"""
PROXY = """
  upstream up {{ server 127.0.0.1:{upstream}; keepalive 128; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://up; proxy_http_version 1.1; proxy_set_header connection "";
      proxy_set_header x-api-key k; proxy_buffering off; proxy_request_buffering off;
    }}
  }}
"""


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def stream():
    """An answer as a stream of about 200 KB."""
    def line(event):
        return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()

    first, pieces, last = EVENTS[:2], [event for event in EVENTS if "delta" in event][:1], EVENTS[-3:]
    middle = b"".join(map(line, pieces))
    return b"".join(map(line, first)) + middle * (STREAM_BYTES // len(middle)) + b"".join(map(line, last))


@contextlib.contextmanager
def running(command, port, **more):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)
    try:
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit(f"{command[0]} does not listen")
            time.sleep(0.1)
        yield process
    finally:
        process.terminate()
        process.wait()


def nginx(folder, name, workers, http):
    conf = pathlib.Path(folder, f"{name}.conf")
    conf.write_text(NGINX.format(folder=folder, name=name, workers=workers, http=http))
    return ["nginx", "-c", str(conf), "-p", folder]


def wrk(folder, address, headers, connections, seconds):
    """Latencies in milliseconds, requests and bytes for each second, and what failed."""
    script = pathlib.Path(folder, "post.lua")
    lines = "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in headers.items())
    script.write_text(
        f"wrk.method = 'POST'\nwrk.body = [[{BODY}]]\n{lines}"
        "done = function(s, l, r)\n"
        "  local e = s.errors\n"
        "  io.write(string.format('RESULT %f %f %d %d %d %d\\n', l:percentile(50), l:percentile(99),\n"
        "    s.requests, s.bytes, s.duration, e.connect + e.read + e.write + e.status + e.timeout))\n"
        "end\n"
    )
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(script), address]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"RESULT (\S+) (\S+) (\d+) (\d+) (\d+) (\d+)", said)
    p50, p99, requests, size, micros, failed = map(float, found.groups())
    return p50 / 1000, p99 / 1000, requests * 1e6 / micros, size / micros, int(failed)


def resident(process):
    """Bytes that a process and its children hold."""
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    total = 0
    for pid in [str(process.pid), *children]:
        total += int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()
    return total


def held(process, address, headers):
    """Bytes for each of many streams that are open at the same time."""
    before = resident(process)
    host, port = re.match(r"http://([^:/]+):(\d+)", address).groups()
    path = address.split(port, 1)[1]
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    request = f"POST {path} HTTP/1.1\r\nhost: {host}\r\n{head}content-length: {len(BODY)}\r\n\r\n{BODY}".encode()
    sockets = []
    for _ in range(OPEN_STREAMS):
        one = socket.create_connection((host, int(port)))
        one.sendall(request)
        sockets.append(one)
    begun = 0
    for one in sockets:
        one.settimeout(20)
        with contextlib.suppress(TimeoutError):
            begun += one.recv(64).startswith(b"HTTP/1.1 200")
            continue
        break
    each = (resident(process) - before) / OPEN_STREAMS
    for one in sockets:
        one.close()
    return each if begun == OPEN_STREAMS else f"only {begun} were open"


def rows(folder, binary, seconds):
    upstream_port, proxy_port, our_port, llm_port = (free_port() for _ in range(4))
    pathlib.Path(folder, "stream.sse").write_bytes(stream())
    up = UPSTREAM.format(port=upstream_port, folder=folder, message=json.dumps(MESSAGE))
    upstream = f"http://127.0.0.1:{upstream_port}"
    plain = {"content-type": "application/json", "anthropic-version": "2023-06-01"}
    with contextlib.ExitStack() as all_of_it:
        start = all_of_it.enter_context
        start(running(nginx(folder, "upstream", 1, up), upstream_port))
        yield "direct", None, f"{upstream}/v1/messages", plain
        proxy = PROXY.format(port=proxy_port, upstream=upstream_port)
        process = start(running(nginx(folder, "proxy", 2, proxy), proxy_port))
        yield "nginx", process, f"http://127.0.0.1:{proxy_port}/v1/messages", plain
        settings = {
            **SECRETS,
            "DATABASE_URL": f"sqlite://{folder}/data/proxy.db",
            "BIND_ADDR": f"127.0.0.1:{our_port}",
            "BASE_URL": f"http://localhost:{our_port}",
            "SERVICE_TOKEN": SERVICE_TOKEN,
            "ANTHROPIC_API_BASE": upstream,
            "PROXY_CALLS_PER_KEY": "2048",
        }
        log = pathlib.Path(folder, "log")
        out = start(log.open("w"))
        process = subprocess.Popen([binary, "serve", "--log-format", "json"], env=settings, stdout=out, stderr=out)
        all_of_it.callback(process.wait)
        all_of_it.callback(process.kill)
        ready(process, log)
        address = f"http://127.0.0.1:{our_port}"
        operate(address, "POST", "/v1/agents", {"agent": "bench"})
        key = operate(address, "POST", "/v1/agents/bench/keys", {})["key"]
        operate(address, "PUT", "/v1/agents/bench/upstream-keys/anthropic", {"api_key": STORED})
        yield "this service", process, f"{address}/proxy/anthropic/v1/messages", {**plain, "x-api-key": key}
        if program := os.environ.get("LITELLM"):
            master = "sk-" + SERVICE_TOKEN
            conf = pathlib.Path(folder, "litellm.json")
            conf.write_text(json.dumps({"model_list": [], "general_settings": {"master_key": master}}))
            environment = {**os.environ, "ANTHROPIC_API_BASE": upstream, "ANTHROPIC_API_KEY": STORED}
            command = [program, "--config", str(conf), "--host", "127.0.0.1", "--port", str(llm_port)]
            process = start(running(command, llm_port, env=environment))
            yield "LiteLLM", process, f"http://127.0.0.1:{llm_port}/anthropic/v1/messages", {**plain, "x-api-key": master}


def main(binary, seconds="5"):
    binary = str(pathlib.Path(binary).resolve())
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print("| before the upstream | p50 ms | p99 ms | /s at 64 | p50 at 64 | streams MB/s | KiB a stream | failures |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        for name, process, address, headers in rows(folder, binary, seconds):
            wrk(folder, address, headers, 1, 1)
            p50, p99, _, _, failed = wrk(folder, address, headers, 1, seconds)
            many50, _, rate, _, more = wrk(folder, address, headers, 64, seconds)
            _, _, _, speed, most = wrk(folder, f"{address}?bench=stream", headers, 16, seconds)
            each = "" if process is None else held(process, f"{address}?bench=slow", headers)
            each = each if isinstance(each, str) else f"{each / 1024:.0f}"
            failures = failed + more + most
            print(
                f"| {name} | {p50:.3f} | {p99:.3f} | {rate:.0f} | {many50:.2f} | {speed:.0f} | {each} | {failures} |",
                flush=True,
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
