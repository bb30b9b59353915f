//! OpenSLO documents → what to measure
//!
//! Documents of OpenSLO v1, with a metric source and conditions of ours, checked as a whole: all mistakes come out at
//! once, each with its place and a remedy. A [`Bundle`] is all of them by one hash. What can't be honoured is refused,
//! never ignored. Must never know: files, Kafka, clocks, how a stage counts.

mod openslo;
pub use openslo::{Checked, GOLDEN_NAMES, SchemaFile};

mod bundle;
pub use bundle::{Bundle, BundleSettings, SeriesKey};

mod model;
pub use model::{
    Aggregate, Bounds, DataSource, Definitions, Empty, Failures, Format, Label, Measure, Rule, Service, Share, Sli,
    Slice, WriterSchema,
};

mod objective;
pub use objective::{Budgeting, CalendarUnit, Slo, TimeWindow};

mod alarm;
pub use alarm::{AlertCondition, AlertRule, NotificationTarget};

mod mistake;
pub use mistake::Mistake;

mod scalar;
pub use scalar::{duration_text, duration_us, millionths, share};

mod yaml;
