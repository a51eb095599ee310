// Cloudflare's npm SDK, unmodified, configured by the environment alone; called by scripts/cloudflare_sdks.py.
import assert from "node:assert/strict";
import Cloudflare from "cloudflare";

const zone_id = process.env.ZONE;
const client = new Cloudflare({ baseURL: process.env.CLOUDFLARE_BASE_URL });

const records = [];
for await (const record of client.dns.records.list({ zone_id })) records.push(record.content);
assert.deepEqual(records, ["192.0.2.1"]);

const verified = await client.user.tokens.verify();
assert.equal(verified.status, "active");

const other = "0".repeat(32);
const before = Date.now();
const refused = await client.zones.get({ zone_id }).then(() => client.dns.records.list({ zone_id: other }).then(
  () => null,
  (error) => error,
));
assert.ok(refused instanceof Cloudflare.PermissionDeniedError, String(refused));
assert.equal(refused.errors[0].code, 99403);
// It was not tried again.
assert.ok(Date.now() - before < 5000);
