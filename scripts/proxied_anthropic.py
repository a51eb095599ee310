"""The real service before a small server that stands for Anthropic, for scripts that try clients.

The server takes one key, and answers each request in the form of Anthropic's documentation.
"""

import http.server
import json
import secrets

from proxied import serving

STORED = "sk-ant-api03-" + secrets.token_hex(20)
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
    # So many streams are broken off in their middle.
    cuts = 0
    # A semaphore, where each event but the first waits until the one before it has come to the client.
    arrived = None

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
        if path == "/v1/messages/batches/msgbatch_1" and self.command == "DELETE":
            return self.json(200, {"id": "msgbatch_1", "type": "message_batch_deleted"})
        batches = "/v1/messages/batches"
        if path in (batches, f"{batches}/msgbatch_1", f"{batches}/msgbatch_1/cancel"):
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
        events = EVENTS
        if Upstream.cuts:
            Upstream.cuts -= 1
            self.close_connection = True
            events = EVENTS[:4]
        for number, event in enumerate(events):
            if self.arrived and number and not self.arrived.acquire(timeout=10):
                self.close_connection = True
                return
            text = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
            self.wfile.write(f"{len(text):x}\r\n".encode() + text + b"\r\n")
            self.wfile.flush()
        if events is EVENTS:
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


def service(binary, folder):
    """The service before the server that stands for Anthropic, as `serving` gives it."""
    return serving(binary, folder, Upstream, ("ANTHROPIC_API_BASE", ""), {}, STORED)
