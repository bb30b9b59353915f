//! What is wrong with a document, as the author reads it: a text, and every mistake with its place and its remedy.

mod alerts;
mod documents;
mod shown;
mod slis;
mod slos;
mod sources;
