// The pages of a participant in order. Each page leaves one record, so the place is the number of records.
const QUESTIONS = STUDY.comprehension.filter((question) => PANELS.length >= question.panels);
const passed = (answers) => QUESTIONS.every((question) => answers[question.id] === question.right);

const steps = () => {
  const attempts = state.records.filter((record) => record.kind === "comprehension");
  const again = attempts.length > 0 && !passed(attempts[0].answers);
  const list = [{ kind: "consent" }, { kind: "instructions" }, { kind: "comprehension" }];
  if (again) list.push({ kind: "instructions", again: true }, { kind: "comprehension" });
  for (const item of STUDY.practice) list.push({ kind: "practice", item }, { kind: "feedback", item });
  list.push({ kind: "begin" });
  ITEMS.forEach((id, i) => {
    list.push({ kind: "item", item: STUDY.items[id], position: i + 1 });
    for (const check of STUDY.attention) {
      if (i + 1 === Math.round(check.after * ITEMS.length)) list.push({ kind: "attention", check });
    }
  });
  list.push({ kind: "about" });
  return list;
};
