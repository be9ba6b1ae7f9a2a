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

const show = () => {
  const list = steps();
  const place = state.records.length;
  const done = place >= list.length;
  byId("progress").value = place / list.length;
  byId("place").textContent = done ? "Finished" : `Page ${place + 1} of ${list.length}`;
  byId("storage").textContent = storage === "kept" ? ""
    : "This browser does not let the page save your answers. Please do not reload or close it before the end.";
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
    save();
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
  save();
  show();
};

show();
byId("draft").hidden = STUDY.build !== "draft";
