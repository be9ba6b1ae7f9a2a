// What each kind of page shows. A view gives {title, body: [nodes], button}.
const ANSWERS = [["used", "Used"], ["unused", "Not used"], ["unknown", "Cannot tell"]];
const SURENESS = [["1", "guessing"], ["2", "unsure"], ["3", "fairly sure"], ["4", "certain"]];
const LETTERS = "ABC";
const CAPTIONS = ["original picture", "copy by a general-purpose network", "what the classifier kept"];
const ALTS = ["The original picture", "The copy of it by a general-purpose network", "What the classifier kept of it"];

const pictures = (item) => el("div", { class: "pictures" }, PANELS.map((panel, i) =>
  el("figure", {},
    el("img", { src: STUDY.images[item.pictures[panel]], alt: `${LETTERS[i]}: ${ALTS[i]}`, width: 208, height: 208 }),
    el("figcaption", {}, el("strong", {}, LETTERS[i]), `: ${CAPTIONS[i]}`))));

const radios = (name, options) => options.map(([value, label]) =>
  el("label", { class: "choice" }, el("input", { type: "radio", name, value, "data-required": true }), label));

const question = (name, legend, options, lines = true) =>
  el("fieldset", { "data-name": legend, class: lines ? "lines" : null }, el("legend", {}, legend), radios(name, options));

const concept = ([key, label]) => {
  const select = el("select", { name: `sure:${key}`, "data-required": true },
    el("option", { value: "" }, "choose"), SURENESS.map(([value, word]) => el("option", { value }, word)));
  const group = el("div", { class: "concept" },
    el("div", {}, radios(`answer:${key}`, ANSWERS)),
    el("label", { class: "choice" }, el("span", {}, "How sure?"), select));
  group.addEventListener("change", () => enableConfidence(group));
  return el("fieldset", { "data-name": label }, el("legend", {}, label[0].toUpperCase() + label.slice(1)), group);
};

const labelOf = (key) => STUDY.concepts.find(([name]) => name === key)[1];

const task = (item, title, button) => ({
  title,
  button,
  body: [
    pictures(item),
    item.label ? el("p", {}, "The classifier's answer: ", el("strong", {}, item.label)) : null,
    el("h2", {}, "For each feature: does the classifier use it for its answer?"),
    ...CONCEPTS.map(concept),
    question("choice", "Which of these two matters more to the classifier?", item.pair.map((key) => [key, labelOf(key)])),
    el("label", { for: "text" }, "In your own words: what does the classifier go by? (optional)"),
    el("textarea", { id: "text", name: "text", rows: 2, maxlength: 500 }),
  ],
});

const VIEWS = {
  consent: () => ({
    title: STUDY.title,
    button: "Start",
    body: [
      ...blocks(STUDY.texts.consent),
      el("fieldset", { "data-name": "your consent" }, el("legend", {}, "Your consent"),
        el("label", { class: "choice" },
          el("input", { type: "checkbox", name: "consent", value: "yes", "data-required": true }), STUDY.texts.agree)),
    ],
  }),
  instructions: (step) => ({
    title: step.again ? "Please read this once more" : "What you will do",
    button: "Next",
    body: [
      step.again ? el("p", { class: "note" }, "Not all of your answers were right. This page explains the task again.") : null,
      ...blocks(STUDY.texts.task),
      ...(PANELS.length > 2 ? blocks(STUDY.texts.explained) : []),
      el("h2", {}, "An example"),
      pictures(STUDY.example),
      ...blocks(PANELS.length > 2 ? STUDY.texts.example_explained : STUDY.texts.example),
    ],
  }),
  comprehension: () => ({
    title: "Is it clear?",
    button: "Next",
    body: [
      el("p", {}, "Before you begin, please answer these questions about the task."),
      ...QUESTIONS.map((q) => question(q.id, q.text, q.options)),
    ],
  }),
  practice: (step) => task(step.item, "Practice", "Show me"),
  feedback: (step) => {
    const given = state.records[state.records.length - 1].answers;
    const lines = STUDY.concepts.filter(([key]) => key in step.item.feedback).map(([key, label]) => {
      const truth = step.item.feedback[key];
      const verdict = given[`answer:${key}`] === truth ? "you said so, too" : "you answered something else";
      return el("li", {}, `${label[0].toUpperCase()}${label.slice(1)}: `,
        el("strong", {}, truth === "used" ? "used" : "not used"), ` (${verdict})`);
    });
    return {
      title: "Practice: what is known",
      button: "Next",
      body: [
        pictures(step.item),
        el("p", {}, lines.length ? STUDY.texts.feedback : STUDY.texts.no_feedback),
        lines.length ? el("ul", {}, lines) : null,
      ],
    };
  },
  begin: () => ({ title: "Now the study", button: "Begin", body: blocks(STUDY.texts.begin) }),
  item: (step) => task(step.item, `Picture ${step.position} of ${ITEMS.length}`, "Next"),
  attention: (step) => ({
    title: "A quick check",
    button: "Next",
    body: [question("check", step.check.text, ANSWERS, false)],
  }),
  about: () => ({
    title: "About you",
    button: "Finish",
    body: [
      question("experience", "Your experience with machine learning", STUDY.experience),
      el("label", { for: "comments" }, "Anything you would like to tell us? (optional)"),
      el("textarea", { id: "comments", name: "comments", rows: 3, maxlength: 1000 }),
    ],
  }),
};
