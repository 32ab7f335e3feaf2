//! The `date` header, formatted once a second per thread.

use std::{
    cell::RefCell,
    time::{SystemTime, UNIX_EPOCH},
};

use http::HeaderValue;

struct Cached {
    second: u64,
    value: HeaderValue,
}

thread_local! {
    static CACHED: RefCell<Cached> = const {
        RefCell::new(Cached { second: u64::MAX, value: HeaderValue::from_static("") })
    };
}

/// The time now as an IMF-fixdate (RFC 9110, 5.6.7).
pub(crate) fn now() -> HeaderValue {
    let now = SystemTime::now();
    let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    CACHED.with_borrow_mut(|cached| {
        if cached.second != second {
            let text = httpdate::fmt_http_date(now);
            *cached = Cached {
                second,
                value: HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("")),
            };
        }
        cached.value.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_an_imf_fixdate_of_now() {
        let text = now();
        let parsed = httpdate::parse_http_date(text.to_str().unwrap()).unwrap();
        assert!(SystemTime::now().duration_since(parsed).unwrap().as_secs() <= 2);
        assert_eq!(text.len(), 29);
    }
}
