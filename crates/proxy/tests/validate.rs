//! Certificates and keys as `--mode validate` sees them: from the text of a listener through all that is checked
//! before anything starts. The verdicts are Envoy's; with `ENVOY_BIN` set it is asked anew.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

use std::{fmt::Write as _, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use nuncio_config::{LoadOptions, Source, load_and_check};
use nuncio_test_support::{Directory, crypto};
use rcgen::{
    BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256, SignatureAlgorithm,
    date_time_ymd,
};

/// A listener up to its certificates.
const LISTENER: &str = r#"static_resources:
  listeners:
  - name: main
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: hcm
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: h
          route_config: {}
          http_filters:
          - name: router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
      transport_socket:
        name: tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            tls_certificates:
"#;

/// A certificate and its key.
struct Made {
    chain: String,
    key: String,
}

fn named(name: &str) -> CertificateParams {
    CertificateParams::new(vec![name.to_owned()]).unwrap()
}

fn made(parameters: &CertificateParams, key: &KeyPair) -> Made {
    Made { chain: parameters.self_signed(key).unwrap().pem(), key: key.serialize_pem() }
}

fn of(algorithm: &'static SignatureAlgorithm) -> Made {
    made(&named("one.example"), &KeyPair::generate_for(algorithm).unwrap())
}

/// With a key that holds its public key, too, and that key without it.
fn ed25519() -> (Made, String) {
    const VERSION_1: &[u8] = b"\x30\x2e\x02\x01\0\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let plain = BASE64.encode([VERSION_1, &key.serialize_der()[16..48]].concat());
    let plain = format!("-----BEGIN PRIVATE KEY-----\n{plain}\n-----END PRIVATE KEY-----\n");
    (made(&named("ed.example"), &key), plain)
}

fn expired() -> Made {
    let mut parameters = named("old.example");
    parameters.not_before = date_time_ymd(2001, 1, 1);
    parameters.not_after = date_time_ymd(2002, 1, 1);
    made(&parameters, &KeyPair::generate().unwrap())
}

/// A certificate that another one signed, and that other one.
fn signed() -> (Made, String) {
    let mut parameters = named("authority.example");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let intermediate = parameters.self_signed(&key).unwrap().pem();
    let issuer = Issuer::new(parameters, key);
    let key = KeyPair::generate().unwrap();
    let leaf = named("leaf.example").signed_by(&key, &issuer).unwrap();
    (Made { chain: leaf.pem(), key: key.serialize_pem() }, intermediate)
}

/// Where a text stands.
#[derive(Clone, Copy, Debug)]
enum Form {
    File,
    Inline,
}

/// A certificate or a key in a configuration.
#[derive(Clone, Copy, Debug)]
enum Part<'a> {
    Text(&'a str),
    /// In a file that is not there.
    Missing,
    /// Its field is not there.
    Unset,
}

/// What Envoy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Envoy {
    /// The same as we.
    Agrees,
    /// It refuses what we accept, for the reason that the row with this first cell in `docs/ENVOY_COMPAT.md` gives.
    Refuses(&'static str),
}

use Part::{Missing, Text, Unset};

/// The cases so far, and what was wrong with them.
struct Cases {
    directory: Directory,
    envoy: Option<String>,
    wrong: String,
    count: usize,
}

impl Cases {
    fn new() -> Self {
        let envoy = std::env::var("ENVOY_BIN").ok().filter(|path| !path.is_empty());
        Self { directory: Directory::new(), envoy, wrong: String::new(), count: 0 }
    }

    /// Certificates with their keys, from files and in the configuration itself. `expected` are the errors: the line
    /// and the column, and some of what is said about them.
    fn check(&mut self, what: &str, parts: &[(Part<'_>, Part<'_>)], envoy: Envoy, expected: &[(&str, &str)]) {
        let is_missing = |part: &Part<'_>| matches!(part, Missing);
        let any_missing = parts.iter().any(|(chain, key)| is_missing(chain) || is_missing(key));
        self.check_in(what, Form::File, parts, envoy, expected);
        if !any_missing {
            self.check_in(what, Form::Inline, parts, envoy, expected);
        }
    }

    fn check_in(
        &mut self,
        what: &str,
        form: Form,
        parts: &[(Part<'_>, Part<'_>)],
        envoy: Envoy,
        expected: &[(&str, &str)],
    ) {
        self.count += 1;
        let text = self.configuration(form, parts);
        let told = nuncio(&text);
        let is_told = |(line, (place, words)): (&String, &(&str, &str))| {
            line.starts_with(&format!("f.yaml:{place}: ")) && line.contains(words)
        };
        if told.len() != expected.len() || !told.iter().zip(expected).all(is_told) {
            writeln!(self.wrong, "{what} ({form:?}): {told:#?}, expected is {expected:#?}").unwrap();
        }
        for secret in parts.iter().flat_map(|(_, key)| secrets(key)) {
            if told.iter().any(|line| line.contains(secret)) {
                writeln!(self.wrong, "{what} ({form:?}): a key is shown: {told:?}").unwrap();
            }
        }
        let envoy_accepts = match envoy {
            Envoy::Agrees => expected.is_empty(),
            Envoy::Refuses(reason) => {
                let rows = include_str!("../../../docs/ENVOY_COMPAT.md");
                assert!(rows.contains(&format!("\n| {reason} |")), "no row about {reason:?}");
                false
            }
        };
        if let Some(program) = &self.envoy {
            let file = self.directory.write(&format!("{}.yaml", self.count), &text);
            let mut command = Command::new(program);
            command.args(["--mode", "validate", "--use-dynamic-base-id", "--log-level", "error", "-c"]);
            let output = command.arg(file).output().unwrap();
            if output.status.success() != envoy_accepts {
                let said = String::from_utf8_lossy(&output.stderr);
                writeln!(self.wrong, "{what} ({form:?}): Envoy's verdict is another: {said}").unwrap();
            }
        }
    }

    fn configuration(&self, form: Form, parts: &[(Part<'_>, Part<'_>)]) -> String {
        let mut text = LISTENER.to_owned();
        for (index, (chain, key)) in parts.iter().enumerate() {
            let mut lead = "            - ";
            for (field, part) in [("certificate_chain", chain), ("private_key", key)] {
                let name = format!("{}-{index}-{field}.pem", self.count);
                if let Some(source) = self.source(form, *part, &name) {
                    writeln!(text, "{lead}{field}: {{{source}}}").unwrap();
                    lead = "              ";
                }
            }
            if matches!((chain, key), (Unset, Unset)) {
                text.push_str("            - {}\n");
            }
        }
        text
    }

    fn end(self) {
        assert!(self.wrong.is_empty(), "{}", self.wrong);
    }

    fn source(&self, form: Form, part: Part<'_>, name: &str) -> Option<String> {
        Some(match (part, form) {
            (Unset, _) => return None,
            (Missing, _) => format!("filename: {}", self.directory.path(name).display()),
            (Text(text), Form::File) => format!("filename: {}", self.directory.write(name, text).display()),
            // A Rust string's escapes are those of a YAML string in double quotes.
            (Text(text), Form::Inline) => format!("inline_string: {text:?}"),
        })
    }
}

/// The lines of a key that nobody may see.
fn secrets<'a>(key: &Part<'a>) -> impl Iterator<Item = &'a str> {
    let text = if let Text(text) = key { text } else { "" };
    text.lines().filter(|line| line.len() > 20 && !line.starts_with('-'))
}

/// What is said, line by line.
fn nuncio(text: &str) -> Vec<String> {
    let check = |bootstrap: &_| nuncio_proxy::check(bootstrap, &crypto());
    match load_and_check(&[Source::new("f.yaml", text)], &LoadOptions::default(), check) {
        Ok(loaded) => loaded.warnings.iter().map(ToString::to_string).collect(),
        Err(errors) => errors.errors().iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn what_can_be_served_is_accepted() {
    let mut cases = Cases::new();
    for (what, algorithm) in [
        ("P-256", &PKCS_ECDSA_P256_SHA256),
        ("P-384", &PKCS_ECDSA_P384_SHA384),
        ("P-521", &PKCS_ECDSA_P521_SHA512),
        ("RSA", &PKCS_RSA_SHA256),
    ] {
        let good = of(algorithm);
        cases.check(what, &[(Text(&good.chain), Text(&good.key))], Envoy::Agrees, &[]);
    }
    let (ed, plain) = ed25519();
    cases.check("Ed25519", &[(Text(&ed.chain), Text(&plain))], Envoy::Agrees, &[]);
    let reason = "an Ed25519 key that holds its public key (PKCS #8, version 2)";
    cases.check("Ed25519, version 2", &[(Text(&ed.chain), Text(&ed.key))], Envoy::Refuses(reason), &[]);
    let old = expired();
    cases.check("expired", &[(Text(&old.chain), Text(&old.key))], Envoy::Agrees, &[]);
    let (leaf, intermediate) = signed();
    let chain = format!("{}{intermediate}", leaf.chain);
    cases.check("with the intermediate", &[(Text(&chain), Text(&leaf.key))], Envoy::Agrees, &[]);
    let (ec, other, rsa) = (of(&PKCS_ECDSA_P256_SHA256), of(&PKCS_ECDSA_P256_SHA256), of(&PKCS_RSA_SHA256));
    let both = format!("{}{}", ec.key, ec.chain);
    cases.check("both in one text", &[(Text(&both), Text(&both))], Envoy::Agrees, &[]);
    for second in [rsa, other] {
        let two = [(Text(&ec.chain), Text(&ec.key)), (Text(&second.chain), Text(&second.key))];
        cases.check("two certificates", &two, Envoy::Agrees, &[]);
    }
    cases.end();
}

#[test]
fn what_cannot_be_served_is_refused_with_its_place() {
    const NO_CERTIFICATE: (&str, &str) = (
        "21:34",
        "…common_tls_context.tls_certificates[0].certificate_chain: failed to load the certificate chain: no certificate \
         in it; it must be PEM",
    );
    const NO_KEY: (&str, &str) = (
        "22:28",
        "…common_tls_context.tls_certificates[0].private_key: failed to load the private key: no private key in it; it \
         must be PEM",
    );
    const NO_CHAIN_FILE: (&str, &str) = ("21:45", "certificate_chain.filename: cannot read \"");
    const NO_KEY_FILE: (&str, &str) = ("22:39", "private_key.filename: cannot read \"");
    let mut cases = Cases::new();
    let (good, other, rsa) = (of(&PKCS_ECDSA_P256_SHA256), of(&PKCS_ECDSA_P256_SHA256), of(&PKCS_RSA_SHA256));
    let (leaf, intermediate) = signed();
    let (chain, key) = (Text(&good.chain), Text(&good.key));
    let reversed = format!("{intermediate}{}", leaf.chain);
    let cut = &good.chain[..good.chain.len() / 2];
    let cut_key = &good.key[..good.key.len() / 2];
    let no_x509 = "-----BEGIN CERTIFICATE-----\nMIIBAAAA\n-----END CERTIFICATE-----\n";
    let no_pkcs8 = "-----BEGIN PRIVATE KEY-----\nMIIBAAAA\n-----END PRIVATE KEY-----\n";
    for (what, chain, key, expected) in [
        (
            "another's key",
            chain,
            Text(&other.key),
            &[(
                "22:28",
                "private_key: failed to load the private key: it does not belong to the certificate (key values mismatch)",
            )][..],
        ),
        ("a key of another kind", chain, Text(&rsa.key), &[("22:28", "(key type mismatch)")]),
        ("the intermediate first", Text(&reversed), Text(&leaf.key), &[("22:28", "(key values mismatch)")]),
        ("swapped", key, chain, &[NO_CERTIFICATE, NO_KEY]),
        ("a certificate that is no PEM", Text("no PEM"), key, &[NO_CERTIFICATE]),
        ("an empty certificate", Text(""), key, &[("21:34", "certificate chain not set (it is empty)")]),
        ("an empty line", Text("\n"), key, &[("21:34", "certificate chain not set (it is empty)")]),
        ("a certificate that is cut off", Text(cut), key, &[("21:34", "no \"-----END\" line")]),
        (
            "PEM that is no certificate",
            Text(no_x509),
            key,
            &[("21:34", "certificate 1 of 1 is PEM but not X.509")],
        ),
        ("a key that is no PEM", chain, Text("no PEM"), &[NO_KEY]),
        ("an empty key", chain, Text(""), &[("22:28", "private key not set (it is empty)")]),
        ("a key that is cut off", chain, Text(cut_key), &[("22:28", "no \"-----END\" line")]),
        (
            "PEM that is no key",
            chain,
            Text(no_pkcs8),
            &[("22:28", "it is PEM, but not a key that can be used")],
        ),
        ("neither is PEM", Text("no PEM"), Text("no PEM"), &[NO_CERTIFICATE, NO_KEY]),
        ("a certificate file that is missing", Missing, key, &[NO_CHAIN_FILE]),
        ("a key file that is missing", chain, Missing, &[NO_KEY_FILE]),
        ("both files are missing", Missing, Missing, &[NO_CHAIN_FILE, NO_KEY_FILE]),
        ("no certificate", Unset, key, &[("21:15", "certificate_chain: is required")]),
        ("no key", chain, Unset, &[("21:15", "private_key: is required")]),
        (
            "neither",
            Unset,
            Unset,
            &[("21:15", "certificate_chain: is required"), ("21:15", "private_key: is required")],
        ),
    ] {
        cases.check(what, &[(chain, key)], Envoy::Agrees, expected);
    }
    let two = [(chain, key), (Text(&rsa.chain), Text(&other.key))];
    let second =
        ("24:28", "tls_certificates[1].private_key: failed to load the private key: it is of another type");
    cases.check("the second of two", &two, Envoy::Agrees, &[second]);
    cases.check(
        "none",
        &[],
        Envoy::Agrees,
        &[("20:13", "TLS towards clients needs at least one certificate")],
    );
    cases.end();
}

/// A command that Envoy has and we lack is told where the format is written, and one that nobody has is told once.
#[test]
fn formats_of_access_logs_are_refused_with_their_place() {
    let check = |log: &str, expected: &[&str]| {
        let listener = LISTENER.split("      transport_socket:").next().unwrap();
        let log = format!("          access_log:\n{log}          route_config: {{}}\n");
        let text = listener.replace("          route_config: {}\n", &log);
        let told = nuncio(&text);
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for (line, expected) in told.iter().zip(expected) {
            assert!(line.starts_with(expected), "{line}\n{expected}");
        }
    };
    let log = |kind: &str, format: &str| {
        format!(
            "          - name: log\n            typed_config:\n              \"@type\": \
             type.googleapis.com/envoy.extensions.access_loggers.{kind}\n              {format}\n"
        )
    };
    let (file, stdout) =
        ("file.v3.FileAccessLog\n              path: /dev/null", "stream.v3.StdoutAccessLog");
    let lacking = |place: &str| {
        format!("f.yaml:{place}: the command operator \"%UPSTREAM_WIRE_BYTES_SENT%\" is not supported")
    };
    let inline =
        |command: &str| format!("log_format: {{text_format_source: {{inline_string: '%{command}%'}}}}");
    check(
        &[
            log(file, "log_format: {text_format: '%UPSTREAM_WIRE_BYTES_SENT%'}"),
            log(stdout, &inline("UPSTREAM_WIRE_BYTES_SENT")),
            log(file, "format: 'a %UPSTREAM_WIRE_BYTES_SENT%'"),
        ]
        .concat(),
        &[
            &lacking("16:41: …typed_config.log_format.text_format"),
            &lacking("20:64: …log_format.text_format_source.inline_string"),
            &lacking("25:23: …access_log[2].typed_config.format"),
        ],
    );
    let nobodys = "f.yaml:15:64: …log_format.text_format_source.inline_string: there is no command %NOTHING%";
    check(&log(stdout, &inline("NOTHING")), &[nobodys]);
    let directory = Directory::new();
    let path = directory.write("format", "%UPSTREAM_WIRE_BYTES_SENT%");
    let source = format!("log_format: {{text_format_source: {{filename: {}}}}}", path.display());
    check(&log(stdout, &source), &[&lacking("15:48: …typed_config.log_format.text_format_source")]);
}
