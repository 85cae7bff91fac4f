// Who is calling; the host has verified it.

/** The caller (`subject`, `name`, `email`, `scopes`, …), or undefined. */
export { current } from 'innkeeper:backend/identity@0.1.0';
