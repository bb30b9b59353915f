//! The house: what is promised about the shape of this repository, rather than about results.

mod architecture;
mod documents;
mod example_files;
mod shipped_files;
mod tree;
