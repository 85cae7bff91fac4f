import { Refused } from './innkeeper/errors.js';

/** The last part of an article's address. */
export function slug(title) {
  // Letters and digits of ASCII, and all characters beyond: this engine knows no classes of Unicode.
  const words = title.toLowerCase().match(/[a-z0-9\u00aa-\uffff]+/g);
  if (!words) throw new Refused('The title has no letters.');
  return words.join('-');
}
