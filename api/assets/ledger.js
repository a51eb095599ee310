// The ledger: what this browser checks itself, with its own means. The key of the log is kept when it is first
// seen, and so is the newest checkpoint. From then on a checkpoint counts where that key signed it and where the
// tree of the one before is the beginning of its tree (RFC 6962); an event counts where its header's bytes are a
// leaf of that tree.

import { copyable } from "./copy.js";

const main = document.getElementById("content");
const root = main.dataset.root;
/** The name under which this browser keeps what it knows of the log, by where the service is. */
const KEPT = `ledger ${new URL(root, location.href).pathname}`;
const TILE = 256;
/** The algorithm of a key and of its signatures (C2SP signed-note). */
const ED25519 = 1;

class Broken extends Error {}

const utf8 = new TextEncoder();
const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", joined(parts)));
const same = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);
const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

function bytesOf(text) {
  try {
    return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  } catch {
    throw new Broken("the log's key or newest checkpoint cannot be read");
  }
}

function joined(parts) {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

async function get(path) {
  const answer = await fetch(`${root}v1/ledger/${path}`, { cache: "default" });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer;
}

/** A verifier key line: name, hash and public key. */
async function keyOf(line) {
  const [, name, hash, encoded] = /^([^+\s]+)\+([0-9a-f]{8})\+(\S+)$/.exec(line.trim()) ?? [];
  const bytes = bytesOf(encoded ?? "");
  const digest = await sha256(utf8.encode(`${name}\n`), bytes);
  if (bytes.length !== 33 || bytes[0] !== ED25519 || hex(digest.slice(0, 4)) !== hash) throw new Broken("the log's key cannot be read");
  const key = await crypto.subtle.importKey("raw", bytes.slice(1), "Ed25519", false, ["verify"]);
  return { name, id: digest.slice(0, 4), key };
}

/** The size and root that a note states, once the key has signed it. */
async function checkpointOf(note, { name, id, key }) {
  const split = note.indexOf("\n\n");
  const text = note.slice(0, split + 1);
  for (const line of note.slice(split + 2).split("\n")) {
    const [dash, signer, encoded] = line.split(" ");
    if (dash !== "\u2014" || signer !== name) continue;
    const signed = bytesOf(encoded);
    if (!same(signed.slice(0, 4), id)) continue;
    if (!(await crypto.subtle.verify("Ed25519", key, signed.slice(4), utf8.encode(text)))) break;
    const [origin, size, hash] = text.split("\n");
    if (origin !== name || !/^(0|[1-9]\d{0,15})$/.test(size)) break;
    return { size: Number(size), hash: bytesOf(hash) };
  }
  throw new Broken("the newest checkpoint is not signed by the log's key");
}

/** A number as paths of tiles have it: `x001/234`. */
function inThrees(number) {
  const last = String(number % 1000).padStart(3, "0");
  const lead = Math.floor(number / 1000);
  return lead ? `${inThrees(lead).replace(/(^|\/)(\d{3})$/, "$1x$2")}/${last}` : last;
}

const leaf = (header) => sha256(Uint8Array.of(0), header);
const node = (left, right) => sha256(Uint8Array.of(1), left, right);
/** The largest power of two below a size of at least two. */
const half = (size) => 2 ** (Math.ceil(Math.log2(size)) - 1);

/** The tree of one size, by the tiles that the service has of it. What they say is believed only as far as it
 *  leads to a root that is signed. */
class Tree {
  constructor(size) {
    this.size = size;
    this.tiles = new Map();
  }

  /** The bytes of the tile at an index of a row, which has that many entries in all. */
  tile(row, index, entries) {
    const width = Math.min(TILE, entries - index * TILE);
    const path = `tile/${row}/${inThrees(index)}${width < TILE ? `.p/${width}` : ""}`;
    if (!this.tiles.has(path)) this.tiles.set(path, get(path).then((answer) => answer.arrayBuffer()));
    return this.tiles.get(path);
  }

  /** The hash over a whole subtree of 2^level leaves. */
  async whole(level, index) {
    const above = level % 8;
    const [tileLevel, first, count] = [(level - above) / 8, index * 2 ** above, 2 ** above];
    const hashes = Math.floor(this.size / TILE ** tileLevel);
    const tile = new Uint8Array(await this.tile(tileLevel, Math.floor(first / TILE), hashes));
    const at = first % TILE;
    let row = Array.from({ length: count }, (_, next) => tile.slice((at + next) * 32, (at + next + 1) * 32));
    while (row.length > 1) {
      row = await Promise.all(row.filter((_, i) => i % 2 === 0).map((left, i) => node(left, row[2 * i + 1])));
    }
    return row[0];
  }

  /** The hash over the leaves from one place up to another. */
  async over(from, to) {
    const count = to - from;
    if (Number.isInteger(Math.log2(count))) return this.whole(Math.log2(count), from / count);
    const middle = from + half(count);
    const [left, right] = await Promise.all([this.over(from, middle), this.over(middle, to)]);
    return node(left, right);
  }

  /** The hash over all leaves, where this one stands at its place. */
  async with(found, at, from = 0, to = this.size) {
    if (to - from === 1) return found;
    const middle = from + half(to - from);
    const [left, right] = at < middle
      ? await Promise.all([this.with(found, at, from, middle), this.over(middle, to)])
      : await Promise.all([this.over(from, middle), this.with(found, at, middle, to)]);
    return node(left, right);
  }

  /** The hash over the first leaves and that over all of them, of the same hashes. */
  async grown(first, from = 0, to = this.size) {
    if (first === to - from) {
      const hash = await this.over(from, to);
      return [hash, hash];
    }
    const middle = from + half(to - from);
    if (first <= middle - from) {
      const [[before, left], right] = await Promise.all([this.grown(first, from, middle), this.over(middle, to)]);
      return [before, await node(left, right)];
    }
    const [left, [before, right]] = await Promise.all([this.over(from, middle), this.grown(first - (middle - from), middle, to)]);
    return [await node(left, before), await node(left, right)];
  }

  /** The header's bytes at a position. */
  async header(position) {
    const bytes = await this.tile("entries", Math.floor(position / TILE), this.size);
    const view = new DataView(bytes);
    let at = 0;
    for (let before = position % TILE; before > 0; before -= 1) at += 2 + view.getUint16(at);
    return new Uint8Array(bytes, at + 2, view.getUint16(at));
  }
}

/** True where the reader may see the headers of events. */
const audits = () => document.getElementById("checked")?.hasAttribute("data-audits");
const kept = () => JSON.parse(localStorage.getItem(KEPT) ?? "null");

/** The newest checkpoint, once it continues the one that is kept; that it does is kept in turn. */
async function checked() {
  const known = kept();
  const line = (await (await get("vkey")).text()).trim();
  if (known && known.key !== line) throw new Broken("the log shows another key than the one that this browser keeps");
  const { size, hash } = await checkpointOf(await (await get("checkpoint")).text(), await keyOf(line));
  const tree = new Tree(size);
  if (known && size < known.size) throw new Broken("the log is shorter than this browser has seen it");
  const [before, now] = known?.size ? await tree.grown(known.size) : [null, await tree.over(0, size)];
  if (!same(now, hash)) throw new Broken("the log's hashes do not lead to its signed root");
  if (before && hex(before) !== known.root) throw new Broken("the log does not continue what this browser has seen of it");
  const since = known?.since ?? new Date().toISOString();
  localStorage.setItem(KEPT, JSON.stringify({ key: line, size, root: hex(hash), since }));
  return { tree, hash, since };
}

/** Rows whose bytes somebody looks at, which stay unfolded as the list is brought up to date. */
const unfolded = new Set();

function mark(row, header, hash) {
  const marks = row.querySelector(".marks");
  const one = document.createElement("span");
  one.className = "mark checked";
  one.textContent = "checked in this browser";
  marks.append(" ", one);
  const proof = document.createElement("details");
  proof.className = "proof";
  proof.id = `proof-${row.id}`;
  proof.open = unfolded.has(proof.id);
  proof.addEventListener("toggle", () => unfolded[proof.open ? "add" : "delete"](proof.id));
  const summary = document.createElement("summary");
  summary.textContent = "Its bytes in the tree";
  const list = document.createElement("dl");
  for (const [name, bytes] of [["Header", header], ["Leaf (SHA-256)", hash]]) {
    const term = document.createElement("dt");
    const value = document.createElement("dd");
    const code = document.createElement("code");
    term.textContent = name;
    code.textContent = hex(bytes);
    value.append(code);
    if (bytes === hash) copyable(code);
    list.append(term, value);
  }
  proof.append(summary, list);
  row.append(proof);
}

const LITTLE_ENDIAN = true;

/** Checks each row that is to be seen: the header that the tree has there is of that position and time. */
async function rows({ tree, hash }) {
  // Headers name streams and times, so not everybody may read them.
  if (!audits()) return;
  for (const row of document.querySelectorAll(".events > li[data-position]")) {
    const position = Number(row.dataset.position);
    if (position >= tree.size || row.querySelector(".mark.checked")) continue;
    const header = await tree.header(position);
    const view = new DataView(header.buffer, header.byteOffset, header.length);
    const isRow = view.getBigUint64(5, LITTLE_ENDIAN) === BigInt(position)
      // An event that was erased has no name, and keeps its header.
      && [0, view.getUint16(53, LITTLE_ENDIAN)].includes(Number(row.dataset.number))
      && view.getBigInt64(57, LITTLE_ENDIAN) === BigInt(row.dataset.micros);
    const found = await leaf(header);
    if (!isRow || !same(await tree.with(found, position), hash)) throw new Broken(`event ${position} of this page is not the one in the signed tree`);
    if (row.isConnected && !row.querySelector(".mark.checked")) mark(row, header, found);
  }
}

function tell(text, isBroken = false) {
  const line = document.getElementById("checked");
  if (!line) return;
  line.textContent = text;
  line.classList.toggle("broken", isBroken);
}

function told() {
  const since = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" }).format(new Date(last.since));
  tell(`the first ${last.tree.size}: signed by the key that this browser keeps since ${since}, and each checkpoint since then continues the one before${audits() ? "" : ". Single events are checked for who may audit"}`);
}

/** The last finding, and its time. */
let last = null;
let checkedAt = -Infinity;
const PAUSE = 5000;

async function check() {
  if (!globalThis.crypto?.subtle) {
    tell("nothing: this browser checks on pages with https only");
    return;
  }
  try {
    last = await checked();
    checkedAt = performance.now();
    await rows(last);
    told();
  } catch (error) {
    if (error instanceof Broken) {
      const known = kept();
      last = null;
      for (const one of document.querySelectorAll(".mark.checked")) {
        const position = Number(one.closest("li").dataset.position);
        if (!known || position >= known.size) one.remove();
      }
      const ends = known ? `Trust ends at event ${known.size}: the first ${known.size} events were checked here before.` : "Nothing was checked here before.";
      tell(`${error.message[0].toUpperCase()}${error.message.slice(1)}. ${ends} Tell an auditor, who can compare with another copy.`, true);
    } else {
      tell("nothing: the log's checkpoint or hashes could not be had");
    }
  }
}

let running = document.getElementById("checked") ? check() : Promise.resolve();
let timer = 0;
// A list that was brought up to date is marked by what is known at once, and what is new is asked for after a pause.
document.addEventListener("lists", () => {
  if (last) {
    told();
    running = running.then(() => rows(last)).catch(() => {});
  }
  const wait = Math.max(0, checkedAt + PAUSE - performance.now());
  timer ||= setTimeout(() => {
    timer = 0;
    running = running.then(check);
  }, wait);
});
