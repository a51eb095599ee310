"""The real service before a small server that stands for Cloudflare, for scripts that try clients.

The server takes one token, keeps records, and answers in the form of Cloudflare's documentation.
"""

import base64
import email
import email.policy
import http.server
import json
import secrets
import threading
import time
import uuid

from approving import jwt
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


class Refused(Exception):
    """A refusal in Cloudflare's form: status, code and message."""


class Workers:
    """Workers of the account, as wrangler deploys them."""

    def __init__(self):
        self.lock = threading.Lock()
        # By name: what stands there.
        self.scripts = {}
        # Files by hash, uploads by token, and the manifests of complete ones.
        self.files = {}
        self.uploads = {}
        self.complete = {}

    @staticmethod
    def form(headers, body):
        """The parts of a form, by name."""
        head = f"content-type: {headers['content-type']}\r\n\r\n".encode()
        message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
        return {
            part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
            for part in message.iter_parts()
        }

    @staticmethod
    def token():
        return jwt({"exp": int(time.time()) + 3600, "id": secrets.token_hex(8)})

    def open_upload(self, name, body):
        manifest = body["manifest"]
        missing = sorted({file["hash"] for file in manifest.values()} - set(self.files))
        token = self.token()
        if not missing:
            self.complete[token] = (name, manifest)
            return {"jwt": token, "buckets": []}
        self.uploads[token] = (name, manifest)
        return {"jwt": token, "buckets": [missing[start : start + 2] for start in range(0, len(missing), 2)]}

    def upload(self, token, headers, body):
        if token not in self.uploads:
            raise Refused(401, 10000, "Authentication error")
        for name, content in self.form(headers, body).items():
            self.files[name] = base64.b64decode(content)
        name, manifest = self.uploads[token]
        if {file["hash"] for file in manifest.values()} - set(self.files):
            return 202, {"jwt": None}
        completion = self.token()
        self.complete[completion] = (name, manifest)
        return 201, {"jwt": completion}

    def script(self, name, headers, body):
        parts = self.form(headers, body)
        metadata = json.loads(parts.pop("metadata"))
        if token := metadata.get("assets", {}).get("jwt"):
            if self.complete.get(token, (None,))[0] != name:
                raise Refused(400, 10052, "the token of the assets is none, or of another script")
        elif not parts:
            raise Refused(400, 10021, "there is no code")
        version = str(uuid.uuid4())
        script = self.scripts.setdefault(
            name, {"tag": secrets.token_hex(16), "tags": [], "deployed": None, "subdomain": {}, "versions": []}
        )
        script["versions"].append(version)
        return script, version

    def answer(self, method, below, query, headers, body):
        """What a request below /accounts/{account}/workers is answered: status and result."""
        with self.lock:
            return self.routed(method, below.strip("/").split("/"), query, headers, body)

    def routed(self, method, below, query, headers, body):
        missing = Refused(404, 10007, "This Worker does not exist on your account.")
        read = json.loads(body) if body and headers["content-type"].startswith("application/json") else None
        match method, below:
            case "GET", ["subdomain"]:
                return 200, {"subdomain": "example"}
            case "GET", ["services", name]:
                if name not in self.scripts:
                    raise Refused(404, 10090, "This service does not exist on your account.")
                script = {key: self.scripts[name][key] for key in ("tag", "tags")}
                script["last_deployed_from"] = "wrangler"
                return 200, {"id": name, "default_environment": {"environment": "production", "script": script}}
            case "GET", ["workers", name]:
                if name not in self.scripts:
                    raise missing
                shown = {"enabled": False, "previews_enabled": False, **self.scripts[name]["subdomain"]}
                return 200, {"id": name, "name": name, "subdomain": shown}
            case "POST", ["scripts", name, "assets-upload-session"]:
                return 200, self.open_upload(name, read)
            case "PUT", ["scripts", name]:
                script, version = self.script(name, headers, body)
                script["deployed"] = version
                return 200, {"id": name, "etag": "e", "startup_time_ms": 3, "deployment_id": version.replace("-", "")}
        if below[:1] != ["scripts"] or len(below) < 2 or below[1] not in self.scripts:
            raise missing
        script = self.scripts[below[1]]
        match method, below[2:]:
            case "GET", ["secrets"]:
                return 200, script.get("secrets", [])
            case "GET", ["settings"]:
                return 200, {"bindings": [], "tags": script["tags"]}
            case "GET", ["deployments"]:
                of = [{"version_id": script["deployed"], "percentage": 100}]
                told = {"id": "d", "source": "wrangler", "created_on": "2026-11-30T00:00:00Z", "versions": of}
                return 200, {"deployments": [told] if script["deployed"] else []}
            case "GET", ["versions", version]:
                shown = {"script": {"etag": "e"}, "bindings": [], "script_runtime": {}}
                return 200, {"id": version, "metadata": {}, "annotations": {}, "resources": shown}
            case "POST", ["versions"]:
                _, version = self.script(below[1], headers, body)
                return 200, {"id": version, "startup_time_ms": 3, "resources": {"script": {"etag": "e"}}}
            case "POST", ["deployments"]:
                [one] = read["versions"]
                if one["version_id"] not in script["versions"]:
                    raise Refused(400, 10212, "there is no such version")
                script["deployed"] = one["version_id"]
                return 200, {"id": str(uuid.uuid4())}
            case "PATCH", ["script-settings"]:
                script["tags"] = read.get("tags") or []
                return 200, read
            case "POST", ["subdomain"]:
                script["subdomain"] = read
                return 200, {"enabled": read["enabled"], "previews_enabled": read.get("previews_enabled", False)}
            case "PUT", ["routes" | "schedules" as kind]:
                script[kind] = read
                return 200, read if kind == "routes" else {"schedules": read}
        raise missing


class Upstream(http.server.BaseHTTPRequestHandler):
    """Cloudflare, as far as the clients look."""

    workers = Workers()

    protocol_version = "HTTP/1.1"
    seen = []

    def answer(self):
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length) if length else b""
        path, _, query = self.path.removeprefix("/client/v4").partition("?")
        Upstream.seen.append((self.command, path, query, dict(self.headers.items()), body))
        shown = self.headers.get_all("authorization", [])
        workers = f"/accounts/{ACCOUNT}/workers/"
        try:
            if self.command == "POST" and path == f"{workers}assets/upload":
                token = shown[0].removeprefix("Bearer ")
                with Upstream.workers.lock:
                    status, result = Upstream.workers.upload(token, self.headers, body)
                return self.result(result, status=status)
            if shown == [f"Bearer {TOKEN}"] and path.startswith(workers):
                below = path.removeprefix(workers)
                status, result = Upstream.workers.answer(self.command, below, query, self.headers, body)
                return self.result(result, status=status)
        except Refused as refused:
            return self.error(*refused.args)
        if shown != [f"Bearer {TOKEN}"]:
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
        }
        if self.command == "GET" and path in found:
            return self.result(found[path])
        lists = {"/zones": ZONES, "/accounts": ACCOUNTS, "/memberships": []}
        if self.command == "GET" and path in lists:
            page = [] if "page=2" in query else lists[path]
            return self.result(page, {"page": 1, "per_page": 20, "count": 1, "total_count": 1})
        return self.error(404, 7003, f"Could not route to {path}")

    do_DELETE = do_GET = do_PATCH = do_POST = do_PUT = answer

    def result(self, result, info=None, status=200):
        told = {"success": True, "errors": [], "messages": [], "result": result}
        self.json(status, {**told, "result_info": info} if info else told)

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


# One that stands from the beginning.
Upstream.workers.scripts["site"] = {
    "tag": secrets.token_hex(16),
    "tags": [],
    "deployed": None,
    "subdomain": {},
    "versions": [],
    "secrets": [{"name": "KEY", "type": "secret_text"}],
}


def service(binary, folder):
    """The service before the server that stands for Cloudflare, as `serving` gives it."""
    base = ("CLOUDFLARE_API_BASE", "/client/v4")
    return serving(binary, folder, Upstream, base, {"CLOUDFLARE_API_TOKEN": TOKEN, "PROXY_HOLD_SECONDS": "8"}, TOKEN)
