// What changes, as it happens, with one stream for all pages of a browser: a browser opens six connections to a
// host, and a stream keeps one. The page that holds a lock of the browser has the stream, and tells the others.

const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 30000;

/**
 * Follows what changes while this page is visible.
 *
 * `asOf()` answers the size of the ledger that the page shows. `changed(kinds)` is told which kinds of things
 * changed, `null` when any may have. `stands(text)` is told "Live", "Not connected" or, while nobody looks,
 * nothing. `ended()` is called when the session is over.
 */
export function follow(root, { asOf, changed, stands, ended }) {
  const name = `changes below ${new URL(root, location.href).pathname}`;
  const pages = new BroadcastChannel(name);
  /** Ends this page's part, while it has one. */
  let part = null;
  /** The stream, while this page has it: the text of `stands`, and the newest size that it told. */
  let stream = null;

  const heard = {
    changed,
    stands,
    ended,
    // The page that joined may show less than the stream has told already.
    joined: () => stream && pages.postMessage(["caught", stream.seen, stream.text]),
    caught: (seen, text) => {
      stands(text);
      if (seen > asOf()) changed(null);
    },
  };
  pages.onmessage = ({ data: [what, ...values] }) => part && heard[what](...values);

  const tell = (what, ...values) => {
    heard[what](...values);
    pages.postMessage([what, ...values]);
  };

  /** Has the stream until this page's part is over. */
  function lead(signal) {
    let source = null;
    let pause = FIRST_PAUSE;
    let timer = 0;
    const say = (text) => tell("stands", (stream.text = text));
    const open = () => {
      stream = { text: "", seen: asOf() };
      // What changed before this stream began, the page that had the one before may not have told.
      pages.postMessage(["caught", stream.seen, ""]);
      source = new EventSource(`${root}v1/stream?after=${stream.seen}`);
      source.onopen = () => {
        pause = FIRST_PAUSE;
        say("Live");
      };
      source.onmessage = ({ data, lastEventId }) => {
        stream.seen = Number(lastEventId);
        const changes = JSON.parse(data || "[]");
        if (changes.length) tell("changed", changes.map(({ kind }) => kind));
      };
      source.addEventListener("resync", () => tell("changed", null));
      source.addEventListener("ended", () => tell("ended"));
      source.onerror = () => {
        say("Not connected");
        // The browser tries again by itself, but for an answer that was none.
        if (source.readyState !== EventSource.CLOSED) return;
        changed(null);
        timer = setTimeout(open, pause);
        pause = Math.min(pause * 2, LONGEST_PAUSE);
      };
    };
    open();
    return new Promise((over) => signal.addEventListener("abort", () => {
      clearTimeout(timer);
      source.close();
      stream = null;
      over();
    }));
  }

  function join() {
    part = new AbortController();
    const { signal } = part;
    pages.postMessage(["joined"]);
    // Without the lock there is nothing to give back.
    navigator.locks.request(name, { signal }, () => lead(signal)).catch(() => {});
  }

  document.addEventListener("visibilitychange", () => {
    part?.abort();
    part = null;
    stands("");
    if (document.hidden) return;
    changed(null);
    join();
  });
  if (!document.hidden) join();
}
