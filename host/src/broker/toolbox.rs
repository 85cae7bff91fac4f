//! Tools of other modules. What may be called, and how, is decided where modules
//! are known (`offers/toolbox`); a call carries the way there.

pub mod host;
