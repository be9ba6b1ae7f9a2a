// Reading, restoring and checking a page's form.
const read = (form) => Object.fromEntries(new FormData(form));

const restore = (form, draft) => {
  for (const control of form.elements) {
    if (!control.name || !(control.name in draft)) continue;
    if (control.type === "radio" || control.type === "checkbox") control.checked = control.value === draft[control.name];
    else control.value = draft[control.name];
  }
  form.querySelectorAll(".concept").forEach(enableConfidence);
};

// Confidence is asked only of those who answered "used" or "not used".
const enableConfidence = (group) => {
  const answer = group.querySelector("input:checked");
  const select = group.querySelector("select");
  select.disabled = Boolean(answer) && answer.value === "unknown";
  if (select.disabled) select.value = "";
};

const missing = (form) => {
  const found = [];
  for (const group of form.querySelectorAll("fieldset[data-name]")) {
    const controls = [...group.querySelectorAll("[data-required]")].filter((control) => !control.disabled);
    const names = new Set(controls.map((control) => control.name));
    const answers = read(form);
    const empty = [...names].filter((name) => !answers[name]);
    group.classList.toggle("missing", empty.length > 0);
    if (empty.length) found.push({ name: group.dataset.name, control: controls.find((c) => c.name === empty[0]) });
  }
  return found;
};
