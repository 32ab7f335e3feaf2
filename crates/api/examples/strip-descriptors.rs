//! Removes the source comments from a protobuf `FileDescriptorSet`, byte for byte otherwise.
//!
//! Works on the wire format instead of decoded messages, because decoding into `FileDescriptorProto` drops the
//! options that it does not know, and those are the validation rules that the loader needs.
//!
//! ```text
//! cargo run -p nuncio-api --example strip-descriptors -- IN OUT
//! ```

use std::process::ExitCode;

/// `FileDescriptorSet.file`.
const FILE: u64 = 1;
/// `FileDescriptorProto.source_code_info`.
const SOURCE_CODE_INFO: u64 = 9;

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const FIXED32: u64 = 5;

type Error = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = arguments.as_slice() else {
        eprintln!("usage: strip-descriptors IN OUT");
        return ExitCode::from(2);
    };
    match run(input, output) {
        Ok((before, after)) => {
            println!("{input}: {before} bytes, {output}: {after} bytes");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("strip-descriptors: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(input: &str, output: &str) -> Result<(usize, usize), Error> {
    let set = std::fs::read(input)?;
    let stripped = strip_set(&set)?;
    std::fs::write(output, &stripped)?;
    Ok((set.len(), stripped.len()))
}

fn strip_set(set: &[u8]) -> Result<Vec<u8>, Error> {
    let mut stripped = Vec::with_capacity(set.len());
    let mut rest = set;
    while !rest.is_empty() {
        let record = next_record(&mut rest)?;
        if record.field == FILE && record.wire_type == LENGTH_DELIMITED {
            let file = strip_file(record.payload)?;
            put_varint(&mut stripped, FILE << 3 | LENGTH_DELIMITED);
            put_varint(&mut stripped, file.len() as u64);
            stripped.extend_from_slice(&file);
        } else {
            stripped.extend_from_slice(record.whole);
        }
    }
    Ok(stripped)
}

fn strip_file(file: &[u8]) -> Result<Vec<u8>, Error> {
    let mut stripped = Vec::with_capacity(file.len());
    let mut rest = file;
    while !rest.is_empty() {
        let record = next_record(&mut rest)?;
        if record.field != SOURCE_CODE_INFO {
            stripped.extend_from_slice(record.whole);
        }
    }
    Ok(stripped)
}

struct Record<'a> {
    field: u64,
    wire_type: u64,
    /// The record with its tag and length.
    whole: &'a [u8],
    payload: &'a [u8],
}

fn next_record<'a>(rest: &mut &'a [u8]) -> Result<Record<'a>, Error> {
    let start = *rest;
    let tag = take_varint(rest)?;
    let wire_type = tag & 7;
    let length = match wire_type {
        VARINT => {
            let mut after = *rest;
            take_varint(&mut after)?;
            rest.len() - after.len()
        }
        FIXED64 => 8,
        LENGTH_DELIMITED => usize::try_from(take_varint(rest)?)?,
        FIXED32 => 4,
        other => return Err(format!("wire type {other} does not occur in a descriptor set").into()),
    };
    let (payload, after) = rest.split_at_checked(length).ok_or("the file ends inside a record")?;
    *rest = after;
    let (whole, _) = start.split_at(start.len() - after.len());
    Ok(Record { field: tag >> 3, wire_type, whole, payload })
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, Error> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first().ok_or("the file ends inside a number")?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err("a number is longer than ten bytes".into())
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
