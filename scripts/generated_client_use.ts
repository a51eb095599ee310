// Compiled, never run, by scripts/generated_clients_check.sh: what a caller writes against the types that
// openapi-typescript makes.
import type { components, paths } from "./api.js";

type Apply = paths["/v1/tasks/{task_id}/apply"]["post"];
type Ended = components["schemas"]["ApplyEnded"];
type Problem = components["schemas"]["Problem"];

// Params are free: each operation has its own.
export const request: Apply["requestBody"]["content"]["application/json"] = {
  operations: [
    {
      operation_id: "dns.record.write",
      scope_type: "zone",
      scope_id: "z1",
      params: { type: "A", name: "www", content: "192.0.2.1", ttl: 300 },
    },
  ],
};

// A 409 is an apply that ended otherwise, or a refusal.
export function refused(
  body: Apply["responses"]["409"]["content"]["application/json"],
): Ended | Problem {
  return "results" in body ? body : { ...body, detail: body.detail };
}
