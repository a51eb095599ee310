#!/usr/bin/env bash
# Starts the service on an empty folder and looks at it from outside, as an operator would: it becomes
# ready, both databases have the shape that is documented, what the earlier service kept in the clear
# is not there, a second start is refused, and it stops when told to. Needs curl and sqlite3.
set -euo pipefail
cd "$(dirname "$0")/.."

label="smoke test"
binary=${1:-}
. scripts/service.sh

expect() { # expect WHAT GOT WANTED
  [ "$2" = "$3" ] || fail "$1: got '$2', expected '$3'"
}

columns() { # columns FILE TABLE
  sqlite3 -readonly "$1" "SELECT name FROM pragma_table_info('$2') ORDER BY name"
}

has_column() { # has_column TABLE COLUMN
  columns "$read_tables" "$1" | grep -qx "$2" || fail "table $1 has no column $2"
}

read_tables=$folder/data/proxy.db
ledger=$folder/data/proxy.ledger.db

start
expect "readiness" "$(cat "$folder/ready")" '{"ready":true}'
expect "health" "$(curl -fsS "http://$address/v1/healthz")" '{"ok":true}'
expect "an unknown path" \
  "$(curl -sS -o /dev/null -w '%{http_code}' "http://$address/v1/nowhere")" 404
expect "the key file's mode" "$(stat -c %a "$ledger.key")" 600

has_column approver_credentials algorithm
has_column approver_credentials public_key_format
has_column approver_credentials public_key_b64
has_column capability_tokens claims_hash
[ -n "$(columns "$read_tables" approvals)" ] || fail "there is no table approvals"
if columns "$read_tables" approvals | grep -Eq 'nonce|resume'; then
  fail "table approvals keeps a nonce or a resume token"
fi
for file in "$read_tables" "$ledger"; do
  expect "migration tables in $(basename "$file")" \
    "$(sqlite3 -readonly "$file" "SELECT count(*) FROM sqlite_master WHERE name LIKE '%migration%'")" 0
done
if sqlite3 "$ledger" "DELETE FROM events" 2>/dev/null; then
  fail "the ledger let an event be deleted"
fi

if "$binary" serve --log-format json 2>"$folder/second"; then
  fail "a second start on the same ledger was accepted"
fi
[ -s "$folder/second" ] || fail "the second start said nothing"
stop

rm -f "$read_tables" "$read_tables-wal" "$read_tables-shm"
start
expect "readiness after the read tables were deleted" "$(cat "$folder/ready")" '{"ready":true}'
stop

echo "smoke test: passed"
