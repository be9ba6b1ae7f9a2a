// From page to page: show, check, record, go on.
let shownAt = 0;
let hiddenSince = null;
let hidden = 0;
const since = (moment) => performance.now() - moment; // milliseconds
const seconds = (milliseconds) => Math.round(milliseconds / 100) / 10;
document.addEventListener("visibilitychange", () => {
  if (document.hidden) hiddenSince = performance.now();
  else if (hiddenSince !== null) {
    hidden += since(hiddenSince);
    hiddenSince = null;
  }
});

// The second click of a double click falls on the next page: it is nobody's answer. Who presses Tab means it.
const DOUBLE_CLICK = 500; // milliseconds
let turnedAt = -Infinity;
byId("main").addEventListener("click", (event) => {
  if (state.finished || since(turnedAt) >= DOUBLE_CLICK) return;
  event.preventDefault();
  event.stopPropagation();
}, true);
addEventListener("keydown", (event) => {
  if (event.key === "Tab") turnedAt = -Infinity;
});

// One participant may have opened two tabs: only the one that was used last goes on and keeps answers.
const leave = () => {
  elsewhere = true;
  if (state.finished) return;
  byId("main").replaceChildren(el("h1", { tabindex: -1 }, STUDY.title), el("p", { role: "alert" }, ELSEWHERE));
};
const keep = () => {
  save();
  if (elsewhere) leave();
};
addEventListener("storage", (event) => {
  if (event.key === KEY && event.newValue !== null && event.newValue !== seen) leave();
});

// What only this page has would be lost with it.
addEventListener("beforeunload", (event) => {
  if (storage === "kept" || elsewhere || !state.records.length || state.sent || state.downloaded) return;
  event.preventDefault();
  event.returnValue = "";
});

const show = () => {
  if (elsewhere) return;
  const list = steps();
  const place = state.records.length;
  const done = place >= list.length;
  byId("progress").value = place / list.length;
  byId("place").textContent = done ? "Finished" : `Page ${place + 1} of ${list.length}`;
  byId("storage").textContent = storage === "kept" ? ""
    : "This browser does not let the page save your answers. Please do not reload or close it, and do not go back, before the end.";
  if (done) {
    if (!state.finished) state.finished = new Date().toISOString();
    save();
    finish();
  } else page(list[place]);
  const heading = document.querySelector("h1");
  document.title = `${heading.textContent} - ${STUDY.title}`;
  heading.focus();
  scrollTo(0, 0);
};

const page = (step) => {
  const view = VIEWS[step.kind](step);
  const problem = el("div", { role: "alert" });
  const form = el("form", { novalidate: true, autocomplete: "off" }, view.body, problem, el("button", { type: "submit" }, view.button));
  byId("main").replaceChildren(el("h1", { tabindex: -1 }, view.title), form);
  restore(form, state.draft);
  shownAt = performance.now();
  hidden = 0;
  form.addEventListener("input", () => {
    Object.assign(state, { draft: read(form), spent: state.spent + since(shownAt) });
    shownAt = performance.now();
    keep();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const open = missing(form);
    if (open.length) {
      problem.className = "error";
      problem.textContent = `Please answer: ${open.map((group) => group.name).join("; ")}.`;
      open[0].control.focus();
    } else next(step, read(form));
  });
};

const next = (step, answers) => {
  const record = { kind: step.kind, answers, seconds: seconds(state.spent + since(shownAt)), hidden: seconds(hidden) };
  if (step.item) record.item = step.item.id;
  if (step.check) record.check = step.check.id;
  if (step.kind === "consent") state.started = new Date().toISOString();
  state.records.push(record);
  Object.assign(state, { draft: {}, spent: 0 });
  keep();
  turnedAt = performance.now();
  show();
};

show();
byId("draft").hidden = STUDY.build !== "draft";
