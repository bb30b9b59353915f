//! What a scenario must satisfy beyond its types. Each refusal says where, what, and what would do.

use crate::latency::LATENCY_US_MAX;
use crate::scenario::{Fault, KEYS_MAX, Latency, SERIES_MAX, Scenario, ScenarioError, Service};

/// Records carry names; a stage rejects much longer ones.
const NAME_BYTES_MAX: usize = 200;
/// One leap year.
const SECS_MAX: f64 = 366.0 * 86_400.0;

pub(crate) fn number(path: &str, value: f64, min: f64, max: f64) -> Result<(), ScenarioError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(invalid(path, value, format!("must be from {min} to {max}")))
}

fn share(path: &str, value: f64) -> Result<(), ScenarioError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(invalid(path, value, "a share must be from 0 to 1 (0.05 is 5%)"))
}

fn weight(path: &str, value: f64) -> Result<(), ScenarioError> {
    number(path, value, 1e-6, 1e9)
}

fn name(path: &str, value: &str) -> Result<(), ScenarioError> {
    if (1..=NAME_BYTES_MAX).contains(&value.len()) {
        return Ok(());
    }
    Err(invalid(path, format!("{value:?}"), format!("must have 1 to {NAME_BYTES_MAX} bytes")))
}

/// Names of one list: present, and none twice.
fn names<'a>(path: &str, values: impl Iterator<Item = &'a str>) -> Result<(), ScenarioError> {
    let mut seen = std::collections::BTreeSet::new();
    for value in values {
        name(path, value)?;
        if !seen.insert(value) {
            return Err(invalid(path, format!("{value:?}"), "stands twice; give each one name"));
        }
    }
    if seen.is_empty() { Err(invalid(path, "empty", "needs at least one entry")) } else { Ok(()) }
}

fn percentiles(path: &str, p50_us: u64, p95_us: u64) -> Result<(), ScenarioError> {
    number(&format!("{path}.p50_us"), p50_us as f64, 1.0, LATENCY_US_MAX as f64)?;
    if (p50_us..=LATENCY_US_MAX).contains(&p95_us) {
        return Ok(());
    }
    Err(invalid(format!("{path}.p95_us"), p95_us, format!("must be from p50_us ({p50_us}) to {LATENCY_US_MAX}")))
}

fn latency(path: &str, latency: &Latency) -> Result<(), ScenarioError> {
    percentiles(path, latency.p50_us, latency.p95_us)?;
    let Some(slow) = &latency.slow else { return Ok(()) };
    share(&format!("{path}.slow.share"), slow.share)?;
    percentiles(&format!("{path}.slow"), slow.p50_us, slow.p95_us)
}

fn invalid(path: impl Into<String>, value: impl ToString, remedy: impl Into<String>) -> ScenarioError {
    ScenarioError::Invalid { path: path.into(), value: value.to_string(), remedy: remedy.into() }
}

impl Scenario {
    pub(crate) fn check(&self) -> Result<(), ScenarioError> {
        name("name", &self.name)?;
        number("duration_secs", self.duration_secs as f64, 1.0, SECS_MAX)?;
        number("partitions", f64::from(self.partitions), 1.0, 10_000.0)?;
        share("without_latency_share", self.without_latency_share)?;
        self.rate.check()?;
        if let Some(keys) = &self.keys {
            number("keys.distinct", f64::from(keys.distinct), 1.0, f64::from(KEYS_MAX))?;
            number("keys.zipf_exponent", keys.zipf_exponent, 0.0, 5.0)?;
        }
        for (path, list) in [("tenants", &self.tenants), ("regions", &self.regions)] {
            if list.is_empty() {
                continue;
            }
            names(&format!("{path}[].name"), list.iter().map(|entry| entry.name.as_str()))?;
            for (index, entry) in list.iter().enumerate() {
                weight(&format!("{path}[{index}].weight"), entry.weight)?;
            }
        }
        names("services[].service", self.services.iter().map(|service| service.service.as_str()))?;
        for (index, service) in self.services.iter().enumerate() {
            service.check(&format!("services[{index}]"))?;
        }
        for (index, fault) in self.faults.iter().enumerate() {
            self.check_fault(&format!("faults[{index}].{}", fault.kind()), fault)?;
        }
        self.check_series()?;
        self.check_shares()
    }

    fn check_fault(&self, path: &str, fault: &Fault) -> Result<(), ScenarioError> {
        let at = |field: &str| format!("{path}.{field}");
        let (start_secs, end_secs) = fault.span_secs();
        number(&at("duration_secs"), end_secs.saturating_sub(start_secs) as f64, 1.0, SECS_MAX)?;
        number(&at("start_secs"), start_secs as f64, 0.0, SECS_MAX)?;
        let service = match fault.service() {
            None => None,
            Some(name) => {
                let found = self.services.iter().find(|service| service.service == name);
                Some(found.ok_or_else(|| invalid(at("service"), format!("{name:?}"), "no service has that name"))?)
            }
        };
        match fault {
            Fault::BadDeployment { version, traffic_share, error_share, latency_factor, .. } => {
                name(&at("version"), version)?;
                share(&at("traffic_share"), *traffic_share)?;
                share(&at("error_share"), *error_share)?;
                number(&at("latency_factor"), *latency_factor, 0.001, 1000.0)
            }
            Fault::SlowDependency { latency_factor, error_share, .. } => {
                share(&at("error_share"), *error_share)?;
                number(&at("latency_factor"), *latency_factor, 0.001, 1000.0)
            }
            Fault::Outage { .. } => Ok(()),
            Fault::ErrorBurst { route, error_share, .. } => {
                share(&at("error_share"), *error_share)?;
                let known = |name: &String| service.is_some_and(|s| s.routes.iter().any(|route| route.route == *name));
                match route {
                    Some(name) if !known(name) => {
                        Err(invalid(at("route"), format!("{name:?}"), "the service has no such route"))
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    fn check_series(&self) -> Result<(), ScenarioError> {
        let deployments = self.faults.iter().filter(|fault| matches!(fault, Fault::BadDeployment { .. })).count();
        let per_tenant = self.services.iter().map(|service| {
            let routes: u64 = service.routes.iter().map(|route| u64::from(route.copies)).sum();
            routes * (service.versions.len() + deployments) as u64
        });
        let series = per_tenant.sum::<u64>().saturating_mul(self.tenants.len().max(1) as u64);
        if series <= SERIES_MAX {
            return Ok(());
        }
        Err(invalid(
            "services",
            format!("up to {series} series"),
            format!("at most {SERIES_MAX} fit; take fewer copies"),
        ))
    }

    fn check_shares(&self) -> Result<(), ScenarioError> {
        let mut sum = 0.0;
        for (field, value) in self.broken.shares() {
            share(&format!("broken.{field}_share"), value)?;
            sum += value;
        }
        for partition in &self.broken.garbage_partitions {
            number("broken.garbage_partitions[]", f64::from(*partition), 0.0, f64::from(self.partitions - 1))?;
        }
        let disorder = &self.disorder;
        for (field, delay) in
            [("delayed", &disorder.delayed), ("late", &disorder.late), ("too_late", &disorder.too_late)]
        {
            let Some(delay) = delay else { continue };
            share(&format!("disorder.{field}.share"), delay.share)?;
            let path = format!("disorder.{field}.delay_secs");
            number(&format!("{path}_max"), delay.delay_secs_max, 0.0, SECS_MAX)?;
            number(&format!("{path}_min"), delay.delay_secs_min, 0.0, delay.delay_secs_max)?;
            sum += delay.share;
        }
        if sum <= 1.0 {
            return Ok(());
        }
        Err(invalid(
            "disorder and broken",
            format!("{sum} in all"),
            "their shares are of all records; at most 1 in all",
        ))
    }
}

impl Service {
    fn check(&self, path: &str) -> Result<(), ScenarioError> {
        weight(&format!("{path}.weight"), self.weight)?;
        share(&format!("{path}.error_share"), self.error_share)?;
        share(&format!("{path}.client_error_share"), self.client_error_share)?;
        latency(&format!("{path}.latency"), &self.latency)?;
        names(&format!("{path}.versions[].version"), self.versions.iter().map(|v| v.version.as_str()))?;
        for (index, version) in self.versions.iter().enumerate() {
            weight(&format!("{path}.versions[{index}].weight"), version.weight)?;
        }
        let routes: Vec<String> = self.routes.iter().map(|route| format!("{} {}", route.method, route.route)).collect();
        names(&format!("{path}.routes[]"), routes.iter().map(String::as_str))?;
        for (index, route) in self.routes.iter().enumerate() {
            let path = format!("{path}.routes[{index}]");
            name(&format!("{path}.route"), &route.route)?;
            name(&format!("{path}.method"), &route.method)?;
            weight(&format!("{path}.weight"), route.weight)?;
            number(&format!("{path}.copies"), f64::from(route.copies), 1.0, SERIES_MAX as f64)?;
            share(&format!("{path}.error_share"), route.error_share.unwrap_or(0.0))?;
            if let Some(own) = &route.latency {
                latency(&format!("{path}.latency"), own)?;
            }
        }
        Ok(())
    }
}
