//! The listeners and clusters of a bootstrap on their way from the message that was read to the typed messages that are
//! lowered.
//!
//! A typed cluster takes some 2 KiB before anything is in it, so ten thousand of them would be the most that loading
//! holds at a time. Encoded they take a fraction of that, and are decoded one by one.

use nuncio_api::envoy::config::{
    bootstrap::v3::{Bootstrap, bootstrap::StaticResources},
    cluster::v3::Cluster,
    listener::v3::Listener,
};
use prost::{
    Message as _,
    encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len},
};
use prost_reflect::{DynamicMessage, ReflectMessage as _, Value};

/// The static resources of one kind, each encoded as a bootstrap that has nothing else. As protobuf merges messages,
/// all of them one after the other are a bootstrap with all the resources.
#[derive(Default)]
pub(crate) struct Resources {
    bytes: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
}

impl Resources {
    /// Takes the resources in the field `kind` of `static_resources` out of a bootstrap.
    pub(crate) fn take(bootstrap: &mut DynamicMessage, kind: &str) -> Self {
        let mut taken = Self::default();
        taken.take_from(bootstrap, kind);
        taken
    }

    fn take_from(&mut self, bootstrap: &mut DynamicMessage, kind: &str) -> Option<()> {
        let outer = bootstrap.descriptor().get_field_by_name("static_resources")?;
        if !bootstrap.has_field(&outer) {
            return None;
        }
        let within = bootstrap.get_field_mut(&outer).as_message_mut()?;
        let inner = within.descriptor().get_field_by_name(kind)?;
        for value in within.take_field(&inner)?.as_list_mut()?.drain(..) {
            if let Value::Message(message) = value {
                self.push([outer.number(), inner.number()], &message);
            }
        }
        Some(())
    }

    /// Adds a message that stands in two others, in the fields with these numbers.
    fn push(&mut self, [outer, inner]: [u32; 2], message: &DynamicMessage) {
        let encoded = message.encode_to_vec();
        let length = encoded.len() as u64;
        let around = key_len(inner) as u64 + encoded_len_varint(length) as u64 + length;
        for (field, length) in [(outer, around), (inner, length)] {
            encode_key(field, WireType::LengthDelimited, &mut self.bytes);
            encode_varint(length, &mut self.bytes);
        }
        self.bytes.extend_from_slice(&encoded);
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Everything that was taken, to be put behind the encoded rest of the bootstrap.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The typed listeners in their order; `None` for one that is nested too deeply to be decoded.
    pub(crate) fn listeners(&self) -> impl Iterator<Item = Option<Listener>> {
        self.iter().map(|resources| resources?.listeners.pop())
    }

    /// The typed clusters in their order; `None` for one that is nested too deeply to be decoded.
    pub(crate) fn clusters(&self) -> impl Iterator<Item = Option<Cluster>> {
        self.iter().map(|resources| resources?.clusters.pop())
    }

    fn iter(&self) -> impl Iterator<Item = Option<StaticResources>> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts
            .zip(&self.ends)
            .map(|(start, end)| Bootstrap::decode(self.bytes.get(start..*end)?).ok()?.static_resources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Cluster {
        Cluster { name: name.to_owned(), ..Cluster::default() }
    }

    /// A bootstrap as a message without types.
    fn untyped(bootstrap: &Bootstrap) -> DynamicMessage {
        let descriptor = nuncio_api::descriptors().get_message_by_name(crate::load::BOOTSTRAP).unwrap();
        DynamicMessage::decode(descriptor, bootstrap.encode_to_vec().as_slice()).unwrap()
    }

    #[test]
    fn what_was_taken_and_what_was_left_are_the_bootstrap() {
        let clusters = vec![named("a"), named(""), named("b")];
        let listeners = vec![Listener { name: "l".to_owned(), ..Listener::default() }];
        let bootstrap = Bootstrap {
            header_prefix: "x".to_owned(),
            static_resources: Some(StaticResources {
                listeners: listeners.clone(),
                clusters: clusters.clone(),
                ..StaticResources::default()
            }),
            ..Bootstrap::default()
        };
        let mut message = untyped(&bootstrap);
        let taken = ["listeners", "clusters"].map(|kind| Resources::take(&mut message, kind));
        let [taken_listeners, taken_clusters] = &taken;
        assert_eq!((taken_listeners.len(), taken_clusters.len()), (1, 3));
        assert!(taken_listeners.listeners().collect::<Option<Vec<_>>>() == Some(listeners));
        assert!(taken_clusters.clusters().collect::<Option<Vec<_>>>() == Some(clusters));
        let left = Bootstrap::decode(message.encode_to_vec().as_slice()).unwrap();
        assert!(
            left == Bootstrap { static_resources: Some(StaticResources::default()), ..bootstrap.clone() }
        );
        let mut together = message.encode_to_vec();
        taken.iter().for_each(|taken| together.extend_from_slice(taken.bytes()));
        assert!(Bootstrap::decode(together.as_slice()).unwrap() == bootstrap);
    }

    #[test]
    fn nothing_is_taken_where_nothing_is() {
        let mut message = untyped(&Bootstrap::default());
        assert_eq!(Resources::take(&mut message, "clusters").len(), 0);
        assert!(!message.has_field_by_name("static_resources"));
    }
}
