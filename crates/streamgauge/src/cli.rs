//! The table of commands. Each lives in the module of its name.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

/// Exact, auditable SLIs from the events that you already send to Kafka.
#[derive(Parser)]
#[command(name = "streamgauge", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(crate::demo::DemoArgs),
    Backfill(crate::backfill::BackfillArgs),
    Import(crate::import::ImportArgs),
    /// Propose a mapping for a file, and try one out
    Mapping(crate::mapping::MappingArgs),
    Load(crate::load::LoadArgs),
    Verify(crate::verify::VerifyArgs),
    /// Compare Kafka's topics with the topic table, and set them up
    Topics(crate::topics::TopicsArgs),
    Validate(crate::validate::ValidateArgs),
    Eval(crate::eval::EvalArgs),
    Windows(crate::windows::WindowsArgs),
    Status(crate::status::StatusArgs),
    Backtest(crate::backtest::BacktestArgs),
    Explain(crate::explain::ExplainArgs),
    Sla(crate::sla::SlaArgs),
    Gate(crate::gate::GateArgs),
    Override(crate::overrides::OverrideArgs),
    Audit(crate::audit::AuditArgs),
    /// Print dashboards that are made of definitions
    Dashboard(crate::dashboard::DashboardArgs),
    AlertmanagerPush(crate::alertmanager_push::PushArgs),
    /// Print a completion script: add it to your shell's completions
    Completions {
        shell: clap_complete::Shell,
    },
    /// Print the manual page in roff
    #[command(hide = true)]
    Man,
}

/// Bad usage, bad configuration, bad definitions.
pub const EXIT_USAGE: u8 = 2;

/// What the caller has to correct: nothing was started. Ends with [`EXIT_USAGE`], as a flag does that doesn't exist.
#[derive(Debug)]
struct BadUsage(anyhow::Error);

impl std::error::Error for BadUsage {}

impl std::fmt::Display for BadUsage {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

pub fn bad_usage(error: impl Into<anyhow::Error>) -> anyhow::Error {
    BadUsage(error.into()).into()
}

pub fn is_bad_usage(error: &anyhow::Error) -> bool {
    error.is::<BadUsage>()
}

pub fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("streamgauge: {error:#}");
            ExitCode::from(if is_bad_usage(&error) { EXIT_USAGE } else { 1 })
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(args) => crate::demo::run(args),
        Command::Backfill(args) => crate::backfill::run(args),
        Command::Import(args) => crate::import::run(args),
        Command::Mapping(args) => crate::mapping::run(args),
        Command::Load(args) => crate::load::run(args),
        Command::Verify(args) => crate::verify::run(args),
        Command::Topics(args) => crate::topics::run(args),
        Command::Validate(args) => crate::validate::run(args),
        Command::Eval(args) => crate::eval::run(args),
        Command::Windows(args) => crate::windows::run(args),
        Command::Status(args) => crate::status::run(args),
        Command::Backtest(args) => crate::backtest::run(args),
        Command::Explain(args) => crate::explain::run(args),
        Command::Sla(args) => crate::sla::run(args),
        Command::Gate(args) => crate::gate::run(args),
        Command::Override(args) => crate::overrides::run(args),
        Command::Audit(args) => crate::audit::run(args),
        Command::Dashboard(args) => crate::dashboard::run(args),
        Command::AlertmanagerPush(args) => crate::alertmanager_push::run(args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "streamgauge", &mut script);
            print_bytes(&script)
        }
        Command::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            print_bytes(&page)
        }
    }
}

/// Stops quietly when the reader has gone (`| head`).
fn print_bytes(bytes: &[u8]) -> anyhow::Result<ExitCode> {
    match std::io::stdout().lock().write_all(bytes) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
