// Names such as fusion.constraints.UnitColumns break behind dots and underscores, and before capitals,
// in headings, side bars and bread crumbs, instead of anywhere or nowhere. Words as HyperSpy do not.
"use strict";

const nameBreaks = (node) => {
  const name = /\w+(?:[._]\w+)+/g;
  const inside = /(?<=[._])(?=\w)|(?<=[a-z])(?=[A-Z])/;
  const marked = node.data.replace(name, (found) => found.split(inside).join("\0"));
  const parts = marked.split("\0");
  if (parts.length > 1)
    node.replaceWith(...parts.flatMap((part, i) => (i ? [document.createElement("wbr"), part] : [part])));
};

const namePlaces =
  "article h1, article h2, article h3, .bd-sidebar-primary a, .bd-sidebar-secondary a,"
  + " .bd-breadcrumbs li, ul.search li > a, article table td code span";

document.querySelectorAll(namePlaces).forEach((place) => {
  const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  texts.forEach(nameBreaks);
});
