//! What documents, help texts, scripts and compose say about our commands is true: each command and each flag is looked
//! up in the program itself.

mod commands;
mod docker;
mod sli_pages;
