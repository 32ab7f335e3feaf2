//! Envoy's v3 API as Rust types and as descriptors.
//!
//! Both come from one file, `envoy.bin`, so that the loader (which reads by descriptor) and the lowering (which reads
//! typed messages) cannot disagree. The README of this crate says where the file comes from.

use std::sync::{Mutex, PoisonError};

use prost_reflect::DescriptorPool;

#[allow(unreachable_pub, clippy::all, clippy::pedantic, clippy::nursery, clippy::restriction, rustdoc::all)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/envoy.rs"));
}

pub use generated::{envoy, validate, xds};

/// The bytes of the `FileDescriptorSet` with every message, enum, field option and validation rule.
pub static DESCRIPTOR_SET: &[u8] = include_bytes!("../envoy.bin");

static POOL: Mutex<Option<DescriptorPool>> = Mutex::new(None);

/// The descriptors of all messages of Envoy's API, also of extensions that Nuncio does not implement.
///
/// The first call decodes them, which takes 30 to 45 ms; they are kept, in some 20 MB, until
/// [`release_descriptors`]. A pool is a counted reference, so taking one costs little.
pub fn descriptors() -> DescriptorPool {
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    pool.get_or_insert_with(|| {
        DescriptorPool::decode(DESCRIPTOR_SET).expect("the file is part of this crate and a test decodes it")
    })
    .clone()
}

/// Frees the descriptors as soon as nobody uses them. The next use decodes them again.
pub fn release_descriptors() {
    *POOL.lock().unwrap_or_else(PoisonError::into_inner) = None;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_set_is_there() {
        assert_eq!(descriptors().files().len(), 514);
        assert_eq!(descriptors().all_messages().len(), 1602);
    }

    #[test]
    fn validation_rules_survived_the_removal_of_comments() {
        let rules =
            descriptors().get_extension_by_name("validate.rules").expect("validate.proto is in the set");
        let with_rules = descriptors()
            .all_messages()
            .map(|message| message.fields().filter(|field| field.options().has_extension(&rules)).count())
            .sum::<usize>();
        assert_eq!(with_rules, 1195);
        let required =
            descriptors().get_extension_by_name("validate.required").expect("validate.proto is in the set");
        let required_oneofs = descriptors()
            .all_messages()
            .map(|message| message.oneofs().filter(|oneof| oneof.options().has_extension(&required)).count())
            .sum::<usize>();
        assert_eq!(required_oneofs, 126);
    }

    #[test]
    fn deprecation_options_survived_the_removal_of_comments() {
        let message = descriptors()
            .get_message_by_name("envoy.config.bootstrap.v3.Admin")
            .expect("Admin is in the set");
        let field = message.get_field_by_name("access_log_path").expect("Admin has access_log_path");
        let deprecated = field.options().get_field_by_name("deprecated").map(|value| value.into_owned());
        assert_eq!(deprecated, Some(prost_reflect::Value::Bool(true)));
    }

    #[test]
    fn comments_are_gone() {
        assert!(descriptors().files().all(|file| file.file_descriptor_proto().source_code_info.is_none()));
    }

    #[test]
    fn typed_messages_know_their_names() {
        use prost::Name as _;
        assert_eq!(
            envoy::config::bootstrap::v3::Bootstrap::type_url(),
            "type.googleapis.com/envoy.config.bootstrap.v3.Bootstrap"
        );
    }
}
