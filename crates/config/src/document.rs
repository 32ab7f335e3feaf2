//! The configuration as it was read, for showing it.

use std::fmt;

use prost_reflect::{DynamicMessage, SerializeOptions};

use crate::redact;

/// The merged bootstrap as a message, kept to be shown by the admin server's `/config_dump`.
#[derive(Clone, Default)]
pub struct Document {
    /// Encoded, which takes a fraction of the room of the decoded message.
    bytes: Vec<u8>,
}

impl Document {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// The bootstrap as Envoy's dumps show it: protobuf's JSON with the field names of the API, unset fields left out,
    /// and `[redacted]` in the place of secrets.
    pub fn bootstrap_json(&self) -> serde_json::Value {
        let descriptor = nuncio_api::descriptors().get_message_by_name(crate::load::BOOTSTRAP);
        let message =
            descriptor.and_then(|descriptor| DynamicMessage::decode(descriptor, self.bytes.as_slice()).ok());
        let Some(mut message) = message else { return serde_json::Value::Null };
        redact::redact(&mut message);
        let options = SerializeOptions::new().use_proto_field_name(true).stringify_64_bit_integers(true);
        message.serialize_with_options(serde_json::value::Serializer, &options).unwrap_or_default()
    }
}

/// The bytes hold private keys, so only their number is shown.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("bytes", &self.bytes.len()).finish()
    }
}
