//! Clean records to begin with: the examples of the schemas, and how some producers write them.

const EXAMPLES: [&str; 6] = [
    include_str!("../../../../schemas/request.example.jsonl"),
    include_str!("../../../../schemas/request.rejected.example.jsonl"),
    include_str!("../../../../schemas/score.example.jsonl"),
    include_str!("../../../../schemas/score.rejected.example.jsonl"),
    include_str!("../../../../schemas/resource.example.jsonl"),
    include_str!("../../../../schemas/resource.rejected.example.jsonl"),
];

/// Every line of every example, and with blanks as Python writes them, and over several lines.
pub fn json() -> Vec<Vec<u8>> {
    let mut records: Vec<Vec<u8>> = EXAMPLES.iter().flat_map(|file| file.lines()).map(|line| line.into()).collect();
    let spaced = |line: &Vec<u8>| {
        let text = String::from_utf8_lossy(line);
        (text.replace("\":", "\": ").replace(",\"", ", \""), text.replace("\":", "\" :\t").replace(",\"", ",\n  \""))
    };
    let more: Vec<(String, String)> = records.iter().map(spaced).collect();
    records.extend(more.into_iter().flat_map(|(one, other)| [one.into_bytes(), other.into_bytes()]));
    records.extend([&b""[..], b"{}", b"[]", b"null", b" "].map(Vec::from));
    records
}
