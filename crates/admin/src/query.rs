//! The query parameters of a request.

use percent_encoding::percent_decode_str;

/// Decoded parameters, in order. A name that is given twice has its first value, as in Envoy.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what stands behind the `?`. A plus sign stays one, because filters are regular expressions.
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(name), decode(value))
                })
                .collect(),
        )
    }

    /// The value of a parameter; empty where it was given without one.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter that is given and not empty.
    pub(crate) fn non_empty(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// Whether a switch is given. Envoy looks at its presence only, so `usedonly=false` is on too.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_the_first_of_a_name_wins() {
        fn check(query: &str, name: &str, expected: Option<&str>) {
            assert_eq!(Query::parse(Some(query)).get(name), expected, "{query}");
        }
        check("", "a", None);
        check("usedonly", "usedonly", Some(""));
        check("usedonly&filter=x", "filter", Some("x"));
        check("filter=a%2Bb+c", "filter", Some("a+b+c"));
        check("filter=serv%69ce%", "filter", Some("service%"));
        check("a=1&a=2", "a", Some("1"));
        check("a=b=c", "a", Some("b=c"));
        check("%66ilter=x", "filter", Some("x"));
        check("f=%ff", "f", Some("\u{fffd}"));
    }
}
