//! Alerts → Alertmanager: every body by its OpenAPI description, a receiver of our own that may be away, a real Kafka, and a real
//! Alertmanager.

mod bodies;
mod on_kafka;
mod posts;
mod real;
mod receiver;
mod rules;
