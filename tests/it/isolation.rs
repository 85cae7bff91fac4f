//! Nobody reads, changes or counts another caller's rows: the proof, by attack.
//!
//! Every attack runs in two worlds. In one, alice has rows; in the other, carol
//! has as many. Their marker may stand nowhere in what the attacker is told, their
//! rows stay what they are, and what happens in both worlds must be the same.
//!
//! `INNKEEPER_TEST_SEED` repeats what was random, `INNKEEPER_HOSTILE_STATEMENTS`
//! says how many statements are (20,000).

mod attacks;
mod declared;
mod direct;
mod generator;
mod guarded;
mod hangups;
mod healing;
mod model;
mod neighbours;
mod oracle;
mod pooler;
mod random;
mod reads;
mod refusals;
mod setup;
mod texts;
mod time;
mod tokens;
mod turns;
mod world;
