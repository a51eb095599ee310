"""The main flow with the client that openapi-python-client makes, against the real service; called by
scripts/generated_clients_check.sh.

    generated_client_flow.py BINARY FOLDER describe    writes FOLDER/openapi.json
    generated_client_flow.py BINARY FOLDER flow        goes through the flow; the client is on PYTHONPATH

A small server in this process stands for Cloudflare, and a key made here for an approver's passkey.
"""

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import secrets
import subprocess
import sys
import threading
import time
import urllib.request

SUBJECT = "generated-client"
ZONE = "023e105f4ecef8ad9ca31a8372d0c353"
REFUSING_ZONE = "f" * 32
SECRETS = {
    name: secrets.token_hex(32)
    for name in (
        "JWT_SECRET",
        "BOOTSTRAP_JWT_SECRET",
        "MTLS_BINDING_SHARED_SECRET",
        "APPROVAL_LINK_SECRET",
        "RESUME_TOKEN_SECRET",
    )
}


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Upstream(http.server.BaseHTTPRequestHandler):
    """Takes every setting of a zone, but of one zone none."""

    def answer(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        refused = REFUSING_ZONE in self.path and self.command != "GET"
        errors = [{"code": 1007, "message": "Invalid value for zone setting ssl"}] if refused else []
        body = {
            "success": not refused,
            "errors": errors,
            "messages": [],
            "result": {"id": "ssl", "value": "strict", "name": "example.com"},
        }
        data = json.dumps(body).encode()
        self.send_response(400 if refused else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PATCH = do_POST = do_PUT = answer

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def service(binary, folder):
    """The service on a free port; gives its address."""
    upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    settings = {
        **SECRETS,
        "DATABASE_URL": f"sqlite://{folder}/data/proxy.db",
        "BIND_ADDR": "127.0.0.1:0",
        "CLOUDFLARE_API_TOKEN": secrets.token_hex(20),
        "CLOUDFLARE_API_BASE": f"http://127.0.0.1:{upstream.server_port}/client/v4",
        "APPROVAL_APPROVERS": "alice",
    }
    log = pathlib.Path(folder, "log")
    with log.open("w") as out:
        process = subprocess.Popen(
            [binary, "serve", "--log-format", "json"], env=settings, stdout=out, stderr=out, cwd=folder
        )
    try:
        yield ready(process, log)
    except BaseException:
        print(log.read_text()[-5000:], file=sys.stderr)
        raise
    finally:
        process.kill()
        process.wait()
        upstream.shutdown()


def ready(process, log):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text().splitlines():
            with contextlib.suppress(ValueError):
                if address := json.loads(line).get("address"):
                    with contextlib.suppress(OSError):
                        urllib.request.urlopen(f"http://{address}/v1/readyz", timeout=5)
                        return f"http://{address}"
        time.sleep(0.05)
    raise SystemExit("the service was not ready")


def mac(secret, text):
    return hmac.new(SECRETS[secret].encode(), text.encode(), hashlib.sha256)


def bootstrap_token():
    claims = {
        "iss": "llm-permission-proxy-bootstrap",
        "aud": "llm-proxy-bootstrap",
        "sub": "agent:deployer",
        "jti": secrets.token_hex(8),
        "exp": int(time.time()) + 600,
        "bindings": {"mtls_subject": SUBJECT},
        "can_issue_tasks": True,
        "can_manage_approvers": True,
    }
    parts = [{"alg": "HS256", "typ": "JWT"}, claims]
    text = ".".join(base64url(json.dumps(part).encode()) for part in parts)
    return f"{text}.{base64url(mac('BOOTSTRAP_JWT_SECRET', text).digest())}"


def subject():
    now = str(int(time.time()))
    signature = mac("MTLS_BINDING_SHARED_SECRET", f"{SUBJECT}\n{now}").hexdigest()
    return {
        "x-client-subject": SUBJECT,
        "x-client-subject-ts": now,
        "x-client-subject-sig": signature,
    }


class Passkey:
    """An ES256 key that answers challenges as an authenticator does (WebAuthn Level 3, section 6.3.3)."""

    def __init__(self):
        from cryptography.hazmat.primitives.asymmetric import ec

        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = secrets.token_bytes(16)
        self.count = 0

    def cose(self):
        numbers = self.key.public_key().public_numbers()
        x, y = (n.to_bytes(32, "big") for n in (numbers.x, numbers.y))
        return base64url(bytes.fromhex("a5010203262001215820") + x + bytes.fromhex("225820") + y)

    def sign(self, options):
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        self.count += 1
        client_data = json.dumps(
            {
                "type": "webauthn.get",
                "challenge": options.challenge,
                "origin": "http://localhost:8080",
                "crossOrigin": False,
            }
        ).encode()
        present_and_verified = b"\x05"
        data = hashlib.sha256(options.rp_id.encode()).digest()
        data += present_and_verified + self.count.to_bytes(4, "big")
        signed = data + hashlib.sha256(client_data).digest()
        return {
            "credential_id": base64url(self.id),
            "client_data_json": base64url(client_data),
            "authenticator_data": base64url(data),
            "signature": base64url(self.key.sign(signed, ec.ECDSA(hashes.SHA256()))),
        }


def flow(address):
    from llm_permission_proxy_client import AuthenticatedClient, Client, models
    from llm_permission_proxy_client.api.applies import apply, continue_apply
    from llm_permission_proxy_client.api.approvals import approval_status, decide
    from llm_permission_proxy_client.api.approvals import decision_options_with_reason as options_for
    from llm_permission_proxy_client.api.approvers import put_credential
    from llm_permission_proxy_client.api.tasks import create_task, get_task

    def client(token):
        return AuthenticatedClient(base_url=address, token=token, headers=subject())

    def answered(answer, status, kind):
        assert answer.status_code == status, (answer.status_code, answer.content)
        assert isinstance(answer.parsed, kind), (type(answer.parsed), answer.content)
        return answer.parsed

    passkey = Passkey()
    administrator = client(bootstrap_token())
    credential = models.CredentialRequest.from_dict(
        {"credential_id": base64url(passkey.id), "public_key_b64": passkey.cose()}
    )
    answered(
        put_credential.sync_detailed("alice", client=administrator, body=credential),
        200,
        models.CredentialList,
    )
    task = models.CreateTaskRequest.from_dict(
        {
            "task_name": "a generated client",
            "operations": [
                {"operation_id": "ssl.mode.write", "scope_type": "zone", "scope_id": "*"}
            ],
        }
    )
    task = answered(
        create_task.sync_detailed(client=administrator, body=task), 201, models.TaskCreated
    )
    agent = client(task.capability_token)
    answered(get_task.sync_detailed(task.task_id, client=agent), 200, models.TaskView)

    def ask(key, zone=ZONE):
        body = models.ApplyRequest.from_dict(
            {
                "operations": [
                    {
                        "operation_id": "ssl.mode.write",
                        "scope_type": "zone",
                        "scope_id": zone,
                        "params": {"value": "strict"},
                    }
                ]
            }
        )
        return apply.sync_detailed(task.task_id, client=agent, body=body, idempotency_key=key)

    def go_on(key, waiting):
        body = models.ContinueRequest(resume_token=waiting.resume_token)
        return continue_apply.sync_detailed(
            task.task_id, client=agent, body=body, idempotency_key=key
        )

    def decided(waiting, decision):
        link = waiting.approval_url.rsplit("/", 1)[1]
        person = Client(base_url=address)
        wanted = {"decision": decision}
        wanted = models.DecisionRequest.from_dict(wanted)
        options = answered(
            options_for.sync_detailed(link, client=person, body=wanted),
            200,
            models.DecisionOptions,
        )
        body = {**passkey.sign(options), "decision": decision}
        answered(
            decide.sync_detailed(link, client=person, body=models.VerifyRequest.from_dict(body)),
            200,
            models.Decided,
        )

    denied = answered(ask("k1"), 202, models.ApplyWaiting)
    decided(denied, "deny")
    for answer in (ask("k1"), go_on("k1", denied)):
        problem = answered(answer, 409, models.Problem)
        assert problem.code == "approval_denied", problem

    waiting = answered(ask("k2"), 202, models.ApplyWaiting)
    decided(waiting, "approve")
    status = answered(
        approval_status.sync_detailed(task.task_id, client=agent), 200, models.ApprovalStatus
    )
    assert status.state == "approved", status
    done = answered(go_on("k2", waiting), 200, models.ApplyEnded)
    assert done.status == "completed", done
    assert answered(ask("k2"), 200, models.ApplyEnded) == done, "the replay"

    refused = answered(ask("k3", REFUSING_ZONE), 202, models.ApplyWaiting)
    decided(refused, "approve")
    failed = answered(go_on("k3", refused), 409, models.ApplyEnded)
    assert failed.status == "failed", failed
    assert answered(ask("k3", REFUSING_ZONE), 409, models.ApplyEnded) == failed, "the replay"
    answered(ask("k" * 256), 400, models.Problem)
    print("generated clients: task, apply, denial, replay and continue went as described")


def main():
    binary, folder, what = sys.argv[1:]
    os.makedirs(f"{folder}/{what}")
    with service(binary, f"{folder}/{what}") as address:
        if what == "describe":
            with urllib.request.urlopen(f"{address}/v1/openapi.json", timeout=20) as answer:
                pathlib.Path(folder, "openapi.json").write_bytes(answer.read())
        else:
            flow(address)


if __name__ == "__main__":
    main()
