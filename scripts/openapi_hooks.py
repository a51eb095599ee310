"""Who asks, in scripts/openapi_check.sh: signs every request, shows the token that the route wants, and
puts ids of things that are there into paths. As nobody (OPENAPI_CHECK_CALLER) it does none of that."""

import base64
import hashlib
import hmac
import json
import os
import time
import urllib.request

import schemathesis

SERVICE = os.environ["OPENAPI_CHECK_SERVICE"]
IS_SOMEBODY = os.environ.get("OPENAPI_CHECK_CALLER") == "somebody"
CLIENT = "client-a"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def mac(secret, text):
    return hmac.new(os.environ[secret].encode(), text.encode(), hashlib.sha256)


def bootstrap_token():
    header = base64url(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    claims = base64url(
        json.dumps(
            {
                "iss": "llm-permission-proxy-bootstrap",
                "aud": "llm-proxy-bootstrap",
                "sub": "agent:ci",
                "jti": "openapi-check",
                "exp": int(time.time()) + 3600,
                "bindings": {"mtls_subject": CLIENT},
                "can_issue_tasks": True,
                "can_manage_permissions": True,
                "can_manage_approvers": True,
                "can_audit": True,
            }
        ).encode()
    )
    signature = mac("BOOTSTRAP_JWT_SECRET", f"{header}.{claims}").digest()
    return f"{header}.{claims}.{base64url(signature)}"


def subject():
    now = str(int(time.time()))
    return {
        "x-client-subject": CLIENT,
        "x-client-subject-ts": now,
        "x-client-subject-sig": mac("MTLS_BINDING_SHARED_SECRET", f"{CLIENT}\n{now}").hexdigest(),
    }


def call(method, path, token, body=None, key=None):
    headers = {**subject(), "authorization": f"Bearer {token}", "content-type": "application/json"}
    if key:
        headers["idempotency-key"] = key
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(SERVICE + path, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


GRANTS = [
    {
        "operation_id": name,
        "scope_type": "zone",
        "scope_id": "*",
        "granted_level": "write",
        "expires_at": "2099-01-01T00:00:00Z",
    }
    for name in ("dns.record.write", "cache.purge.execute")
]

RECORD = {"type": "A", "name": "a.example.com", "content": "192.0.2.1", "ttl": 60}
DNS = {
    "operation_id": "dns.record.write",
    "scope_type": "zone",
    "scope_id": "z1",
    "params": RECORD,
}

# A public key on P-256, as COSE: the key of the smallest private one.
POINT = (
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
)


def cose_key():
    x, y = (bytes.fromhex(coordinate) for coordinate in POINT)
    return base64url(bytes.fromhex("a5010203262001215820") + x + bytes.fromhex("225820") + y)


def taken():
    """What each route that takes a body takes: few of the bodies that a schema allows are."""
    shortcut = {"scope_id": "z1", "name": "a.example.com", "record_type": "A", "content": "192.0.2.1"}
    callback = {"url": "https://localhost:9/hook", "events": ["apply.finished"], "secret": "s"}
    allowed = [{"operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "z1"}]
    script = {"scope_id": "a1", "script_name": "edge", "script": "export default {}"}
    key = {"credential_id": "YWJj", "public_key_b64": cose_key(), "status": "active"}
    task = "/v1/tasks/{task_id}"
    return {
        "/v1/tasks": [{"task_name": "t", "operations": allowed, "callback": callback}],
        f"{task}/plan": [{"operations": [DNS]}],
        f"{task}/apply": [
            {"operations": [DNS]},
            {"operations": [DNS, {**DNS, "params": {**RECORD, "content": "192.0.2.2"}}]},
        ],
        f"{task}/apply/continue": [{"resume_token": SCENE.resume_token}],
        f"{task}/dns/create": [shortcut],
        f"{task}/cache/purge": [{"scope_id": "z1", "purge_everything": True}],
        f"{task}/workers/deploy": [script],
        f"{task}/approve": [{"approver_principal": "default"}],
        "/v1/agents/{agent}/permissions": [{"permissions": GRANTS}],
        "/v1/approvers/{principal}/credentials": [key],
        "/v1/approve/{link}/options": [{"decision": "deny", "reason": "no"}],
    }


class Scene:
    """A task whose apply waits for a human, another that may be closed, and links."""

    def __init__(self):
        self.bootstrap = bootstrap_token()
        # Before the tasks: a change of grants makes their tokens stale.
        call("PATCH", "/v1/agents/ci/permissions", self.bootstrap, {"permissions": GRANTS})
        self.task, self.capability = self.open_task()
        self.other_task, self.other_capability = self.open_task()
        operation = {
            "operation_id": "ssl.mode.write",
            "scope_type": "zone",
            "scope_id": "z1",
            "params": {"value": "strict"},
        }
        asked = call(
            "POST",
            f"/v1/tasks/{self.task}/apply",
            self.capability,
            {"operations": [operation]},
            key="first",
        )
        self.resume_token = asked["resume_token"]
        self.approval_link = asked["approval_url"].rsplit("/", 1)[1]
        applies = call("GET", f"/v1/tasks/{self.task}/applies", self.capability)
        self.apply = applies["applies"][0]["apply_id"]
        enrolment = call("POST", "/v1/approvers/default/enrolment", self.bootstrap, {})
        self.enrolment_link = enrolment["enrolment_url"].rsplit("/", 1)[1]

    def open_task(self):
        operations = [
            {"operation_id": name, "scope_type": scope, "scope_id": "*"}
            for name, scope in [
                ("dns.record.write", "zone"),
                ("cache.purge.execute", "zone"),
                ("ssl.mode.write", "zone"),
                ("workers.deploy.write", "account"),
            ]
        ]
        made = call(
            "POST",
            "/v1/tasks",
            self.bootstrap,
            {"task_name": "a task", "operations": operations, "expires_in_seconds": 3600},
        )
        return made["task_id"], made["capability_token"]


SCENE = Scene() if IS_SOMEBODY else None

# What ends a task or its token happens to the other one.
ENDS_A_TASK = ("/close", "/token")


def wanted_token(case):
    kinds = {
        name for wanted in case.operation.definition.raw.get("security", []) for name in wanted
    }
    if "capability" in kinds:
        if case.operation.path.endswith(ENDS_A_TASK):
            return SCENE.other_capability
        return SCENE.capability
    return SCENE.bootstrap if "bootstrap" in kinds else None


def places(case):
    path = case.operation.path
    ends = path.endswith(ENDS_A_TASK)
    return {
        "task_id": SCENE.other_task if ends else SCENE.task,
        "apply_id": SCENE.apply,
        "link": SCENE.enrolment_link if "/enrol/" in path else SCENE.approval_link,
        # Others than those that the scene needs as they are.
        "agent": "somebody",
        "principal": "somebody",
    }


@schemathesis.hook
def before_add_examples(context, examples):
    if not IS_SOMEBODY or context.operation.method.upper() == "GET":
        return
    for number, body in enumerate(taken().get(context.operation.path, [])):
        case = context.operation.Case(
            method=context.operation.method.upper(),
            path_parameters={
                name: "x"
                for name in ("task_id", "link", "agent", "principal")
                if "{" + name + "}" in context.operation.path
            },
            headers={"Idempotency-Key": f"{context.operation.path}-{number}"},
            body=body,
            media_type="application/json",
        )
        examples.append(case)


@schemathesis.hook
def before_call(context, case, kwargs):
    if not IS_SOMEBODY:
        return
    token = wanted_token(case)
    if token is None and "{link}" not in case.operation.path:
        return
    for name, value in places(case).items():
        if case.path_parameters and name in case.path_parameters:
            case.path_parameters[name] = value
    if token is None:
        return
    # What is made up for the schemes of the description would be refused before anything else.
    own = {**subject(), "authorization": f"Bearer {token}"}
    kept = {name: value for name, value in (case.headers or {}).items() if name.lower() not in own}
    case.headers = {**kept, **own}
