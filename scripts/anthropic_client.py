"""Both ends of scripts/anthropic_client_check.sh: an upstream that speaks as Anthropic's API does, and the calls
of its Python library, each made through the service and directly, with answers that must be the same."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STORED = "sk-ant-api03-of-the-check"
USAGE = {"input_tokens": 25, "output_tokens": 1}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-check",
    "content": [{"type": "text", "text": "Hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 25, "output_tokens": 15},
}
EVENTS = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None, "usage": USAGE}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 15},
    },
    {"type": "message_stop"},
]
MODEL = {"id": "claude-check", "type": "model", "display_name": "Check", "created_at": "2026-01-01T00:00:00Z"}


class Upstream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    tries = 0

    def log_message(self, *_):
        pass

    def answer(self, status, body, **headers):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.send_header("request-id", "req_check")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def error(self, status, kind, **headers):
        error = {"type": kind, "message": f"a {status}"}
        self.answer(status, {"type": "error", "error": error, "request_id": "req_check"}, **headers)

    def admits(self):
        # Nothing but the stored key comes here, in its place.
        if self.headers.get_all("x-api-key") == [STORED] and "authorization" not in self.headers:
            return True
        self.error(401, "authentication_error")
        return False

    def do_GET(self):
        if not self.admits():
            return
        path = self.path.split("?")[0]
        if path == "/v1/models":
            page = {"data": [MODEL], "has_more": False, "first_id": MODEL["id"], "last_id": MODEL["id"]}
            self.answer(200, page)
        elif path == "/v1/models/claude-check":
            self.answer(200, MODEL)
        else:
            self.error(404, "not_found_error")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if not self.admits():
            return
        if self.path.startswith("/v1/messages/count_tokens"):
            self.answer(200, {"input_tokens": 25})
        elif body["model"] == "claude-missing":
            self.error(404, "not_found_error")
        elif body["model"] == "claude-busy":
            Upstream.tries += 1
            if Upstream.tries % 2:
                self.error(529, "overloaded_error", retry_after_ms="10")
            else:
                self.answer(200, MESSAGE)
        elif body.get("stream"):
            self.stream()
        else:
            self.answer(200, MESSAGE)

    def stream(self):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.send_header("request-id", "req_check")
        self.end_headers()
        for event in EVENTS:
            data = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")


def upstream(file):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    with open(file + ".new", "w", encoding="utf-8") as port:
        port.write(str(server.server_port))
    os.rename(file + ".new", file)
    server.serve_forever()


def calls(client):
    """What each call gives, as text."""
    import anthropic

    asked = {"max_tokens": 16, "messages": [{"role": "user", "content": "Hi"}]}
    answer = client.messages.with_raw_response.create(model="claude-check", **asked)
    yield "create", answer.http_response.text, answer.headers["request-id"]
    with client.messages.stream(model="claude-check", **asked) as stream:
        yield "stream", [event.model_dump_json() for event in stream], stream.get_final_message().usage.output_tokens
    yield "count", client.messages.count_tokens(model="claude-check", messages=asked["messages"]).input_tokens
    yield "models", [model.id for model in client.models.list()], client.models.retrieve("claude-check").display_name
    try:
        client.messages.create(model="claude-missing", **asked)
    except anthropic.NotFoundError as error:
        yield "error", error.request_id, error.body
    yield "retried", client.messages.create(model="claude-busy", **asked).content[0].text
    many = client.with_options(max_retries=0).messages
    yield "long", many.create(model="claude-check", **{**asked, "system": "x" * 31 * 1024 * 1024}).id


def client():
    import anthropic

    through = list(calls(anthropic.Anthropic()))
    direct = list(calls(anthropic.Anthropic(base_url=os.environ["DIRECT"], api_key=STORED, auth_token=None)))
    for ours, theirs in zip(through, direct, strict=True):
        assert ours == theirs, (ours, theirs)
    names = [call[0] for call in through]
    assert names == ["create", "stream", "count", "models", "error", "retried", "long"], names

    # Refusals of the service are errors of the library, told once.
    asked = {"model": "claude-check", "max_tokens": 16, "messages": [{"role": "user", "content": "Hi"}]}
    for token, kind in [("cak_nobody", anthropic.AuthenticationError), (STORED, anthropic.AuthenticationError)]:
        try:
            anthropic.Anthropic(auth_token=token).messages.create(**asked)
        except kind as error:
            assert error.response.headers["x-llm-proxy-code"] == "unauthorized"
            assert error.body["type"] == "error" and error.body["error"]["type"] == "authentication_error"
            assert error.request_id, "a refusal has a request id"
        else:
            raise AssertionError(token[:4])
    try:
        anthropic.Anthropic().messages.create(**{**asked, "system": "x" * 33 * 1024 * 1024})
    except anthropic.APIStatusError as error:
        assert error.status_code == 413, error
    else:
        raise AssertionError("33 MiB pass")


if __name__ == "__main__":
    upstream(sys.argv[2]) if sys.argv[1] == "upstream" else client()
