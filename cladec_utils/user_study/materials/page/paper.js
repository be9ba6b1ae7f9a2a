// What a print gives: consent, instructions and every picture of this slot, to be filled in by hand. Only the
// last page, which has the participant's number, is printed as it stands.
const sheet = (view, mark) => el("section", {}, el("p", { class: "mark" }, mark), el("h1", {}, view.title), view.body);
const paperOf = () => {
  const mark = `${STUDY.build === "draft" ? "Draft: not for data collection. " : ""}Study ${STUDY.hash}, slot ${state.slot}`;
  const consent = VIEWS.consent();
  consent.body.unshift(el("p", { class: "note" }, STUDY.texts.paper));
  const paper = el("div", { id: "paper" },
    sheet(consent, mark),
    sheet(VIEWS.instructions({}), mark),
    ITEMS.map((id, i) => sheet(VIEWS.item({ item: STUDY.items[id], position: i + 1 }), `${mark}, picture ${id}`)));
  for (const select of paper.querySelectorAll("select")) {
    select.replaceWith(...SURENESS.map(([value, word]) => el("span", { class: "choice" }, el("input", { type: "radio", value }), word)));
  }
  return paper;
};
// Made now, so that the pictures are decoded when a print begins; in the page only while it is printed.
const PAPER = paperOf();
addEventListener("beforeprint", () => {
  if (!state.finished) document.body.append(PAPER);
});
addEventListener("afterprint", () => PAPER.remove());
