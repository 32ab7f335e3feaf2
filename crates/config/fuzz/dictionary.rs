//! Prints the words of the configuration language for libFuzzer's `-dict`: the fields that are honoured, the values of
//! their enums, the extensions, and YAML's own signs.

use std::collections::BTreeSet;

use nuncio_config::support::{Support, of_extension, of_field};
use prost_reflect::Kind;

const SIGNS: [&str; 30] = [
    "@type",
    "type.googleapis.com/",
    "xds.type.v3.TypedStruct",
    "type_url",
    "value",
    "!ignore",
    "!!str",
    "&a ",
    "*a",
    "<<",
    "~",
    "null",
    "true",
    "no",
    "0x1f",
    "0644",
    "1.5s",
    "-1s",
    "1e3",
    "\\\"",
    "- ",
    ": ",
    "? ",
    "|\\x0A ",
    ">-\\x0A ",
    "---\\x0A",
    "...\\x0A",
    "[",
    "{",
    "\\x0A  ",
];

fn main() {
    let mut words: BTreeSet<String> = SIGNS.iter().map(|&sign| sign.to_owned()).collect();
    for message in nuncio_api::descriptors().all_messages() {
        if of_extension(message.full_name()) != Support::Unsupported {
            words.insert(message.full_name().to_owned());
        }
        for field in message.fields() {
            if of_field(message.full_name(), field.name()) == Support::Unsupported {
                continue;
            }
            words.insert(format!("{}: ", field.name()));
            if let Kind::Enum(enumeration) = field.kind() {
                words.extend(enumeration.values().map(|value| value.name().to_owned()));
            }
        }
    }
    for word in words {
        println!("\"{word}\"");
    }
}
