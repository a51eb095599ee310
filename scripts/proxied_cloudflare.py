"""The real service before a small server that stands for Cloudflare, for scripts that try clients.

The server takes one token, keeps records, and answers in the form of Cloudflare's documentation.
"""

import http.server
import json
import secrets

from proxied import serving

TOKEN = secrets.token_hex(24)
ZONE = "023e105f4ecef8ad9ca31a8372d0c353"
ACCOUNT = "01a7362d577a6c3019a474fd6f485823"
RECORD = {
    "id": "372e67954025e0ba6aaa6d586b9e0b59",
    "name": "www.example.com",
    "type": "A",
    "content": "192.0.2.1",
    "ttl": 300,
    "proxied": False,
    "proxiable": True,
    "created_on": "2026-11-30T00:00:00Z",
    "modified_on": "2026-11-30T00:00:00Z",
    "meta": {},
    "settings": {},
    "comment": None,
    "tags": [],
}
ACCOUNTS = [{"id": ACCOUNT, "name": "Example", "type": "standard"}]
ZONES = [{"id": ZONE, "name": "example.com", "status": "active", "account": {"id": ACCOUNT, "name": "Example"}}]


class Upstream(http.server.BaseHTTPRequestHandler):
    """Cloudflare, as far as the clients look."""

    protocol_version = "HTTP/1.1"
    seen = []

    def answer(self):
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length) if length else b""
        path, _, query = self.path.removeprefix("/client/v4").partition("?")
        Upstream.seen.append((self.command, path, query, dict(self.headers.items()), body))
        if self.headers.get_all("authorization", []) != [f"Bearer {TOKEN}"]:
            return self.error(403, 10000, "Authentication error")
        records = f"/zones/{ZONE}/dns_records"
        if self.command == "GET" and path == records:
            page = [] if "page=2" in query else [RECORD]
            return self.result(page, {"page": 1, "per_page": 100, "count": len(page), "total_count": 1})
        if self.command == "GET" and path == f"{records}/{RECORD['id']}":
            return self.result(RECORD)
        if path == records or path.startswith(records + "/"):
            return self.result({**RECORD, **(json.loads(body) if body else {})})
        found = {
            f"/zones/{ZONE}": ZONES[0],
            f"/accounts/{ACCOUNT}": ACCOUNTS[0],
            "/user": {"id": "7c5dae5552338874e5053f2534d2767a", "email": "ann@example.com"},
            f"/accounts/{ACCOUNT}/workers/subdomain": {"subdomain": "example"},
            f"/accounts/{ACCOUNT}/workers/scripts/site/secrets": [{"name": "KEY", "type": "secret_text"}],
            f"/accounts/{ACCOUNT}/workers/scripts/site/deployments": {"deployments": []},
        }
        if self.command == "GET" and path in found:
            return self.result(found[path])
        lists = {"/zones": ZONES, "/accounts": ACCOUNTS, "/memberships": []}
        if self.command == "GET" and path in lists:
            page = [] if "page=2" in query else lists[path]
            return self.result(page, {"page": 1, "per_page": 20, "count": 1, "total_count": 1})
        return self.error(404, 7003, f"Could not route to {path}")

    do_DELETE = do_GET = do_PATCH = do_POST = do_PUT = answer

    def result(self, result, info=None):
        told = {"success": True, "errors": [], "messages": [], "result": result}
        self.json(200, {**told, "result_info": info} if info else told)

    def error(self, status, code, message):
        error = {"code": code, "message": message}
        self.json(status, {"success": False, "errors": [error], "messages": [], "result": None})

    def json(self, status, value):
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"content-type": "application/json", "cf-ray": "upstream-ray", "etag": '"one"'}.items():
            self.send_header(name, text)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def service(binary, folder):
    """The service before the server that stands for Cloudflare, as `serving` gives it."""
    base = ("CLOUDFLARE_API_BASE", "/client/v4")
    return serving(binary, folder, Upstream, base, {"CLOUDFLARE_API_TOKEN": TOKEN}, TOKEN)
