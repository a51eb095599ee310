"""Claude Code, unmodified and without a terminal, through the real service; called by scripts/claude_code_check.sh.

    claude_code.py BINARY CLAUDE FOLDER

CLAUDE is the program, FOLDER an empty folder, which is its home.
"""

import os
import subprocess
import sys

from proxied import expect, operate
from proxied_anthropic import MODEL, STORED, Upstream, service


def ask(claude, folder, address, key):
    """What it prints and ends with, and how many requests upstream had of it."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": folder,
        "ANTHROPIC_BASE_URL": f"{address}/proxy/anthropic",
        "ANTHROPIC_AUTH_TOKEN": key,
        "ANTHROPIC_MODEL": MODEL,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    before = len(Upstream.seen)
    run = subprocess.run(
        [claude, "-p", "Say hello"],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=180,
    )
    said = (run.stdout.strip(), run.returncode)
    print(f"Claude Code: {run.returncode}: {run.stdout.strip()}")
    return said, len(Upstream.seen) - before


def refused(claude, folder, address, key, status, message):
    (printed, code), requests = ask(claude, folder, address, key)
    expect(printed.startswith(f"Failed to authenticate. API Error: {status} "), True, f"the start of {printed}")
    expect(message in printed, True, f"{message!r} in {printed!r}")
    expect((code, requests), (1, 0), "its end, and the requests that went up")


def main(binary, claude, folder):
    version = subprocess.run([claude, "--version"], env={"HOME": folder}, capture_output=True, text=True, check=True)
    print(f"Claude Code: {version.stdout.strip()}")
    with service(binary, folder) as (address, _, _):
        operate(address, "POST", "/v1/agents", {"agent": "deployer"})
        key = operate(address, "POST", "/v1/agents/deployer/keys", {})
        use = (claude, folder, address, key["key"])
        refused(*use, 401, "no anthropic key is stored for agent deployer")
        operate(address, "PUT", "/v1/agents/deployer/upstream-keys/anthropic", {"api_key": STORED})
        expect(ask(*use), (("Hello!", 0), 1), "an answer")
        # A stream that was cut is none that came to its end: it asks again.
        Upstream.cuts = 1
        expect(ask(*use), (("Hello!", 0), 2), "an answer after a cut stream")
        expect(Upstream.cuts, 0, "the streams left to cut")
        for _, path, headers in Upstream.seen:
            sent = {name.lower() for name in headers}
            expect(sent & {"authorization", "cookie"}, set(), f"the credentials that went up with {path}")
            expect("anthropic-beta" in sent, True, "the header of betas")
        lock = {"target": {"kind": "agent", "id": "deployer"}, "reason": "a check"}
        lock = operate(address, "POST", "/v1/locks", lock)
        (printed, code), requests = ask(*use)
        expect(printed.startswith("API Error: Request rejected (429)"), True, f"the start of {printed}")
        expect((code, requests), (1, 0), "the end of a locked agent")
        operate(address, "DELETE", f"/v1/agents/deployer/keys/{key['id']}")
        refused(*use, 401, "key")
    print("Claude Code: passed")


if __name__ == "__main__":
    main(*sys.argv[1:])
