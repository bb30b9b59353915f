//! A directory of files, and what our program prints in it.

use std::io::Write as _;
use std::process::{Command, Stdio};

use expect_test::Expect;

pub struct Files(tempfile::TempDir);

impl Files {
    /// (name, content) each; names may have directories.
    pub fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a place for temporary files");
        for (name, content) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a file lies somewhere"))
                .expect("a place for temporary files");
            std::fs::write(path, content).expect("a place for temporary files");
        }
        Self(directory)
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// The exit code, then standard output, then standard error behind `---` if there is any.
    pub fn run(&self, command: &str, input: &str) -> String {
        let mut child = Command::new(env!("CARGO_BIN_EXE_streamgauge"))
            .args(command.split_whitespace())
            .current_dir(self.0.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("our programs can be run");
        // Who does not read it closes it: nothing to be said about that.
        drop(child.stdin.take().expect("it is piped").write_all(input.as_bytes()));
        let output = child.wait_with_output().expect("our programs end");
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            text.lines().map(|line| format!("{}\n", line.trim_end())).collect::<String>()
        };
        let (out, error) = (text(&output.stdout), text(&output.stderr));
        let code = output.status.code().unwrap_or(-1);
        if error.is_empty() { format!("{code}\n{out}") } else { format!("{code}\n{out}---\n{error}") }
    }

    #[track_caller]
    pub fn check(&self, command: &str, expected: Expect) {
        expected.assert_eq(&self.run(command, ""));
    }
}

/// A service and its SLIs: (name, `spec` of the metric source).
pub fn documents(service: &str, slis: &[(&str, &str)]) -> String {
    let metadata = format!("{{name: {service}, labels: {{owner: us}}}}");
    let mut text = format!("apiVersion: openslo/v1\nkind: Service\nmetadata: {metadata}\nspec: {{}}\n");
    for (name, spec) in slis {
        let source = format!("{{metricSource: {{type: streamgauge, spec: {{service: {service}, {spec}}}}}}}");
        let metric = match spec.contains("slice:") {
            true => format!("thresholdMetric: {source}"),
            false => format!("ratioMetric: {{counter: true, rawType: success, raw: {source}}}"),
        };
        text += &format!("---\napiVersion: openslo/v1\nkind: SLI\nmetadata: {{name: {name}}}\nspec: {{{metric}}}\n");
    }
    text
}
