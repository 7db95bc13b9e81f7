// Names such as fusion.constraints.UnitColumns break behind dots and underscores, and before capitals,
// in headings, side bars and bread crumbs, instead of anywhere or nowhere.
"use strict";

const nameBreaks = (node) => {
  const parts = node.data.split(/(?<=[._])(?=\w)|(?<=[a-z])(?=[A-Z])/);
  if (parts.length > 1)
    node.replaceWith(...parts.flatMap((part, i) => (i ? [document.createElement("wbr"), part] : [part])));
};

const brokenPlaces =
  "article h1, article h2, article h3, .bd-sidebar-primary a, .bd-sidebar-secondary a,"
  + " .bd-breadcrumbs li, ul.search li > a, article table td code span";

document.querySelectorAll(brokenPlaces).forEach((place) => {
  const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) if (/\w[._]\w|[a-z][A-Z]/.test(walker.currentNode.data)) texts.push(walker.currentNode);
  texts.forEach(nameBreaks);
});
