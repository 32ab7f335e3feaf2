//! A request that owns its parts.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use nuncio_router::RequestHead;

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) authority: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
}

impl Request {
    pub(crate) fn get(path: &str) -> Self {
        let (method, headers) = (Method::GET, HeaderMap::new());
        Self { method, authority: String::new(), path: path.to_owned(), headers }
    }

    pub(crate) fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name = HeaderName::try_from(name).expect("the name is one of a header");
        self.headers
            .append(name, HeaderValue::from_bytes(value.as_ref()).expect("the value is one of a header"));
        self
    }

    pub(crate) fn head(&self) -> RequestHead<'_> {
        RequestHead::new(&self.method, &self.authority, &self.path, &self.headers)
    }
}
