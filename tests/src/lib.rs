//! What the end-to-end tests share: the fault simulator and the truth that results are held against; a real broker and
//! the processes that are killed on it.

pub mod chaos;
pub mod clock;
pub mod cluster;
pub mod oracle;
pub mod real_data;
pub mod sim;
