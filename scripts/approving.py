"""An approver who answers every question with a passkey that is made here, for scripts that try clients whose writes
wait for people. Needs cryptography."""

import base64
import json
import threading
import types
import urllib.request

from generated_client_flow import Passkey, base64url, bootstrap_token, subject
from proxied import operate


class Approver:
    """Approves each question once, as soon as it is asked; `asked` has what each was about."""

    def __init__(self, address):
        self.address = address
        self.passkey = Passkey()
        self.asked = []
        self.seen = set()
        self.ended = threading.Event()
        self.failure = None
        credential = {"credential_id": base64url(self.passkey.id), "public_key_b64": self.passkey.cose()}
        headers = {**subject(), "authorization": f"Bearer {bootstrap_token()}"}
        self.post("/v1/approvers/default/credentials", credential, headers)
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def post(self, path, body, headers=None):
        headers = {"content-type": "application/json", **(headers or {})}
        request = urllib.request.Request(f"{self.address}{path}", json.dumps(body).encode(), headers, method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        if self.failure:
            raise SystemExit(f"the approver: {self.failure!r}") from self.failure

    def watch(self):
        while not self.ended.wait(0.1):
            try:
                for question in operate(self.address, "GET", "/v1/approvals?state=pending")["approvals"]:
                    if question["approval_id"] not in self.seen:
                        self.approve(question)
            except BaseException as error:  # noqa: BLE001 (told at the end)
                self.failure = error
                return

    def approve(self, question):
        self.seen.add(question["approval_id"])
        self.asked.append(question)
        path = "/v1/approve/" + question["approval_url"].rsplit("/", 1)[1]
        options = self.post(f"{path}/options", {"decision": "approve"})
        signed = self.passkey.sign(types.SimpleNamespace(**options))
        self.post(f"{path}/verify", {**signed, "decision": "approve"})

    def new(self):
        """How many questions were asked since this was asked last."""
        count, self.asked = len(self.asked), []
        return count


def jwt(claims):
    """A token whose signature nobody looks at."""
    parts = [{"alg": "HS256", "typ": "JWT"}, claims]
    text = ".".join(base64url(json.dumps(part).encode()) for part in parts)
    return f"{text}.{base64.urlsafe_b64encode(b'signature').decode().rstrip('=')}"
