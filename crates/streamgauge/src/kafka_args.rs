//! How commands are told where Kafka is.

use std::collections::BTreeMap;

use anyhow::Context as _;
use streamgauge_kafka::ClientSettings;

#[derive(Debug, Clone, clap::Args)]
pub struct KafkaArgs {
    /// Kafka brokers, host:port with commas between them
    #[arg(long, env = "STREAMGAUGE_BROKERS", default_value = "127.0.0.1:9092")]
    pub brokers: String,
    /// A librdkafka property; may be repeated. Secrets belong into the environment: STREAMGAUGE_KAFKA_SASL_PASSWORD sets
    /// sasl.password, and so on
    #[arg(short = 'X', long = "kafka-property", value_name = "KEY=VALUE")]
    pub kafka_properties: Vec<String>,
}

/// Prefix of environment variables that set librdkafka properties: `_` stands for `.`.
pub const PROPERTY_PREFIX: &str = "STREAMGAUGE_KAFKA_";

/// Ours (of `scripts/kafka`), but no properties.
const NOT_PROPERTIES: [&str; 4] =
    ["STREAMGAUGE_KAFKA_DIR", "STREAMGAUGE_KAFKA_PORT", "STREAMGAUGE_KAFKA_CONTROLLER_PORT", "STREAMGAUGE_KAFKA_HEAP"];

impl KafkaArgs {
    pub fn client(&self) -> anyhow::Result<ClientSettings> {
        let mut client = ClientSettings::new(&self.brokers);
        client.properties = properties_of_environment().into_iter().map(|(key, value, _)| (key, value)).collect();
        client.properties.extend(properties_of_flags(&self.kafka_properties)?);
        client.check()?;
        Ok(client)
    }
}

/// (property, value, variable) of every variable with the prefix.
pub fn properties_of_environment() -> Vec<(String, String, String)> {
    let mut found: Vec<_> = std::env::vars()
        .filter(|(variable, _)| !NOT_PROPERTIES.contains(&variable.as_str()))
        .filter_map(|(variable, value)| {
            let key = variable.strip_prefix(PROPERTY_PREFIX)?.to_lowercase().replace('_', ".");
            Some((key, value, variable))
        })
        .collect();
    found.sort();
    found
}

pub fn properties_of_flags(flags: &[String]) -> anyhow::Result<BTreeMap<String, String>> {
    let pair = |flag: &String| {
        let (key, value) = flag.split_once('=').with_context(|| format!("-X {flag}: expected key=value"))?;
        Ok((key.to_owned(), value.to_owned()))
    };
    flags.iter().map(pair).collect()
}

/// Whether the value of a property must not be shown.
pub fn is_secret(key: &str) -> bool {
    ["password", "secret", "jaas", "key.pem", "token"].iter().any(|word| key.contains(word))
}
