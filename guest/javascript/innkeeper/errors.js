// What can keep a call from its answer.

/** The tool ran and cannot do it: one sentence for whoever called. */
export class Refused extends Error {}

/** The database does not answer at the moment: the same call may succeed again. */
export class Busy extends Error {}

/** A mistake of this guest, or of its configuration; for the log. */
export class Broken extends Error {}
