// Questions typed as they stand. Sphinx asks that every word be on the page, so a whole sentence
// finds nothing; here pages are ranked by the words they have. Sphinx's box, page, index, stemmer
// and its matches of titles and names stay: this replaces Search.performTermsSearch, which looks
// for words, and describes what is found. Runs after searchtools.js and before the search begins
// (`defer`), reads `pageWords` of page_words.js, and fetches nothing.
"use strict";

const sentenceSearch = {
  // what a word counts where it stands; a page has the largest of them
  weights: { title: 4, keywords: 3, heading: 2.5, text: 2, part: 0.5 },
  phrase: 5, // for keywords of several words that the query has as they stand: "how many"
  // pages that answer stand before those that list, at the same words
  sections: {
    reference: 0.6, gallery: 0.75, benchmarks: 0.75, errors: 0.75,
    index: 0.5, "explain/index": 0.5, "how_to/index": 0.5, "reference/index": 0.5,
  }, // prettier-ignore
  // what questions are made of, beside Sphinx's own list
  asked:
    "able actually also always another anything can come get give given gives go going got good"
    + " happen happens just kind let like look looks lot make makes many may mean means might must"
    + " need needs please possible put really right say see shall something still take tell thing"
    + " things try use used using want way well whether will without work works",
  most: 20, // results
  least: 0.35, // of the first one's score
};

sentenceSearch.fold = (text) => {
  const stemmer = new Stemmer();
  return splitQuery(text.toLowerCase()).map((word) => stemmer.stemWord(word));
};

// Index of a stem → the pages that have it, as a list whatever the index holds.
sentenceSearch.pages = (terms, word) =>
  terms.hasOwnProperty(word) ? [terms[word]].flat() : [];

sentenceSearch.prepare = () => {
  const { titles, docnames, terms } = Search._index;
  const lengths = new Array(titles.length).fill(0);
  Object.values(terms).forEach((files) => [files].flat().forEach((file) => (lengths[file] += 1)));
  const mean = lengths.reduce((a, b) => a + b, 0) / lengths.length;
  sentenceSearch.ready = {
    lengths: lengths.map((length) => 0.6 + (0.4 * length) / mean), // long pages have every word
    titles: titles.map((title) => new Set(sentenceSearch.fold(title))),
    keywords: docnames.map(
      (name) => new Set(sentenceSearch.fold((pageWords[name] || {}).keywords || "")),
    ),
    phrases: docnames.map((name) =>
      ((pageWords[name] || {}).keywords || "")
        .split(",")
        .map(sentenceSearch.fold)
        .filter((words) => words.length > 1)
        .map((words) => ` ${words.join(" ")} `),
    ),
    section: docnames.map((name) => sentenceSearch.sections[name] || sentenceSearch.sections[name.split("/")[0]] || 1),
  };
};

// Page → what the word counts there.
sentenceSearch.counts = (word) => {
  const { weights, ready } = sentenceSearch;
  const { terms, titleterms } = Search._index;
  const counts = new Map();
  const note = (file, count) => counts.set(file, Math.max(count, counts.get(file) || 0));
  ready.titles.forEach((words, file) => words.has(word) && note(file, weights.title));
  ready.keywords.forEach((words, file) => words.has(word) && note(file, weights.keywords));
  sentenceSearch.pages(titleterms, word).forEach((file) => note(file, weights.heading));
  sentenceSearch
    .pages(terms, word)
    .forEach((file) => note(file, weights.text / ready.lengths[file]));
  if (!counts.size && word.length > 2)
    Object.keys(terms)
      .filter((term) => term.includes(word))
      .forEach((term) =>
        sentenceSearch.pages(terms, term).forEach((file) => note(file, weights.part)),
      );
  return counts;
};

// The words of a query that are no stop words, all of them where it has nothing else.
sentenceSearch.meant = (words) => {
  const stemmer = new Stemmer();
  const asked = new Set(sentenceSearch.asked.split(" ").map((word) => stemmer.stemWord(word)));
  const meant = [...words].filter((word) => !asked.has(word));
  return meant.length ? meant : [...words];
};

// In place of Sphinx's: pages by the words they have, rare words counting more; 15, what Sphinx gives
// a word in a title, for all words in a title, so that both kinds of results stand in one list.
sentenceSearch.rank = (words, excluded) => {
  if (!sentenceSearch.ready) sentenceSearch.prepare();
  const { docnames, filenames, titles, terms } = Search._index;
  const scores = new Map();
  const left = new Set([...excluded].flatMap((word) => sentenceSearch.pages(terms, word)));
  let whole = 0;
  sentenceSearch.meant(words).forEach((word) => {
    const counts = sentenceSearch.counts(word);
    const rare = Math.log(1 + docnames.length / (1 + counts.size));
    whole += rare * sentenceSearch.weights.title;
    counts.forEach((count, file) => scores.set(file, (scores.get(file) || 0) + rare * count));
  });
  const { phrases, section } = sentenceSearch.ready;
  const asked = ` ${sentenceSearch.fold(sentenceSearch.query).join(" ")} `;
  const said = (file) => (phrases[file].some((phrase) => asked.includes(phrase)) ? sentenceSearch.phrase : 0);
  const found = [...scores]
    .filter(([file]) => !left.has(file))
    .map(([file, score]) => [file, ((15 * score) / whole + said(file)) * section[file]])
    .sort((a, b) => b[1] - a[1]);
  return found
    .filter(([, score]) => score >= sentenceSearch.least * found[0][1])
    .slice(0, sentenceSearch.most)
    .map(([file, score]) => [
      docnames[file], titles[file], "", null, score, filenames[file], SearchResultKind.text,
    ]); // prettier-ignore
};

// Below a result, the first words of its page; a name that was found is not told again as a page.
sentenceSearch.described = (results) => {
  const named = new Set(
    results.filter(([, , , , , , kind]) => kind === SearchResultKind.object).map(([page, title]) => page + title),
  );
  return results
    .filter(([page, title, , , , , kind]) => kind === SearchResultKind.object || !named.has(page + title))
    .map((result) => {
      const lead = (pageWords[result[0]] || {}).lead;
      return [...result.slice(0, 3), result[3] || lead || null, ...result.slice(4)];
    });
};

Search.performTermsSearch = sentenceSearch.rank;
{
  const found = Search._performSearch;
  Search._performSearch = (query, ...asked) => {
    sentenceSearch.query = query;
    return sentenceSearch.described(found(query, ...asked));
  };
}
