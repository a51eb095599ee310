#!/usr/bin/env python3
"""Prints fixtures/data/statement_second.json: statements of the second form, the challenges that bind them, and keys
of clearances, made without the code that they test. Needs the module blake3 for the key of challenges."""
import hashlib
import hmac
import json

from blake3 import blake3

LEDGER = "018f3c2a-7b00-7abc-8def-0123456789ab"
TASK = "019a0000-0001-7000-8000-0000000000aa"
APPROVAL = "019a0000-0002-7000-8000-0000000000bb"
AGENT = "019a0000-0003-7000-8000-0000000000cc"
FINGERPRINT = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"


def canonical(value):
    # Keys are ASCII and numbers are integers here, so that this is RFC 8785.
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def statement(**parts):
    whole = {
        "v": 2, "kind": "apply", "ledger_id": LEDGER, "task_id": TASK, "approval_id": APPROVAL,
        "fingerprint": FINGERPRINT, "decision": "approve", "retention": None, "block": None, "break_glass": None,
        "policy": None, "rules": None, "requirement_digest": None, "pre_state_digest": None,
        "reason_digest": None, "expires_at": "2026-11-22T13:35:10Z",
    }
    assert not set(parts) - set(whole)
    return whole | parts


def reason(text):
    return hashlib.sha256(b"llm-permission-proxy reason v1" + text.encode()).hexdigest()


def challenge(canonical_bytes, secret, nonce, valid_until):
    key = blake3(secret.encode(), derive_key_context="llm-permission-proxy challenge key v1").digest()
    until = valid_until.to_bytes(8, "little")
    binding = hashlib.sha256(
        b"llm-permission-proxy decision v2" + nonce + until + hashlib.sha256(canonical_bytes).digest()
    ).digest()
    head = nonce + until + binding
    return head + hmac.new(key, head, hashlib.sha256).digest()[:16]


def clearance_key(decision, bound, rules, edge, breadth, operations):
    number = lambda n: n.to_bytes(8, "little")
    part = lambda data: number(len(data)) + data
    uuid = lambda text: bytes.fromhex(text.replace("-", ""))
    if breadth == "scope":
        covered = [[one["operation_id"], one["scope_type"], one["scope_id"]] for one in operations]
    else:
        covered = operations
    digest = hashlib.sha256(b"llm-permission-proxy cleared operations v1" + canonical(covered)).digest()
    data = b"llm-permission-proxy clearance v1" + part(decision.encode()) + part(uuid(AGENT))
    if bound is None:
        data += part(b"task") + part(uuid(TASK))
    else:
        data += part(b"agent") + part(bound.encode()) + part(b"")
    rules = rules if decision == "approve" else []
    data += number(len(rules)) + b"".join(part(i.encode()) + part(bytes.fromhex(d)) for i, d in rules)
    data += number(len(edge)) + b"".join(part(n.encode()) + part(v.encode()) for n, v in edge)
    data += part(breadth.encode()) + part(digest)
    return hashlib.sha256(data).hexdigest()


STATEMENTS = [
    statement(retention={"mode": "cache", "breadth": "exact", "binding": "task", "until": "2026-11-22T14:35:10Z"}),
    statement(
        retention={"mode": "cache", "breadth": "scope", "binding": "agent", "until": "2026-11-29T13:35:10.123456Z"},
        reason_digest=reason("für 7 Tage: \"apex\" 😀"),
    ),
    statement(retention={"mode": "cache", "breadth": "scope", "binding": "task", "until": None}),
    statement(
        decision="deny", retention={"mode": "permanent", "breadth": "exact", "binding": "agent", "until": None},
        reason_digest=reason(""),
    ),
    statement(
        block={"kind": "address", "value": "192.0.2.0/24", "until": None}, break_glass=True,
        policy={"version": 3, "digest": "ab" * 32},
        rules=[{"id": "foreign", "digest": "cd" * 32}, {"id": "night.1", "digest": "ef" * 32}],
        requirement_digest="01" * 32, pre_state_digest="23" * 32,
    ),
    statement(
        kind="policy_change", task_id=None, policy={"version": 3, "digest": "ab" * 32}, requirement_digest="01" * 32,
    ),
]
OPERATIONS = [
    {"operation_id": "cache.purge.execute", "scope_type": "zone", "scope_id": "a", "params": {"purge_everything": True}},
    {"operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "b", "params": {"name": "ä", "ttl": 60}},
]
RULES = [("foreign", "cd" * 32)]
KEYS = [
    ("approve", None, [], [], "exact"), ("approve", None, [], [], "scope"),
    ("approve", "spiffe://ci", [], [], "exact"), ("approve", "spiffe://ci", RULES, [("country", "DE")], "scope"),
    ("deny", None, RULES, [], "exact"),
]


def main():
    statements = []
    for index, whole in enumerate(STATEMENTS):
        data = canonical(whole)
        secret, nonce, until = "development approval link secret 0123", bytes(range(index, index + 16)), 1795354600
        statements.append({
            "statement": whole, "canonical": data.decode(),
            "challenge": {
                "secret": secret, "nonce": nonce.hex(), "valid_until": until,
                "bytes": challenge(data, secret, nonce, until).hex(),
            },
        })
    keys = [
        {
            "decision": decision, "agent_id": AGENT, "task_id": TASK, "subject": subject, "rules": rules, "edge": edge,
            "breadth": breadth, "operations": OPERATIONS,
            "key": clearance_key(decision, subject, rules, edge, breadth, OPERATIONS),
        }
        for decision, subject, rules, edge, breadth in KEYS
    ]
    print(json.dumps({"statements": statements, "keys": keys}, indent=1, ensure_ascii=False))


main()
