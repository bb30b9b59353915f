//! What is no predicate: the message, the column and the remedy.

use expect_test::{Expect, expect};
use streamgauge_events::Kind;
use streamgauge_predicate::Predicate;

/// A line of the text, a line for each error.
#[track_caller]
fn check(kind: Kind, texts: &[&str], expected: Expect) {
    let mut shown = String::new();
    for text in texts {
        let errors = Predicate::compile(text, kind).expect_err(text);
        shown.push_str(&format!("{text}\n"));
        for error in errors {
            assert!(text.is_char_boundary(error.at), "{text}: {error:?}");
            shown.push_str(&format!("    {error}\n"));
        }
    }
    expected.assert_eq(&shown);
}

#[test]
fn grammar() {
    check(
        Kind::Request,
        &[
            "",
            "status <",
            "status = 500",
            "status === 500",
            "status <> 500",
            "ok & route == '/a'",
            "ok | route == '/a'",
            "ok and status < 500",
            "ok OR status < 500",
            "not ok",
            "status < 500 ok",
            "1 < status < 500",
            "(status < 500",
            "status < 500)",
            "route in ['/a', '/b'",
            "route in ['/a' '/b']",
            "route == '/a",
            "route == '''a'''",
            "route == “/a”",
            "route == '\\d'",
            "route == '\\u12'",
            "route == 'a\\400'",
            "route == b'a'",
            "route =~ '^/a'",
            "route like '/a%'",
            "status between 1 and 2",
            "status is 5",
            "latency_us < 300ms",
            "latency_us < 5s",
            "status == 1u",
            "status == 9223372036854775808",
            "status == -9223372036854775809",
            "status == 99999999999999999999",
            "status ≥ 500",
            "status == -",
            "status. == 5",
            "ok ? true",
            "attributes.in == 'a'",
            "in ['a']",
            "{'a': 1}",
            "ok;",
            "$ok",
        ],
        expect![[r#"

                expected a condition, found the end (at column 1). Write a condition, such as status < 500; true means every event
            status <
                expected a condition, found the end (at column 9). Complete the condition
            status = 500
                = is no operator here (at column 8). Write == for equality
            status === 500
                === is no operator here (at column 8). Write == for equality
            status <> 500
                <> is no operator here (at column 8). Write != for inequality
            ok & route == '/a'
                & is no operator here (at column 4). Write && for "and"
            ok | route == '/a'
                | is no operator here (at column 4). Write || for "or"
            ok and status < 500
                and can't follow here (at column 4). Write && for "and"
            ok OR status < 500
                OR can't follow here (at column 4). Write || for "or"
            not ok
                not is no operator here (at column 1). Write ! for "not"
            status < 500 ok
                ok can't follow here (at column 14). Join conditions by && or ||; texts stand in quotes
            1 < status < 500
                < compares a comparison (at column 1). Comparisons don't chain: write 1 < status && status < 500
            (status < 500
                expected ), found the end (at column 14). Close the parenthesis with )
            status < 500)
                ) can't follow here (at column 13). Take it out, or open it before
            route in ['/a', '/b'
                expected ], found the end (at column 21). Close the list with ]
            route in ['/a' '/b']
                expected a comma, found "/b" (at column 16). Separate entries by commas
            route == '/a
                this text has no closing quote (at column 10). Close it with '; a new line in a text is written \n
            route == '''a'''
                triple quotes are not part of the language (at column 10). Write one quote, and \n for a new line
            route == “/a”
                '“' has no meaning here (at column 10). Write straight quotes: " or '
            route == '\d'
                \d is no escape (at column 11). Write \\ for a backslash, or r"..." for a text without escapes
            route == '\u12'
                \u is no escape (at column 11). Four hexadecimal digits of a character stand behind it: \u00e9
            route == 'a\400'
                \4 is no escape (at column 12). Three octal digits up to \377 stand behind the backslash: \057
            route == b'a'
                bytes are not part of the language (at column 10). Write a text, without the b
            route =~ '^/a'
                =~ is no operator here (at column 7). Write field.matches("pattern")
            route like '/a%'
                like can't follow here (at column 7). Write a call, such as route.startsWith("/pay")
            status between 1 and 2
                between can't follow here (at column 8). Write two comparisons: a >= 1 && a <= 2
            status is 5
                is can't follow here (at column 8). Write == for equality
            latency_us < 300ms
                300ms is no number (at column 14). Numbers have no units; latency_us is in microseconds: write 300000
            latency_us < 5s
                5s is no number (at column 14). Numbers have no units; latency_us is in microseconds: write 5000000
            status == 1u
                1u is no number (at column 11). Write 1: integers have no suffix
            status == 9223372036854775808
                9223372036854775808 is no integer of 64 bits (at column 11). Write one from -9223372036854775808 to 9223372036854775807
            status == -9223372036854775809
                9223372036854775809 is no integer of 64 bits (at column 11). Write one from -9223372036854775808 to 9223372036854775807
            status == 99999999999999999999
                99999999999999999999 is no integer of 64 bits (at column 11). Write one from -9223372036854775808 to 9223372036854775807
            status ≥ 500
                '≥' has no meaning here (at column 8). Write >=
            status == -
                expected a condition, found the end (at column 12). Complete the condition
            status. == 5
                expected a name, found == (at column 9). Write attributes.name, or a call such as route.startsWith("/pay")
            ok ? true
                expected :, found the end (at column 10). Write condition ? a : b
            attributes.in == 'a'
                in is a word of the language, which can't stand behind a dot (at column 12). Write attributes["in"]
            in ['a']
                in needs something before it (at column 1). Write field in [a, b]
            {'a': 1}
                { is no operator here (at column 1). Maps are not part of the language; lists are written ["a", "b"]
            ok;
                ; is no operator here (at column 3). Write one expression; join conditions by && or ||
            $ok
                '$' has no meaning here (at column 1). Write the name of the field alone
        "#]],
    );
}

#[test]
fn types() {
    check(
        Kind::Request,
        &[
            "status",
            "route",
            "5",
            "'a'",
            "status < '500'",
            "'500' > status",
            "route == 5",
            "route == true",
            "ok == 1",
            "ok == 'true'",
            "ok < true",
            "status == ok",
            "route == '/a' || '/b'",
            "status == 500 || 502",
            "!status",
            "-route == 'a'",
            "route + 'a' == 'b'",
            "ok + 1 == 2",
            "status + 0.5 > 3.0",
            "status in ['500']",
            "route in ['/a', 5, ok, method]",
            "ok in [true]",
            "route in '/a'",
            "route in tenant",
            "status in attributes",
            "(ok ? 1 : 'a') == 1",
            "(ok ? 1 : 1.5) == 1",
            "status == null",
            "['a'] == ['b']",
            "status < 'a' && route == 5 && nothing > 1",
        ],
        expect![[r#"
            status
                status is an integer, no condition (at column 1). Compare it: status > 0
            route
                route is a text, no condition (at column 1). Compare it: route == "..."
            5
                5 is an integer, no condition (at column 1). Compare a field with it: status == 5
            'a'
                'a' is a text, no condition (at column 1). Compare a field with it: service == 'a'
            status < '500'
                status is an integer, '500' is a text (at column 10). Write 500, without quotes
            '500' > status
                status is an integer, '500' is a text (at column 1). Write 500, without quotes
            route == 5
                route is a text, 5 is an integer (at column 10). Write "5", in quotes
            route == true
                route is a text, true is a condition (at column 10). Write "true", in quotes
            ok == 1
                ok is a condition, 1 is an integer (at column 7). Write ok or !ok alone
            ok == 'true'
                ok is a condition, 'true' is a text (at column 7). Write ok or !ok alone
            ok < true
                conditions have no order, so < can't stand here (at column 1). Compare conditions by == or !=
            status == ok
                status is an integer, ok is a condition (at column 11). Compare status with an integer
            route == '/a' || '/b'
                '/b' is a text, no condition (at column 18). Repeat what it is compared with: route == '/b', or write route in [..]
            status == 500 || 502
                502 is an integer, no condition (at column 18). Repeat what it is compared with: status == 502, or write status in [..]
            !status
                status is an integer, no condition (at column 2). Compare it: status > 0
            -route == 'a'
                - needs a number, route is a text (at column 1). Write - before numbers, ! before conditions
            route + 'a' == 'b'
                + takes integers, route is a text (at column 1). Compare texts by ==, in, startsWith, endsWith, contains or matches
            ok + 1 == 2
                + takes integers, ok is a condition (at column 1). Write condition ? 1 : 0 to count a condition
            status + 0.5 > 3.0
                + takes integers, 0.5 is a decimal number (at column 10). Compare it with a literal, and do the arithmetic beforehand
            status in ['500']
                status is looked for among integers, '500' is none (at column 12). Write integers only
            route in ['/a', 5, ok, method]
                route is looked for among texts in quotes, 5 is none (at column 17). Write texts in quotes only
                route is looked for among texts in quotes, ok is none (at column 20). Lists hold literals: write route == ok beside it, joined by ||
                route is looked for among texts in quotes, method is none (at column 24). Lists hold literals: write route == method beside it, joined by ||
            ok in [true]
                ok is a condition, which stands in no list (at column 1). Write the condition alone, or ! before it
            route in '/a'
                in needs a list, '/a' is none (at column 10). Write in ['/a']
            route in tenant
                in needs a list, tenant is none (at column 10). Write route == tenant
            status in attributes
                status is no name of an attribute (at column 1). Write the name itself, in quotes: "plan" in attributes
            (ok ? 1 : 'a') == 1
                both sides of : have one type, 1 is an integer and 'a' is a text (at column 7). Give both sides the same type
            (ok ? 1 : 1.5) == 1
                both sides of : have one type, 1 is an integer and 1.5 is a decimal number (at column 7). Write integers with a point where the other side is decimal: 1.0
            status == null
                null can't be compared with (at column 11). A comparison with an absent field is undecided by itself; ask for an attribute by has(attributes.name)
            ['a'] == ['b']
                a list can't stand here (at column 1). Lists stand behind in: route in ["/a", "/b"]
                a list can't stand here (at column 10). Lists stand behind in: route in ["/a", "/b"]
            status < 'a' && route == 5 && nothing > 1
                status is an integer, 'a' is a text (at column 10). Compare status with an integer
                route is a text, 5 is an integer (at column 26). Write "5", in quotes
                a request has no field nothing (at column 31). Write "nothing" in quotes if it is a text, attributes.nothing if it is an attribute; a request has service, event_id, tenant, route, method, status, ok, latency_us, version, environment, region, trace_id, attributes
        "#]],
    );
}

#[test]
fn names_and_calls() {
    check(
        Kind::Request,
        &[
            "statsu < 500",
            "latency_ms < 300",
            "path == '/a'",
            "error",
            "value > 0.5",
            "nothing == 1",
            "checkout == service",
            "ts > 5",
            "request.status < 500",
            "request.code < 500",
            "event.plan == 'gold'",
            "route.length > 5",
            "attributes == 'a'",
            "attributes[0] == 'a'",
            "attributes[route] == 'a'",
            "attributes.a.b == 'c'",
            "route[0] == '/'",
            "attributes.plan == 5",
            "has(route)",
            "has(attributes['plan'])",
            "has(attributes)",
            "has()",
            "startsWith(route, '/a')",
            "route.startswith('/a')",
            "route.starts_with('/a')",
            "route.startsWith(5)",
            "status.startsWith('5')",
            "route.contains('a', 'b')",
            "route.matches(method)",
            "route.matches('(')",
            "route.matches('\\\\p{L}')",
            "int(status) == 5",
            "duration('5s') > 5",
            "['a'].exists(x, x == route)",
            "route.lowerAscii() == '/a'",
            "len(route) == 5",
            "size(status) == 5",
        ],
        expect![[r#"
            statsu < 500
                a request has no field statsu (at column 1). Write status
            latency_ms < 300
                a request has no field latency_ms (at column 1). Write latency_us, in microseconds
            path == '/a'
                a request has no field path (at column 1). Write route
            error
                a request has no field error (at column 1). Write !ok
            value > 0.5
                a request has no field value (at column 1). It is a field of the kind score and of resource; a request has service, event_id, tenant, route, method, status, ok, latency_us, version, environment, region, trace_id, attributes
            nothing == 1
                a request has no field nothing (at column 1). Write "nothing" in quotes if it is a text, attributes.nothing if it is an attribute; a request has service, event_id, tenant, route, method, status, ok, latency_us, version, environment, region, trace_id, attributes
            checkout == service
                a request has no field checkout (at column 1). Write "checkout" in quotes if it is a text, attributes.checkout if it is an attribute; a request has service, event_id, tenant, route, method, status, ok, latency_us, version, environment, region, trace_id, attributes
            ts > 5
                ts can't be asked for (at column 1). Take it out: time decides to which window an event belongs, whatever a predicate says
            request.status < 500
                there is no request.status (at column 1). Write status: fields stand alone
            request.code < 500
                there is no request.code (at column 1). Write status: fields stand alone
            event.plan == 'gold'
                there is no event.plan (at column 1). Write attributes.plan if it is an attribute
            route.length > 5
                route has no member length (at column 7). Only attributes have members: attributes.name
            attributes == 'a'
                attributes alone is no value (at column 1). Write attributes.name, attributes["name"], has(attributes.name) or "name" in attributes
            attributes[0] == 'a'
                0 is no name of an attribute (at column 12). Write the name itself, in quotes: attributes["plan"]
            attributes[route] == 'a'
                route is no name of an attribute (at column 12). Write the name itself, in quotes: attributes["plan"]
            attributes.a.b == 'c'
                attributes.a has no member b (at column 14). Attributes are texts without members; write attributes["...b"] if that is its name
            route[0] == '/'
                route has no elements (at column 1). Only attributes have: attributes["plan"]
            attributes.plan == 5
                attributes.plan is a text, 5 is an integer (at column 20). Write "5", in quotes
            has(route)
                has() asks for an attribute, route is none (at column 5). Write has(attributes.name); a comparison with an absent field is undecided by itself
            has(attributes['plan'])
                has() takes a name behind a dot (at column 5). Write 'plan' in attributes
            has(attributes)
                has() asks for an attribute, attributes is none (at column 5). Write has(attributes.name); a comparison with an absent field is undecided by itself
            has()
                has() is not how has is called (at column 1). Write has(attributes.name)
            startsWith(route, '/a')
                startsWith(route, '/a') is not how startsWith is called (at column 1). Write it behind a text, with one argument: route.startsWith("/pay")
            route.startswith('/a')
                there is no function startswith (at column 7). Write startsWith
            route.starts_with('/a')
                there is no function starts_with (at column 7). Write startsWith
            route.startsWith(5)
                startsWith takes texts, 5 is an integer (at column 18). Write "5", in quotes
            status.startsWith('5')
                startsWith takes texts, status is an integer (at column 1). Compare numbers by == != < <= > >= or in
            route.contains('a', 'b')
                route.contains('a', 'b') is not how contains is called (at column 7). Write it behind a text, with one argument: route.contains("/pay")
            route.matches(method)
                method is no literal pattern (at column 15). Write the pattern itself, in quotes: matches("^/pay")
            route.matches('(')
                the pattern can't be read: found open group without closing ')' (at column 15). Write a pattern of RE2 without Unicode classes; a backslash of the pattern is \\ here, or \ in r"..."
            route.matches('\\p{L}')
                the pattern can't be read: Unicode character classes are not supported (at column 15). Write a pattern of RE2 without Unicode classes; a backslash of the pattern is \\ here, or \ in r"..."
            int(status) == 5
                there is no function int (at column 1). Fields have their types already: write the field itself
            duration('5s') > 5
                there is no function duration (at column 1). Time is no part of predicates; latency_us is an integer of microseconds
            ['a'].exists(x, x == route)
                there is no function exists (at column 7). Write the comparisons themselves, joined by && or ||, or in [..]
            route.lowerAscii() == '/a'
                there is no function lowerAscii (at column 7). Write matches("(?i)^text$") to compare without regard to case
            len(route) == 5
                there is no function len (at column 1). There are has, size, startsWith, endsWith, contains, matches
            size(status) == 5
                size takes texts, status is an integer (at column 6). Compare numbers by == != < <= > >= or in
        "#]],
    );
}

#[test]
fn other_kinds() {
    check(
        Kind::Score,
        &[
            "status < 500",
            "score > 0.5",
            "value > 0.1234567",
            "value > 1e20",
            "value > '0.5'",
            "value",
            "value * 2 > 1",
        ],
        expect![[r#"
            status < 500
                a score has no field status (at column 1). It is a field of the kind request; a score has service, metric, event_id, tenant, route, value, good, total, version, environment, region, trace_id, attributes
            score > 0.5
                a score has no field score (at column 1). Write value
            value > 0.1234567
                0.1234567 can't be compared exactly (at column 9). Values are kept in millionths: write at most 6 places, such as 0.123457
            value > 1e20
                1e20 can't be compared exactly (at column 9). Write a number of less than 20 digits before the point
            value > '0.5'
                value is a decimal number, '0.5' is a text (at column 9). Write 0.5, without quotes
            value
                value is a decimal number, no condition (at column 1). Compare it: value >= 0.5
            value * 2 > 1
                * takes integers, value is a decimal number (at column 1). Compare it with a literal, and do the arithmetic beforehand
        "#]],
    );
    check(
        Kind::Resource,
        &["pod == 'a'", "route == '/a'", "cpu > 0.5"],
        expect![[r#"
        pod == 'a'
            a resource has no field pod (at column 1). Write instance
        route == '/a'
            a resource has no field route (at column 1). It is a field of the kind request and of score; a resource has service, metric, event_id, tenant, instance, value, version, environment, region, attributes
        cpu > 0.5
            a resource has no field cpu (at column 1). Write "cpu" in quotes if it is a text, attributes.cpu if it is an attribute; a resource has service, metric, event_id, tenant, instance, value, version, environment, region, attributes
    "#]],
    );
}

#[test]
fn bounds() {
    let nested = |open: &str, inner: &str, close: &str| [&open.repeat(1000), inner, &close.repeat(1000)].concat();
    let sum = format!("status{} > 5", " + 1".repeat(1000));
    for text in [
        nested("!", "ok", ""),
        nested("(", "ok", ")"),
        nested("-", "status", " > 5"),
        nested("ok ? true : ", "ok", ""),
        nested("ok ? (", "ok", ") : ok"),
        nested("attributes[", "'a'", "]"),
        nested("size(", "route", ")"),
        nested("[", "route", "]"),
        sum,
        format!("route{} == 'a'", ".size()".repeat(1000)),
        format!("route{}", " == 'a'".repeat(1000)),
    ] {
        let errors = Predicate::compile(&text, Kind::Request).expect_err("too deep");
        assert!(errors[0].message.contains("nested deeper than 64"), "{}: {errors:?}", &text[..30]);
    }
    let long = format!("ok{}", " || ok".repeat(2000));
    assert!(Predicate::compile(&long, Kind::Request).is_ok(), "chains are one level");
    let too_long = format!("ok{}", " || ok".repeat(20_000));
    let errors = Predicate::compile(&too_long, Kind::Request).expect_err("too long");
    assert_eq!(
        errors[0].to_string(),
        "a predicate of 120002 bytes is too long (at column 16385). Write at most 16384 bytes; long lists may become a pattern or an attribute"
    );
    let wide = format!("route == '{}'", "é".repeat(20_000));
    let errors = Predicate::compile(&wide, Kind::Request).expect_err("too long");
    assert!(wide.is_char_boundary(errors[0].at), "{errors:?}");
    let mut errors = 0;
    for depth in 1..80 {
        errors += usize::from(Predicate::compile(&format!("{}ok", "!".repeat(depth)), Kind::Request).is_err());
    }
    assert_eq!(errors, 80 - 64);
    let pattern = Predicate::compile("route.matches('((a{100}){100}){100}')", Kind::Request).expect_err("too large");
    assert!(pattern[0].message.contains("the pattern can't be read"), "{pattern:?}");
}
