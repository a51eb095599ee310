// A write of Cloudflare's npm SDK, unmodified, that waits for a person; called by scripts/cloudflare_deploys.py.
import assert from "node:assert/strict";
import Cloudflare from "cloudflare";

const zone_id = process.env.ZONE;
const client = new Cloudflare({ baseURL: process.env.CLOUDFLARE_BASE_URL });
const record = { zone_id, type: "A", name: "npm.example.com", content: "192.0.2.8", ttl: 300 };
const made = await client.dns.records.create(record);
assert.equal(made.name, "npm.example.com");
