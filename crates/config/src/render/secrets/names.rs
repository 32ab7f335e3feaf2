//! The names of the fields that hold secrets.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use prost_reflect::{FieldDescriptor, Kind};

use crate::{redact::is_sensitive, suggest::closest};

/// What is hidden of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hiding {
    Nothing,
    /// It is no field of the API, or one that is no secret there: a text or number, but not what is in a map.
    Text,
    /// It is an `envoy.config.core.v3.DataSource`: all but the name of the file or of the variable that has the
    /// secret.
    Source,
    Everything,
}

impl Hiding {
    /// What is hidden of the value of the field `name` in a value of which `self` is hidden, if `of_name` is for that
    /// name anywhere.
    pub(crate) fn inside(self, of_name: Hiding, name: &str) -> Hiding {
        match self {
            Self::Nothing | Self::Text => of_name,
            Self::Source if matches!(&*plain(name), "filename" | "environmentvariable") => Self::Nothing,
            Self::Source | Self::Everything => Self::Everything,
        }
    }
}

/// By their names in lower case without underscores.
static NAMES: LazyLock<HashMap<String, Hiding>> = LazyLock::new(|| {
    let mut names: HashMap<String, Hiding> = HashMap::new();
    let mut add = |field: &FieldDescriptor, hiding: Hiding| {
        let known = names.entry(plain(field.name())).or_insert(hiding);
        *known = hiding.max(*known);
    };
    let fields: Vec<FieldDescriptor> = nuncio_api::descriptors()
        .all_messages()
        .flat_map(|message| message.fields().collect::<Vec<_>>())
        .collect();
    for field in fields.iter().filter(|field| is_sensitive(field)) {
        if field.name() == "typed_config" {
            // Every extension has a field of this name. Where it stands tells more.
            let holder = Kind::Message(field.parent_message().clone());
            fields
                .iter()
                .filter(|field| field.kind() == holder)
                .for_each(|field| add(field, Hiding::Everything));
        } else {
            add(field, if is_data_source(field) { Hiding::Source } else { Hiding::Everything });
        }
    }
    names
});

/// All names of fields, as they are written in YAML and JSON.
static FIELDS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let pool = nuncio_api::descriptors();
    let fields = pool.all_messages().flat_map(|message| message.fields().collect::<Vec<_>>());
    let both = |field: FieldDescriptor| [field.name().to_owned(), field.json_name().to_owned()];
    fields.flat_map(both).chain(["@type".to_owned()]).collect()
});

/// What secrets are called elsewhere, in lower case without underscores.
const ELSEWHERE: [&str; 27] = [
    "accesskey",
    "accesstoken",
    "apikey",
    "apisecret",
    "apitoken",
    "authkey",
    "authorization",
    "authtoken",
    "bearer",
    "bearertoken",
    "clientsecret",
    "cookie",
    "credential",
    "credentials",
    "jwt",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "privatekeypem",
    "proxyauthorization",
    "pwd",
    "secret",
    "secretkey",
    "setcookie",
    "token",
    "xapikey",
];

/// Whether what a header of this name carries is a secret.
pub(super) fn is_secret_header(name: &str) -> bool {
    const HEADERS: [&str; 5] = ["authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key"];
    HEADERS.iter().any(|header| header.eq_ignore_ascii_case(name))
}

/// Whether a field of this name in the entry of a header has what the header carries or should carry.
pub(super) fn is_of_header(name: &str) -> bool {
    let name = plain(name);
    name == "value" || name == "rawvalue" || name.ends_with("match")
}

/// What is hidden of the value of a field with this name, or with one that is nearly it.
pub(crate) fn hiding_of(name: &str) -> Hiding {
    /// Shorter names are too near to each other.
    const LONG: usize = 8;
    let name = plain(name);
    if let Some(known) = NAMES.get(&name) {
        return *known;
    }
    if ELSEWHERE.contains(&&*name) {
        return Hiding::Text;
    }
    if name.len() < LONG {
        return Hiding::Nothing;
    }
    let long = NAMES.keys().map(String::as_str).filter(|known| known.len() >= LONG);
    closest(&name, long).and_then(|known| NAMES.get(known)).copied().unwrap_or(Hiding::Nothing)
}

/// Whether a key is a field's name, or nearly the name of one that stands where secrets do, and so no secret itself.
pub(super) fn is_name_of_a_field(key: &str) -> bool {
    const OF_SOURCES: [&str; 5] =
        ["filename", "inline_bytes", "inline_string", "environment_variable", "watched_directory"];
    FIELDS.contains(key) || closest(key, OF_SOURCES).is_some()
}

fn is_data_source(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Kind::Message(message) if message.full_name() == "envoy.config.core.v3.DataSource")
}

/// Without what snake case, camel case and headers write differently.
fn plain(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_hides() {
        fn check(names: &[&str], expected: Hiding) {
            for name in names {
                assert_eq!(hiding_of(name), expected, "{name}");
            }
        }
        check(&["private_key", "privateKey", "private-key", "privat_key", "pirvate_key"], Hiding::Source);
        check(&["password", "passwort", "users", "keys", "pkcs12"], Hiding::Source);
        check(
            &["credentials", "secret_access_key", "sessionToken", "private_key_provider"],
            Hiding::Everything,
        );
        check(
            &["token", "api_key", "apikey", "passwd", "Authorization", "auth_token", "bearer"],
            Hiding::Text,
        );
        check(&["pwd", "access_key", "passphrase", "jwt", "cookie", "credential"], Hiding::Text);
        check(&["typed_config", "connect_timeout", "certificate_chain", "public_key"], Hiding::Nothing);
        check(&["key", "value", "name", "user", ""], Hiding::Nothing);
    }

    #[test]
    fn every_sensitive_field_is_hidden_by_its_name() {
        let pool = nuncio_api::descriptors();
        let fields = pool.all_messages().flat_map(|message| message.fields().collect::<Vec<_>>());
        let sensitive: Vec<_> = fields.filter(is_sensitive).collect();
        assert!(sensitive.len() > 20);
        for field in sensitive.iter().filter(|field| field.name() != "typed_config") {
            for name in [field.name(), field.json_name()] {
                assert_ne!(hiding_of(name), Hiding::Nothing, "{}", field.full_name());
            }
        }
    }

    /// What is near to a secret's name may be shown everywhere else, so there must not be much of it.
    #[test]
    fn few_other_fields_are_hidden() {
        let is_other = |name: &&String| {
            name.contains('_') && hiding_of(name) > Hiding::Text && !NAMES.contains_key(&plain(name))
        };
        let mut others: Vec<&str> = FIELDS.iter().filter(is_other).map(String::as_str).collect();
        others.sort_unstable();
        let expected =
            ["cached_tokens", "call_credentials", "hide_credentials", "session_state", "ssl_credentials"];
        assert_eq!(others, expected);
    }
}
