// One participant's state: kept in the browser's storage after every input, or in memory where that is blocked.
// Before consent it is in memory only: nothing is recorded of those who do not take part.
const QUERY = new URLSearchParams(location.search);
// Names and texts are compared by their letters and digits alone: prolific_id, Prolific-ID and PROLIFICID are one.
const bare = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
const PARAMETERS = location.search.slice(1).split("&").map((part) => {
  const [[name, text] = ["", ""]] = new URLSearchParams(part);
  return { name: bare(name), text: text.trim(), raw: part.slice(part.indexOf("=") + 1) };
});
// cyrb53 by bryc (public domain): 53 bits.
const checksum = (text) => {
  let [a, b] = [0xdeadbeef, 0x41c6ce57];
  for (let i = 0; i < text.length; i += 1) {
    a = Math.imul(a ^ text.charCodeAt(i), 2654435761);
    b = Math.imul(b ^ text.charCodeAt(i), 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return (4294967296 * (2097151 & b) + (a >>> 0)).toString(36);
};
// Two numbers must not become one: what is too long, or has other characters, is told apart by a checksum.
const fit = (text) => (/^[\w-]{1,64}$/.test(text) ? text
  : `${text.replace(/[^\w-]/g, "").slice(0, 40) || "p"}-${checksum(text)}`);
// A panel that was not set up leaves its placeholder in the address, the same for everybody: {{%PROLIFIC_PID%}},
// [[id]], ${id}, %id%, undefined, ... Then the page draws a number, as it does where there is none.
const nobodys = ({ text, raw }) =>
  /^[{[<(|$%]/.test(text) || /^%.*%$/.test(raw) || !bare(text) || NAMES.nobodys.test(bare(text));
const given = (names) => {
  const found = PARAMETERS.find((one) => names.test(one.name) && !nobodys(one));
  if (!found) return "";
  return fit(found.text.includes("\ufffd") ? found.raw : found.text); // its bytes, where they are no UTF-8
};
const NAME = given(/^prolificp?id$/) || given(NAMES.participant);
const KEY = ["cladec-user-study", STUDY.hash, NAME].join(":");
const random = () => crypto.getRandomValues(new Uint32Array(1))[0];
let storage = "kept";

// What this tab last knew to be in the storage, and whether it is another tab that goes on.
let seen = null;
let elsewhere = false;
const ELSEWHERE = "This study is open in another tab; go on there. To go on here, reload this page.";
const load = () => {
  try {
    seen = localStorage.getItem(KEY);
    return JSON.parse(seen);
  } catch {
    storage = "memory";
    return null;
  }
};
const save = () => {
  if (!state.records.length || elsewhere) return; // the first record is the consent
  try {
    const there = localStorage.getItem(KEY);
    elsewhere = there !== null && there !== seen; // what another tab wrote is never written over
    if (elsewhere) return;
    const text = JSON.stringify(state);
    localStorage.setItem(KEY, text);
    seen = text;
  } catch {
    storage = "memory";
  }
};
const slotOf = (text) => (/^\d{1,6}$/.test(text || "") ? Number(text) : random()) % STUDY.slots.length;
const fresh = () => ({
  participant: NAME || `p-${random().toString(36)}${random().toString(36)}`,
  session: given(/^sessionid$/),
  slot: slotOf(QUERY.get("slot")),
  started: null,
  finished: null,
  reloads: -1,
  records: [],
  draft: {},
  spent: 0,
  sent: false,
});

let state = load();
// Answers that still have to be sent must not be lost: the last page comes back and sends them.
const delivered = state && state.finished && (state.sent || !STUDY.post_url);
if (!state || (QUERY.has("restart") && delivered)) state = fresh();
if (QUERY.has("restart")) {
  QUERY.delete("restart"); // or a reload of the new session's last page would begin yet another one
  const rest = QUERY.toString();
  try {
    history.replaceState(null, "", rest ? `?${rest}` : location.pathname);
  } catch {
    // An address that cannot be changed, as of a page within another, stays as it is.
  }
}
state.reloads += 1;
save();
const [ARM, ITEMS, ROTATION] = STUDY.slots[state.slot];
const PANELS = STUDY.arms[ARM];
const CONCEPTS = [...STUDY.concepts.slice(ROTATION), ...STUDY.concepts.slice(0, ROTATION)];
