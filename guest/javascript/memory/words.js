// What needs no host, and is tested without one.

/** A fact as it is kept: without the spaces that nobody meant. */
export const tidy = (fact) => fact.trim().replace(/\s+/g, ' ');

/** A pattern of LIKE that finds these words in this order; `!` is its escape character. */
export function pattern(words) {
  const escaped = words.toLowerCase().replace(/[!%_]/g, '!$&').split(/\s+/).filter(Boolean);
  return `%${escaped.map((word) => `${word}%`).join('')}`;
}
