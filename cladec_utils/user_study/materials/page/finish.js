// The response as one object, its files, and the last page.
const answersOf = (given) => Object.fromEntries(STUDY.concepts.map(([key]) => {
  const sure = given[`sure:${key}`];
  return [key, { answer: given[`answer:${key}`], confidence: sure ? Number(sure) : null }];
}));
const ofKind = (kind) => state.records.filter((record) => record.kind === kind);
const judged = (record) => ({
  item: record.item,
  answers: answersOf(record.answers),
  choice: record.answers.choice,
  text: record.answers.text || "",
  seconds: record.seconds,
  hidden_seconds: record.hidden,
});

const response = () => ({
  format: "cladec-user-study-response",
  version: 1,
  study_hash: STUDY.hash,
  build: STUDY.build,
  simulated: false,
  participant: state.participant,
  session: state.session,
  slot: state.slot,
  arm: ARM,
  consented: ofKind("consent").length === 1,
  started: state.started,
  finished: state.finished,
  reloads: state.reloads,
  storage,
  comprehension: ofKind("comprehension").map((record) => record.answers),
  attention: Object.fromEntries(ofKind("attention").map((record) => [record.check, record.answers.check])),
  practice: ofKind("practice").map(judged),
  items: ofKind("item").map(judged),
  about: { experience: ofKind("about")[0].answers.experience, comments: ofKind("about")[0].answers.comments || "" },
});

const cell = (value) => {
  const text = value == null ? "" : String(value);
  // A leading = + - @ would be a formula to a spreadsheet.
  return `"${text.replace(/^(?=[=+\-@\t\r])/, "'").replace(/"/g, '""')}"`;
};
const csv = (pack) => {
  const rows = [["study_hash", "participant", "slot", "arm", "position", "item", "concept", "answer", "confidence", "choice", "text", "seconds"]];
  pack.items.forEach((item, i) => {
    for (const [key, given] of Object.entries(item.answers)) {
      rows.push([pack.study_hash, pack.participant, pack.slot, pack.arm, i + 1, item.item, key,
        given.answer, given.confidence, item.choice, item.text, item.seconds]);
    }
  });
  // The mark at the beginning is how Excel knows UTF-8.
  return `\ufeff${rows.map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
};
const download = (name, type, text) => {
  const link = el("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  document.body.append(link);
  link.click();
  link.remove();
};

const send = async (pack, status, again) => {
  if (!STUDY.post_url || state.sent) return;
  if (elsewhere) {
    status.textContent = ELSEWHERE;
    return;
  }
  again.hidden = true;
  status.textContent = "Sending your answers ...";
  let words = "";
  try {
    const reply = await fetch(STUDY.post_url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(pack) });
    state.sent = reply.ok;
    const plain = (reply.headers.get("Content-Type") || "").startsWith("text/plain");
    if (!reply.ok && plain) words = ` ${(await reply.text()).slice(0, 200)}`;
  } catch {
    state.sent = false;
  }
  save();
  again.hidden = state.sent;
  status.textContent = state.sent ? "Your answers were sent. Thank you."
    : `Sending failed.${words} Your answers are still in this page. Please send again; if it fails once more, download the JSON file and send it to us.`;
};

const finish = () => {
  const pack = response();
  const status = el("p", { role: "status" }, state.sent ? "Your answers were sent. Thank you." : "");
  const again = el("button", { type: "button", hidden: true, onclick: () => send(pack, status, again) }, "Send again");
  const name = `response-${state.participant}`;
  const nodes = [
    el("h1", { tabindex: -1 }, "Thank you"),
    status,
    again,
    el("p", {}, `${STUDY.texts.number} `, el("strong", { class: "code" }, state.participant)),
    STUDY.completion_code ? el("p", {}, "Your completion code: ", el("strong", { class: "code" }, STUDY.completion_code)) : null,
    el("p", {}, STUDY.texts.files),
    el("button", {
      type: "button",
      onclick: () => {
        download(`${name}.json`, "application/json", JSON.stringify(pack, null, 1));
        state.downloaded = true;
      },
    }, "Download JSON"),
    el("button", { type: "button", onclick: () => download(`${name}.csv`, "text/csv", csv(pack)) }, "Download CSV"),
    ...blocks(STUDY.texts.debriefing),
  ];
  byId("main").replaceChildren(...nodes.filter(Boolean));
  send(pack, status, again);
};
