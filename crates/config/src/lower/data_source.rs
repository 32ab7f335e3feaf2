//! Bytes that stand in the configuration, in a file, or in the environment.

use nuncio_api::envoy::config::core::v3::{DataSource, data_source::Specifier};

use super::Context;
use crate::path::Path;

/// The bytes, or `None` if they cannot be had, which is reported.
pub(super) fn read(context: &mut Context<'_>, at: &Path<'_>, source: DataSource) -> Option<Vec<u8>> {
    let DataSource { specifier, watched_directory: _ } = source;
    match specifier? {
        Specifier::InlineBytes(bytes) => Some(bytes),
        Specifier::InlineString(text) => Some(text.into_bytes()),
        Specifier::Filename(name) => match context.options.externals().file(&name) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                context.error(&at.field("filename"), format!("cannot read {name:?}: {error}"));
                None
            }
        },
        Specifier::EnvironmentVariable(name) => {
            let value = context.options.externals().variable(&name);
            if value.is_none() {
                let message = format!("the environment variable {name:?} is not set");
                context.error(&at.field("environment_variable"), message);
            }
            value
        }
    }
}
