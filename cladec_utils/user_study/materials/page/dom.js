// Building elements without markup in strings: nothing that a person typed is ever read as HTML.
const el = (tag, properties = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child != null));
  return node;
};
const byId = (id) => document.getElementById(id);

// A text of the study as blocks: {h: heading}, {p: paragraph} or {li: [points]}.
const blocks = (parts) => parts.map((part) => {
  if (part.h) return el("h2", {}, part.h);
  if (part.li) return el("ul", {}, part.li.map((point) => el("li", {}, point)));
  return el("p", {}, part.p);
});
