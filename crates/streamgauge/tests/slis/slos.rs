//! Promises about SLIs, and traffic that keeps or breaks them.

use crate::program::{Files, documents};

/// 2026-01-05T10:00:00Z.
const START_US: i64 = 1_767_607_200_000_000;

/// Requests of checkout, minute by minute: (minutes, requests a minute, bad ones among them).
pub fn traffic(parts: &[(usize, i64, i64)]) -> String {
    let mut lines = String::new();
    let minutes = parts.iter().flat_map(|(minutes, requests, bad)| std::iter::repeat_n((*requests, *bad), *minutes));
    for (minute, (requests, bad)) in (0..).zip(minutes) {
        for request in 0..requests {
            let ts = START_US + minute * 60_000_000 + request * 60_000_000 / requests;
            let status = if request < bad { 503 } else { 200 };
            lines += &format!(
                "{{\"ts\":{ts},\"service\":\"checkout\",\"status\":{status},\"latency_us\":1000,\"trace_id\":\"m{minute}r{request}\"}}\n"
            );
        }
    }
    lines
}

/// SLOs of checkout: (name, SLI, target).
pub fn slos(slos: &[(&str, &str, &str)]) -> String {
    let mut text = documents(
        "checkout",
        &[
            ("ok", "topic: requests, good: status < 500"),
            ("rare", "topic: requests, filter: status == 418, good: status < 500"),
        ],
    );
    for (name, sli, target) in slos {
        text += &format!(
            "---\napiVersion: openslo/v1\nkind: SLO\nmetadata: {{name: {name}}}\nspec:\n  service: checkout\n  indicatorRef: {sli}\n  \
             budgetingMethod: Occurrences\n  timeWindow: [{{duration: 30d, isRolling: true}}]\n  objectives: [{{target: {target}}}]\n"
        );
    }
    text
}

/// Counted into `out`, by `slos.yaml`.
pub fn counted(parts: &[(usize, i64, i64)], promises: &[(&str, &str, &str)]) -> Files {
    let files = Files::new(&[("slos.yaml", &slos(promises)), ("events.jsonl", &traffic(parts))]);
    let backfill = "backfill --quiet --event request --input events.jsonl --definitions slos.yaml --out out";
    assert_eq!(files.run(backfill, ""), "0\n");
    files
}
