//! What lies in `docker/`, as far as it can be checked without Docker: services, ports, addresses, commands, flags,
//! copied files, and the configuration, read by the stage itself.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::commands::{Helps, has_flag, program, read, root};

fn compose() -> Value {
    serde_saphyr::from_str(&read("docker/compose.yaml")).unwrap_or_else(|error| panic!("docker/compose.yaml: {error}"))
}

fn services(compose: &Value) -> BTreeMap<String, &Value> {
    let services = compose["services"].as_object().expect("docker/compose.yaml has services");
    services.iter().map(|(name, service)| (name.clone(), service)).collect()
}

fn strings(value: &Value) -> Vec<String> {
    let items = value.as_array().map_or(&[][..], Vec::as_slice);
    items.iter().map(|item| item.as_str().unwrap_or_default().to_owned()).collect()
}

fn environment(service: &Value) -> BTreeMap<String, String> {
    let variables = service["environment"].as_object().into_iter().flatten();
    variables.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

/// The value behind a flag in a command.
fn flag<'a>(command: &'a [String], name: &str) -> Option<&'a str> {
    let at = command.iter().position(|word| word == name)?;
    command.get(at + 1).map(String::as_str)
}

#[test]
fn compose_runs_commands_that_exist() {
    let compose = compose();
    let helps = Helps::default();
    let mut programs = Vec::new();
    for (name, service) in services(&compose) {
        let command = strings(&service["command"]);
        let Some(first) = command.first() else { continue };
        assert!(program(first).is_some(), "{name} runs {first}, which is none of our programs");
        assert_eq!(helps.mistake(&command), None, "the command of {name}");
        let path: Vec<String> = command.iter().take_while(|word| !word.starts_with('-')).cloned().collect();
        for variable in environment(service).keys() {
            let help = helps.of(&path);
            assert!(has_flag(&help, variable), "{name} sets {variable}, which {} does not read", path.join(" "));
        }
        programs.push(first.clone());
    }
    programs.sort();
    assert_eq!(programs, ["streamgauge", "streamgauge", "streamgauge-sli", "streamgauge-sli", "streamgauge-slo"]);
}

/// Where images of others listen that are told nothing.
const LISTENS: [(&str, &str); 1] = [("prom/alertmanager:", "9093")];

#[test]
fn compose_publishes_what_listens_and_only_on_loopback() {
    let compose = compose();
    let mut hosts = Vec::new();
    for (name, service) in services(&compose) {
        let command = strings(&service["command"]);
        let listeners = environment(service).remove("KAFKA_LISTENERS").unwrap_or_default();
        for port in strings(&service["ports"]) {
            let parts: Vec<&str> = port.split(':').collect();
            let [address, host, inside] = parts[..] else { panic!("{name}: {port}: expected address:port:port") };
            assert_eq!(address, "127.0.0.1", "{name} publishes {port} beyond loopback");
            let listens = flag(&command, "--listen").is_some_and(|listen| listen == format!("0.0.0.0:{inside}"))
                || LISTENS.iter().any(|(image, port)| {
                    *port == inside && service["image"].as_str().is_some_and(|name| name.starts_with(image))
                })
                || listeners.split(',').any(|listener| listener.ends_with(&format!("//:{inside}")));
            assert!(listens, "{name} publishes {port}, but nothing in it listens on {inside}");
            assert!(!hosts.contains(&host.to_owned()), "two services publish port {host}");
            hosts.push(host.to_owned());
            let test = strings(&service["healthcheck"]["test"]).join(" ");
            assert!(
                !test.contains("/dev/tcp/") || test.contains(&format!("/{inside} ")),
                "{name} checks another port than {inside}"
            );
        }
        for other in service["depends_on"].as_object().into_iter().flatten() {
            let Some(other_service) = compose["services"].get(other.0) else { panic!("{name} depends on {}", other.0) };
            if other.1["condition"] == "service_healthy" {
                assert!(other_service["healthcheck"].is_object(), "{name} waits for the health of {}", other.0);
            }
        }
    }
    assert_eq!(hosts, ["9093", "9484", "9092", "9464", "9465", "9474"]);
}

#[test]
fn compose_addresses_kafka_where_it_is() {
    let compose = compose();
    let services = services(&compose);
    let kafka = environment(services["kafka"]);
    let advertised: Vec<&str> = kafka["KAFKA_ADVERTISED_LISTENERS"]
        .split(',')
        .filter_map(|listener| listener.split_once("://"))
        .map(|(_, at)| at)
        .collect();
    for (name, service) in &services {
        if let Some(brokers) = environment(service).get("STREAMGAUGE_BROKERS") {
            assert!(
                advertised.contains(&brokers.as_str()),
                "{name} looks for Kafka at {brokers}; it is at {advertised:?}"
            );
        }
    }
    let listeners = |key: &str| -> Vec<String> {
        kafka[key].split(',').map(|listener| listener.split(':').next().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(listeners("KAFKA_LISTENERS"), listeners("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"));
    // The versions that the tests run against.
    let image = services["alertmanager"]["image"].as_str().unwrap_or_default();
    let version = image.split(':').nth(1).unwrap_or_default();
    assert!(read(".ci/run").contains(&format!("ALERTMANAGER_VERSION={version}\n")), "{image}");
    let script = read("scripts/kafka");
    let version = script.lines().find_map(|line| line.strip_prefix("readonly KAFKA_VERSION=")).unwrap_or_default();
    assert_eq!(services["kafka"]["image"], format!("apache/kafka:{version}"));
}

#[test]
fn instances_have_ordinals_of_their_own() {
    let compose = compose();
    let mut ordinals: Vec<(String, String)> = Vec::new();
    for (name, service) in services(&compose) {
        let command = strings(&service["command"]);
        if let Some(stage) = command.first().filter(|program| program.starts_with("streamgauge-")) {
            let ordinal = flag(&command, "--ordinal").unwrap_or_else(|| panic!("{name} has no --ordinal"));
            let instance = (stage.to_owned(), ordinal.to_owned());
            assert!(!ordinals.contains(&instance), "{name}: ordinal {ordinal} is taken");
            ordinals.push(instance);
        }
    }
    let instances = [("streamgauge-sli", "0"), ("streamgauge-sli", "1"), ("streamgauge-slo", "0")];
    assert_eq!(ordinals, instances.map(|(stage, ordinal)| (stage.to_owned(), ordinal.to_owned())));
}

/// People begin with what is shipped: it holds no mistake, and nothing that is warned of.
#[test]
fn shipped_definitions_are_valid_as_a_whole() {
    for directory in ["docker/definitions", "examples/definitions"] {
        is_valid_as_a_whole(directory);
    }
}

fn is_valid_as_a_whole(directory: &str) {
    let output = Command::new(program("streamgauge").expect("one of our programs"))
        .args(["validate", "--deny-warnings", directory])
        .current_dir(root())
        .output()
        .expect("our programs can be run");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!shown.contains("warning"), "{shown}");
}

/// The stages read their files in `docker/` with the flags that compose gives it, and says where each setting comes from.
#[test]
fn the_stages_accept_their_configurations() {
    let compose = compose();
    for (name, file) in [("sli-0", "docker/sli.yaml"), ("sli-1", "docker/sli.yaml"), ("slo-0", "docker/slo.yaml")] {
        let service = &compose["services"][name];
        let command = strings(&service["command"]);
        let output = Command::new(program(&command[0]).expect("one of our programs"))
            .args(&command[1..])
            .arg("--print-config")
            .envs(environment(service))
            .current_dir(root())
            .output()
            .expect("our programs can be run");
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let origin = |setting: &str| {
            let line = shown.lines().find(|line| line.split_whitespace().next() == Some(setting));
            line.and_then(|line| line.split_whitespace().last()).unwrap_or_default().to_owned()
        };
        assert_eq!(origin("brokers"), "STREAMGAUGE_BROKERS");
        assert_eq!(origin("ordinal"), "--ordinal");
        assert_eq!(origin("listen"), "--listen");
        for line in read(file).lines().filter(|line| !line.starts_with('#')) {
            let Some((key, _)) = line.split_once(':') else { continue };
            let from = origin(key);
            assert!(
                from == file || ["brokers", "listen"].contains(&key),
                "{key} of {file} is shown as coming from {from:?}:\n{shown}"
            );
        }
    }
}

/// The files say of themselves that they hold the defaults.
#[test]
fn the_configurations_hold_the_defaults() {
    for (stage, file) in [("streamgauge-sli", "docker/sli.yaml"), ("streamgauge-slo", "docker/slo.yaml")] {
        holds_the_defaults(stage, file);
    }
}

fn holds_the_defaults(stage: &str, file: &str) {
    let show = |arguments: &[&str]| -> BTreeMap<String, String> {
        let output = Command::new(program(stage).expect("one of our programs"))
            .args(arguments)
            .arg("--print-config")
            .current_dir(root())
            .output()
            .expect("our programs can be run");
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        let pair = |line: &str| {
            let mut words = line.split_whitespace();
            Some((words.next()?.to_owned(), words.next()?.to_owned()))
        };
        shown.lines().filter_map(pair).collect()
    };
    let (with_file, without) = (show(&["--config", file]), show(&[]));
    for line in read(file).lines().filter(|line| !line.starts_with('#')) {
        let Some((key, _)) = line.split_once(':') else { continue };
        if key != "definitions" {
            assert_eq!(with_file.get(key), without.get(key), "{key} of {file} is not the default");
        }
    }
}

/// The code blocks of a document in one language.
fn blocks(file: &str, language: &str) -> Vec<String> {
    let text = read(file);
    let parts = text.split("```").skip(1).step_by(2);
    parts.filter_map(|part| part.strip_prefix(language)).map(str::to_owned).collect()
}

#[test]
fn the_documents_show_the_configuration_that_compose_uses() {
    let parse = |text: &str| serde_saphyr::from_str::<Value>(text).unwrap_or_else(|error| panic!("{error}:\n{text}"));
    let blocks = blocks("docs/operations.md", "yaml\n");
    assert_eq!(blocks.len(), 2, "docs/operations.md shows a configuration for each stage");
    for (block, file) in blocks.iter().zip(["docker/sli.yaml", "docker/slo.yaml"]) {
        assert_eq!(parse(block), parse(&read(file)), "docs/operations.md (left) and {file}");
    }
}

#[test]
fn the_definitions_in_documents_are_valid() {
    let blocks = blocks("docs/definitions.md", "yaml\n");
    assert!(!blocks.is_empty(), "docs/definitions.md shows definitions");
    for block in blocks {
        let read = streamgauge_definitions::Definitions::of_text("docs/definitions.md", &block);
        assert_eq!(read.err(), None);
    }
}

/// Metrics in documents, without their `_total`, are names in the source.
#[test]
fn the_metrics_in_documents_exist() {
    let source = read("crates/streamgauge/src/serve/metrics.rs") + &read("crates/streamgauge/src/slo/figures.rs");
    let source = source + &read("crates/streamgauge/src/alertmanager_push/figures.rs");
    let page = read("docs/operations.md") + &read("docs/alertmanager.md");
    for name in page.split('`').skip(1).step_by(2).filter_map(|span| span.strip_prefix("streamgauge_")) {
        let bare = name.strip_suffix("_total").unwrap_or(name);
        assert!(source.contains(&format!("\"{bare}\"")), "a page names streamgauge_{name}, which is no metric");
    }
}

#[test]
fn the_image_copies_what_exists_and_runs_without_rights() {
    let text = read("docker/Dockerfile");
    let instructions: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    let of = |name: &str| instructions.iter().filter(|words| words.first() == Some(&name)).collect::<Vec<_>>();
    let stages: Vec<&str> = of("FROM").iter().filter_map(|words| words.get(3).copied()).collect();
    for copy in of("COPY") {
        let from = copy.iter().find_map(|word| word.strip_prefix("--from="));
        let paths: Vec<&&str> = copy[1..].iter().filter(|word| !word.starts_with("--")).collect();
        for path in &paths[..paths.len() - 1] {
            match from {
                Some(stage) => {
                    assert!(stages.contains(&stage), "there is no stage {stage}");
                    let name = path.rsplit('/').next().unwrap_or_default();
                    assert!(program(name).is_some(), "{path} is none of our programs");
                }
                None => assert!(root().join(path).exists(), "docker/Dockerfile copies {path}, which does not exist"),
            }
        }
    }
    let user = of("USER").last().and_then(|words| words.get(1).copied()).unwrap_or("root");
    assert!(!user.starts_with("root") && !user.starts_with('0'), "the image runs as {user}");
    let build =
        of("RUN").iter().map(|words| words.join(" ")).find(|line| line.contains("cargo build")).expect("it builds");
    let profile = build.split("--profile ").nth(1).and_then(|rest| rest.split(' ').next()).expect("with a profile");
    assert!(read("Cargo.toml").contains(&format!("[profile.{profile}]")), "Cargo.toml has no profile {profile}");
    let compose = compose();
    assert_eq!(compose["services"]["sli-0"]["build"]["dockerfile"], "docker/Dockerfile");
}
