//! Tags: the parts of a stat's name that Prometheus shows as labels.
//!
//! Envoy names a stat `cluster.service1.upstream_rq_200` and takes two tags out of it, the cluster's name and the
//! response code, which leaves `cluster.upstream_rq`. What is a tag follows from rules about the name alone. They
//! are applied when stats are read, never when they are written.

use std::collections::HashMap;
use std::ops::Range;

use regex_automata::meta;

use crate::query::QueryError;

mod pattern;

use pattern::{Name, Pattern};

/// Envoy's default rules. The order decides the order of the labels.
///
/// A pattern is a list of the name's segments, in the language of [`pattern`]; the number says how many segments
/// before the tag leave the name together with it.
const DEFAULTS: &[(&str, &str, usize)] = &[
    ("envoy.worker_id", "listener.@.$worker.**", 0),
    ("envoy.worker_id", "server.$worker.**", 0),
    ("envoy.worker_id", "listener_manager.$worker.**", 0),
    ("envoy.worker_id", "thread_local_cluster_manager.$worker.**", 0),
    ("envoy.ssl_version", "listener.@.ssl.versions.$tls", 0),
    ("envoy.ssl_version", "cluster.*.ssl.versions.$tls", 0),
    ("envoy.ssl_curve", "listener.@.ssl.curves.$word", 0),
    ("envoy.ssl_curve", "cluster.*.ssl.curves.$word", 0),
    ("envoy.ssl_sigalg", "listener.@.ssl.sigalgs.$word", 0),
    ("envoy.ssl_sigalg", "cluster.*.ssl.sigalgs.$word", 0),
    ("envoy.tls_certificate", "listener.@.ssl.certificate.$.**", 0),
    ("envoy.tls_certificate", "cluster.*.ssl.certificate.$.**", 0),
    ("envoy.local_http_ratelimit_prefix", "$.http_local_rate_limit.**", 0),
    ("envoy.rbac_prefix", "$.rbac.**", 0),
    ("envoy.dynamo_partition_id", "http.*.dynamodb.table.*.capacity.*.$partition", 0),
    ("envoy.dynamo_operation", "http.*.dynamodb.operation.$.***", 0),
    ("envoy.dynamo_operation", "http.*.dynamodb.table.*.capacity.$.***", 0),
    ("envoy.mongo_callsite", "mongo.*.collection.*.callsite.$.query.**", 0),
    ("envoy.dynamo_table", "http.*.dynamodb.table.$.**", 0),
    ("envoy.dynamo_table", "http.*.dynamodb.error.$.**", 0),
    ("envoy.mongo_collection", "mongo.*.collection.$.**.query.*", 0),
    ("envoy.mongo_cmd", "mongo.*.cmd.$.**", 0),
    ("envoy.grpc_bridge_method", "cluster.*.grpc.*.$.**", 0),
    ("envoy.http_user_agent", "http.*.user_agent.$.**", 0),
    ("envoy.virtual_cluster", "vhost.*.vcluster.$.**", 0),
    ("envoy.fault_downstream_cluster", "http.*.fault.$.**", 0),
    ("envoy.ssl_cipher", "listener.**.ssl.ciphers.$word", 0),
    ("cipher_suite", "cluster.*.ssl.ciphers.$word", 0),
    ("envoy.grpc_bridge_service", "cluster.*.grpc.$.**", 0),
    ("envoy.tcp_prefix", "tcp.$.**", 0),
    ("envoy.udp_prefix", "udp.$.**", 0),
    ("envoy.clientssl_prefix", "auth.clientssl.$.**", 0),
    ("envoy.ratelimit_prefix", "ratelimit.$.**", 0),
    ("envoy.health_check_name", "cluster.*.health_check.name.$.**", 1),
    ("envoy.cluster_name", "cluster.$.**", 0),
    ("envoy.rds_route_config", "http.*.rds.$names.*", 0),
    ("envoy.scoped_rds_config", "http.*.scoped_rds.$names.*", 0),
    ("envoy.http_conn_manager_prefix", "listener.**.http.$.**", 0),
    ("envoy.ext_authz_prefix", "http.*.ext_authz.$.**", 0),
    ("envoy.rbac_policy_name", "http.*.rbac.policy.$.*", 0),
    ("envoy.rbac_policy_name", "http.*.rbac.*.policy.$.*", 0),
    ("envoy.rbac_http_prefix", "http.*.rbac.$!policy.**", 0),
    ("envoy.http_conn_manager_prefix", "http.$.**", 0),
    ("envoy.listener_address", "listener.$@.**", 0),
    ("envoy.virtual_host", "vhost.$.**", 0),
    ("envoy.mongo_prefix", "mongo.$.**", 0),
    ("envoy.thrift_prefix", "thrift.$.**", 0),
    ("envoy.redis_prefix", "redis.$.**", 0),
    ("envoy.dns_filter_prefix", "dns_filter.$.**", 0),
    ("envoy.connection_limit_prefix", "connection_limit.$.**", 0),
    ("envoy.local_network_ratelimit_prefix", "local_rate_limit.$.**", 0),
    ("envoy.local_listener_ratelimit_prefix", "listener_local_ratelimit.$.**", 0),
    ("envoy.google_grpc_client_prefix", "grpc.$.**", 0),
    ("envoy.proxy_protocol_prefix", "proxy_proto.$!versions.**", 0),
    ("envoy.proxy_protocol_version", "proxy_proto.*.versions.$version.*", 1),
    ("envoy.proxy_protocol_version", "proxy_proto.versions.$version.*", 1),
    ("envoy.xds_resource_name", "sds.$.**", 0),
    ("envoy.route", "vhost.*.route.$.**", 0),
    ("envoy.ext_authz_prefix", "cluster.*.ext_authz.$.**", 0),
];

const RESPONSE_CODE: &str = "envoy.response_code";
const RESPONSE_CODE_CLASS: &str = "envoy.response_code_class";

/// Which tags are taken out of the names of stats (`stats_config.stats_tags`). The default has Envoy's rules.
#[derive(Clone, Debug)]
pub struct TagRules {
    defaults: Option<Defaults>,
    fixed: Vec<(String, String)>,
    expressions: Vec<(String, meta::Regex)>,
}

/// The default rules by the first segment of the names that they apply to.
#[derive(Clone, Debug, Default)]
struct Defaults {
    any: Vec<(&'static str, Pattern)>,
    rooted: HashMap<&'static str, Vec<(&'static str, Pattern)>>,
}

/// A name without its tags, and the tags. Reused from name to name, so that reading many does not allocate for each.
#[derive(Debug, Default)]
pub(crate) struct Extracted {
    /// The name without its tags.
    pub(crate) name: String,
    tags: Vec<(Tag, Range<usize>)>,
    removed: Vec<Range<usize>>,
    dots: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Tag {
    Known(&'static str),
    Expression(usize),
}

impl Default for TagRules {
    fn default() -> TagRules {
        let mut defaults = Defaults::default();
        for (tag, text, before) in DEFAULTS {
            let pattern = Pattern::new(text, *before);
            match pattern.root() {
                Some(root) => defaults.rooted.entry(root).or_default().push((tag, pattern)),
                None => defaults.any.push((tag, pattern)),
            }
        }
        TagRules { defaults: Some(defaults), ..TagRules::none() }
    }
}

impl TagRules {
    /// No rules: every name stays whole (`use_all_default_tags: false`).
    pub fn none() -> TagRules {
        TagRules { defaults: None, fixed: Vec::new(), expressions: Vec::new() }
    }

    /// Gives every stat a tag of a fixed value.
    #[must_use]
    pub fn with_fixed(mut self, tag: &str, value: &str) -> TagRules {
        self.fixed.push((tag.to_owned(), value.to_owned()));
        self
    }

    /// Takes a tag out of each name in which the expression is found. Its first group leaves the name; the second,
    /// or else the first, is the tag's value.
    ///
    /// # Errors
    /// Where the expression is malformed, or has no group.
    pub fn with_expression(mut self, tag: &str, expression: &str) -> Result<TagRules, QueryError> {
        let regex = crate::query::compile(expression)?;
        if regex.captures_len() < 2 {
            return Err(QueryError(format!("No capture group in the expression of tag {tag}: {expression}")));
        }
        self.expressions.push((tag.to_owned(), regex));
        Ok(self)
    }

    /// Takes the tags out of a name.
    pub(crate) fn extract(&self, full: &str, into: &mut Extracted) {
        into.tags.clear();
        into.removed.clear();
        if let Some(defaults) = &self.defaults {
            into.response_code(full);
            into.dots.clear();
            into.dots.extend(full.bytes().enumerate().filter(|(_, b)| *b == b'.').map(|(at, _)| at));
            let name = Name::new(full, &into.dots);
            let rooted = defaults.rooted.get(name.root()).into_iter().flatten();
            for (tag, pattern) in defaults.any.iter().chain(rooted) {
                if let Some(found) = pattern.find(name) {
                    into.tags.push((Tag::Known(tag), found.value));
                    into.removed.push(found.removed);
                }
            }
        }
        for (i, (_, regex)) in self.expressions.iter().enumerate() {
            let mut captures = regex.create_captures();
            regex.captures(full, &mut captures);
            if let Some(removed) = captures.get_group(1) {
                let value = captures.get_group(2).unwrap_or(removed);
                into.tags.push((Tag::Expression(i), value.range()));
                into.removed.push(removed.range());
            }
        }
        into.leave_out_removed(full);
    }

    /// The tags that [`extract`](Self::extract) found in the name.
    pub(crate) fn tags<'a>(
        &'a self,
        full: &'a str,
        extracted: &'a Extracted,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let fixed = self.fixed.iter().map(|(tag, value)| (tag.as_str(), value.as_str()));
        let found = extracted.tags.iter().filter_map(move |(tag, value)| {
            let tag = match tag {
                Tag::Known(tag) => tag,
                Tag::Expression(i) => self.expressions.get(*i)?.0.as_str(),
            };
            Some((tag, full.get(value.clone())?))
        });
        fixed.chain(found)
    }
}

impl Extracted {
    /// `…_rq_200` loses `_200`; `…_rq_2xx` loses the 2.
    fn response_code(&mut self, full: &str) {
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let Some((head, code)) = full.len().checked_sub(3).and_then(|at| full.split_at_checked(at)) else {
            return;
        };
        if !head.ends_with("_rq_") {
            return;
        }
        let at = head.len();
        if digits(code) {
            self.tags.push((Tag::Known(RESPONSE_CODE), at..full.len()));
            self.removed.push(at - 1..full.len());
        } else if code.ends_with("xx") && code.starts_with(|c: char| c.is_ascii_digit()) {
            self.tags.push((Tag::Known(RESPONSE_CODE_CLASS), at..at + 1));
            self.removed.push(at..at + 1);
        }
    }

    fn leave_out_removed(&mut self, full: &str) {
        self.name.clear();
        self.removed.sort_unstable_by_key(|range| range.start);
        let mut at = 0;
        for range in &self.removed {
            self.name.push_str(full.get(at..range.start).unwrap_or_default());
            at = at.max(range.end);
        }
        self.name.push_str(full.get(at..).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests;
