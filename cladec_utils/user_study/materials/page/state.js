// One participant's state: kept in the browser's storage after every input, or in memory where that is blocked.
// Before consent it is in memory only: nothing is recorded of those who do not take part.
const QUERY = new URLSearchParams(location.search);
const clean = (text) => (text || "").replace(/[^\w-]/g, "").slice(0, 64);
// A panel that was not set up leaves its placeholder in the address, the same for everybody: {{%PROLIFIC_PID%}},
// [[id]], ${id}, %id%, undefined, ... Then the page draws a number, as it does where there is none.
const given = (name) => {
  const text = (QUERY.get(name) || "").trim();
  const bare = clean(text).toLowerCase().replace(/^(e?field)?[_-]*|[_-]+$/g, "");
  return /^[{[<(|$%\ufffd]/.test(text) || !bare || PLACEHOLDERS.includes(bare) ? "" : clean(text);
};
const NAME = given("PROLIFIC_PID") || given("participant");
const KEY = ["cladec-user-study", STUDY.hash, NAME].join(":");
const random = () => crypto.getRandomValues(new Uint32Array(1))[0];
let storage = "kept";

const load = () => {
  try {
    return JSON.parse(localStorage.getItem(KEY));
  } catch {
    storage = "memory";
    return null;
  }
};
const save = () => {
  if (!state.records.length) return; // the first record is the consent
  try {
    localStorage.setItem(KEY, JSON.stringify(state));
  } catch {
    storage = "memory";
  }
};
const slotOf = (text) => (/^\d{1,6}$/.test(text || "") ? Number(text) : random()) % STUDY.slots.length;
const fresh = () => ({
  participant: NAME || `p-${random().toString(36)}${random().toString(36)}`,
  session: given("SESSION_ID"),
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
