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


class Scene:
    """A task whose apply waits for a human, another that may be closed, and links."""

    def __init__(self):
        self.bootstrap = bootstrap_token()
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
    }


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
