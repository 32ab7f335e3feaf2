//! What text becomes which tree, shown as one line.

use super::*;

fn show(node: &Node<'_>, out: &mut String) {
    match node.resolved() {
        Value::Scalar(scalar) if scalar.quoted => out.push_str(&format!("{:?}", scalar.text)),
        Value::Scalar(scalar) => out.push_str(&scalar.text),
        Value::List(items) => {
            out.push('[');
            for item in items {
                show(item, out);
                out.push(' ');
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for entry in entries {
                out.push_str(&format!("{}@{}:{}=", entry.key, entry.mark.line(), entry.mark.column()));
                show(&entry.value, out);
                out.push(' ');
            }
            out.push('}');
        }
        Value::Shared(_) => unreachable!("resolved"),
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let tree = parse(text, &Limits::default()).unwrap();
    let mut shown = String::new();
    show(&tree, &mut shown);
    assert_eq!(shown, expected, "{text:?}");
}

#[track_caller]
fn check_error(text: &str, limits: &Limits, expected: &str) {
    let error = parse(text, limits).unwrap_err();
    let shown = format!("{}:{}: {:?}: {}", error.mark.line(), error.mark.column(), error.kind, error.message);
    assert_eq!(shown, expected, "{text:?}");
}

#[test]
fn documents() {
    check("", "");
    check("a: 1\nb:\n- x\n- 'y'\n", "{a@1:1=1 b@2:1=[x \"y\" ] }");
    check("{\"a\": [1, true, null], \"b\":\t{}}", "{a@1:2=[1 true null ] b@1:24={} }");
    check("a: &x {b: 1}\nc: *x\n", "{a@1:1={b@1:8=1 } c@2:1={b@1:8=1 } }");
    check("!ignore a: 1\nb: 2\n", "{b@2:1=2 }");
    check("a: ! 5\n", "{a@1:1=\"5\" }");
    check("a: |\n  x\n  y\n", "{a@1:1=\"x\\ny\\n\" }");
    check("---\na: 1\n...\n", "{a@2:1=1 }");
    check("&k a: 1\n*k : 2\n", "{a@1:4=1 a@2:1=2 }");
}

#[test]
fn an_escape_of_json_is_read() {
    check(r#"{"a": "\u00e9\/\ud83d\ude00"}"#, "{a@1:2=\"é/😀\" }");
}

#[test]
fn mistakes_have_a_place() {
    let limits = Limits::default();
    check_error(
        "a: 1\n---\nb: 2\n",
        &limits,
        "2:1: Syntax: a second document starts here; a configuration is one document",
    );
    check_error("a: &x [*x]\n", &limits, "1:8: Syntax: an anchor cannot contain an alias for itself");
    check_error("? [a]\n: 1\n", &limits, "1:3: Syntax: a key must be a plain word or a string");
    assert!(parse("a: [1\nb: 2", &limits).is_err());
    let tab = "Syntax: not valid YAML: indentation must be spaces, not a tab";
    check_error("a:\n  b: 1\n\tc: 2\n", &limits, &format!("3:1: {tab}"));
    check_error("a:\n\tb: 1\n", &limits, &format!("2:1: {tab}"));
    let quote = "Syntax: not valid YAML: the quote that begins here is not closed";
    check_error("a: \"abc\nb: 3\n", &limits, &format!("1:4: {quote}"));
    check_error("é:\n  - 'abc\n", &limits, &format!("2:5: {quote}"));
    let colon = "a colon after the key is missing, or the line does not belong here";
    check_error("a: 1\nfoo\nb: 2\n", &limits, &format!("2:1: Syntax: not valid YAML: {colon}"));
    let template = "this looks like a template that was not expanded ({{ … }} or ${…})";
    let key = format!("1:5: Syntax: a key must be a plain word or a string; {template}");
    check_error("a: {{ .Values.x }}\n", &limits, &key);
    check_error("a: {p: ${PORT}}\n", &limits, &format!("1:9: Syntax: not valid YAML: {template}"));
    assert!(parse("a: *nowhere", &limits).is_err());
}

#[test]
fn limits_hold() {
    let limits = Limits { bytes: 100, nodes: 5, depth: 3, alias_nodes: 0, alias_bytes: 0 };
    check_error(&" ".repeat(101), &limits, "1:1: Limit: the text has 101 bytes; at most 100 are read");
    check_error("[1,2,3,4,5]", &limits, "1:10: Limit: more than 5 values");
    assert_eq!(parse("[[[[1]]]]", &limits).unwrap_err().kind, ErrorKind::Limit);
    assert_eq!(parse("a:\n b:\n  c:\n   d: 1", &limits).unwrap_err().kind, ErrorKind::Limit);
}

/// What the marks of a text cover, in the order of the text.
#[track_caller]
fn check_marks(text: &str, expected: &[&str]) {
    fn collect(node: &Node<'_>, marks: &mut Vec<Mark>) {
        marks.push(node.mark);
        match node.resolved() {
            Value::List(items) => items.iter().for_each(|item| collect(item, marks)),
            Value::Map(entries) => {
                for entry in entries {
                    marks.push(entry.mark);
                    collect(&entry.value, marks);
                }
            }
            _ => {}
        }
    }
    let mut marks = Vec::new();
    collect(&parse(text, &Limits::default()).unwrap(), &mut marks);
    let lines: Vec<&str> = text.lines().collect();
    let covered: Vec<String> = marks
        .iter()
        .map(|mark| {
            let line = lines.get(mark.line() as usize - 1).unwrap_or(&"");
            line.chars().skip(mark.column() as usize - 1).take(mark.width() as usize).collect()
        })
        .collect();
    assert_eq!(covered, expected, "{text:?}");
}

#[test]
fn a_mark_covers_what_was_written() {
    check_marks("a: bc", &["", "a", "bc"]);
    check_marks("{\"a\": 'b c'} # d", &["{", "\"a\"", "'b c'"]);
    check_marks("日: [本語, &x !!str y, *x]", &["", "日", "[", "本語", "y", "*x"]);
    check_marks("- a:\n- b: ~", &["", "", "a", "", "", "b", "~"]);
    // A value of several lines has a start only.
    check_marks("a: |\n  b\nc: d\n  e\nf: \"g\n  h\"\n", &["", "a", "", "c", "", "f", ""]);
}

#[track_caller]
fn check_json(text: &str, expected: &str) {
    let limits = Limits { depth: 4, nodes: 9, ..Limits::default() };
    let mut shown = String::new();
    match parse_source(&Source::new("f.JSON", text), &limits) {
        Ok(tree) => show(&tree, &mut shown),
        Err(error) => {
            shown = format!("{}:{}: {}", error.mark.line(), error.mark.column(), error.message);
        }
    }
    assert_eq!(shown, expected, "{text:?}");
}

#[test]
fn json() {
    check_json("{\"a\": [1, -2.5e+3, true, null], \"b\":\t{}}", "{a@1:2=[1 -2.5e+3 true null ] b@1:33={} }");
    // What Envoy lets pass.
    check_json("{a_1: ['x\\'y',],}", "{a_1@1:2=[\"x'y\" ] }");
    check_json("[\"a\nb\"]", "[\"a\\nb\" ]");
    check_json(
        r#"["\\\/\"\b\f\n\r\tA\u00e9\ud83d\ude00\U0001f600"]"#,
        "[\"\\\\/\\\"\\u{8}\\u{c}\\n\\r\\tAé😀😀\" ]",
    );
    check_json("", "1:1: not valid JSON: expected a value, found the end of the text");
    check_json("\u{feff}{}", "1:1: not valid JSON: expected a value, found a byte order mark");
    check_json("{} x", "1:4: not valid JSON: expected the end of the text, found 'x'");
    check_json(
        "{\n // x\n}",
        "2:2: not valid JSON: expected a key in quotes, found '/'; JSON has no comments",
    );
    check_json("{\"a\" 1}", "1:6: not valid JSON: expected ':', found '1'");
    check_json("{\"a\": 1 \"b\": 2}", "1:9: not valid JSON: expected ',' or '}', found '\"'");
    check_json("[1 2]", "1:4: not valid JSON: expected ',' or ']', found '2'");
    check_json("[,]", "1:2: not valid JSON: expected a value, found ','");
    check_json("[a]", "1:2: not valid JSON: expected a value, found \"a\"; a string stands in quotes");
    check_json("[True]", "1:2: not valid JSON: expected a value, found \"True\"; a string stands in quotes");
    check_json("[\"a]", "1:2: not valid JSON: this string has no end");
    for number in ["01", "1.", "-", "0x1", "1e", "1_0", "-.5"] {
        check_json(&format!("[{number}]"), &format!("1:2: not valid JSON: {number:?} is not a number"));
    }
    for escape in ["x41", "0", "ud83d", "ude00", "ud83d\\u0041", "u12", "U00110000"] {
        check_json(
            &format!("[\"{}\\{escape}\"]", "é"),
            "1:4: not valid JSON: this escape stands for no character",
        );
    }
    check_json("[[[[[]]]]]", "1:5: nested more than 4 levels deep");
    check_json("[1,2,3,4,5,6,7,8,9]", "1:18: more than 9 values");
}

#[test]
fn files_of_other_formats_are_refused_by_their_endings() {
    let error = parse_source(&Source::new("a.pb_text", "node {}"), &Limits::default()).unwrap_err();
    assert_eq!(
        error.message,
        "a file that ends in .pb_text holds a protobuf message, which is not supported"
    );
}
