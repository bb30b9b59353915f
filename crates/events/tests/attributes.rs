//! An attribute is found whatever stands beside it.

use streamgauge_events::{Event, Kind};

#[test]
fn a_name_that_is_no_text_hides_no_other_attribute() {
    for attributes in
        [r#"{"plan":"gold","\ud800":1}"#, r#"{"\ud800":1,"plan":"gold"}"#, r#"{"x":"\ud800","plan":"gold"}"#]
    {
        let record = format!(r#"{{"ts":1,"service":"a","attributes":{attributes}}}"#);
        let event = Event::from_json(Kind::Request, record.as_bytes()).expect("it is accepted");
        assert_eq!(event.attributes.get("plan").as_deref(), Some("gold"), "{attributes}");
    }
}
