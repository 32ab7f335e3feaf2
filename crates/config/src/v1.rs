//! Recognises the JSON configuration of Envoy's first API, which looks nothing like today's.

use crate::tree::{Mark, Node};

pub(crate) struct Found {
    pub(crate) mark: Mark,
    pub(crate) message: String,
}

/// The first thing in the document that only the v1 format has.
pub(crate) fn detect(tree: &Node<'_>) -> Option<Found> {
    let listeners = tree.get("listeners");
    let clusters = tree
        .get("cluster_manager")
        .filter(|entry| ["clusters", "sds", "cds"].iter().any(|key| entry.value.get(key).is_some()));
    let entry = listeners.or(clusters)?;
    let message = format!(
        "{:?} at the top level is Envoy's v1 configuration format, which is not supported yet; write it in the v3 \
         format, where listeners and clusters stand under \"static_resources\"",
        entry.key
    );
    Some(Found { mark: entry.mark, message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{parse::parse, source::Limits};

    #[track_caller]
    fn check(text: &str, expected: Option<(u32, u32)>) {
        let limits = Limits::default();
        let found = detect(&parse(text, &limits).unwrap());
        assert_eq!(found.map(|found| (found.mark.line(), found.mark.column())), expected, "{text}");
    }

    #[test]
    fn the_old_format_is_recognised() {
        check("{\"listeners\": [], \"cluster_manager\": {\"clusters\": []}}", Some((1, 2)));
        check("{\"cluster_manager\": {\"clusters\": []}}", Some((1, 2)));
        check("cluster_manager: {local_cluster_name: a}", None);
        check("static_resources: {listeners: []}", None);
        check("", None);
    }
}
