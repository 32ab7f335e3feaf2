//! The IP tagging filter. Its ranges were strings; later configurations have today's message here.

use super::{
    address,
    fields::{Fields, list},
    network_filter::free_form,
    reader::{NOBODY_IS_INTERNAL, Object, Upgrade},
    schema::{Schema, choice, list as list_key, texts, word},
};
use crate::tree::{Node, Value};

const TYPE: &str = "envoy.extensions.filters.http.ip_tagging.v3.IPTagging";

const WORDS: &[(&str, &str)] = &[("both", "BOTH"), ("internal", "INTERNAL"), ("external", "EXTERNAL")];

const FILTER: Schema = Schema::new(
    "a v1 IP tagging filter",
    &[choice("request_type", WORDS), list_key("ip_tags", 1).required()],
);

const TAG: Schema =
    Schema::new("a v1 IP tag", &[word("ip_tag_name").required(), texts("ip_list").required()]);

pub(super) fn upgrade<'t>(up: &mut Upgrade<'_, 't>, filter: &Object<'_, '_, 't>) -> Option<Fields<'t>> {
    let config = filter.get("config")?;
    if !has_text_ranges(config) {
        let at = filter.path.field("config");
        if let Some(kind) = config.get("request_type")
            && kind.value.scalar().is_some_and(|kind| !kind.text.eq_ignore_ascii_case("both"))
        {
            up.lossy(kind.value.mark, &at.field("request_type"), NOBODY_IS_INTERNAL);
        }
        return free_form(up, filter, TYPE);
    }
    up.child(filter, "config", &FILTER, |up, config| {
        if config.choice("request_type").is_some_and(|kind| kind != "BOTH") {
            up.trusts_nobody(config, "request_type");
        }
        Fields::of_type(config.mark, TYPE)
            .with("request_type", config.chosen("request_type"))
            .with("ip_tags", up.each(config, "ip_tags", &TAG, tag))
    })
}

/// Whether the ranges are strings, as the first versions of the filter had them.
fn has_text_ranges(config: &Node<'_>) -> bool {
    let items = |node: &Node<'_>, is: &dyn Fn(&Node<'_>) -> bool| match node.resolved() {
        Value::List(items) => items.iter().any(is),
        _ => false,
    };
    config.get("ip_tags").is_some_and(|tags| {
        items(&tags.value, &|tag| {
            tag.get("ip_list").is_some_and(|list| items(&list.value, &|range| range.scalar().is_some()))
        })
    })
}

fn tag<'t>(up: &mut Upgrade<'_, 't>, tag: &Object<'_, '_, 't>) -> Option<Node<'t>> {
    let at = tag.path.field("ip_list");
    let mut ranges = Vec::new();
    for (index, (mark, range)) in tag.texts("ip_list").into_iter().enumerate() {
        ranges.extend(address::cidr(up, mark, &at.index(index), range).map(|range| range.node(mark)));
    }
    let fields = Fields::at(tag.mark).with("ip_tag_name", tag.copied("ip_tag_name"));
    Some(fields.with("ip_list", list(tag.mark_of("ip_list"), ranges)).node())
}
