//! What `demo scale` asks for.

use std::fmt;
use std::str::FromStr;

use crate::failure::Failure;
use crate::ports::{MAX_INSTANCES, SERVICES};

/// So many instances of one service, written as `service1=3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScaleRequest {
    /// The number in the service's name.
    pub service: u8,
    /// How many instances there shall be.
    pub count: u8,
}

impl FromStr for ScaleRequest {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let wrong = |reason: &str| Failure::new(format!("{text:?}: {reason}"));
        let (name, count) = text.split_once('=').ok_or_else(|| wrong("write it as service1=3"))?;
        let service = name
            .strip_prefix("service")
            .and_then(|number| number.parse().ok())
            .filter(|number| SERVICES.contains(number))
            .ok_or_else(|| wrong("the example's services are service1 and service2"))?;
        let count = count
            .parse()
            .ok()
            .filter(|count| *count <= MAX_INSTANCES)
            .ok_or_else(|| wrong(&format!("the number of instances is 0 to {MAX_INSTANCES}")))?;
        Ok(Self { service, count })
    }
}

impl fmt::Display for ScaleRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "service{}={}", self.service, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(u8, u8), &str>) {
        let parsed = text.parse().map(|ScaleRequest { service, count }| (service, count));
        assert_eq!(parsed, expected.map_err(Failure::new), "{text}");
    }

    #[test]
    fn reads_a_service_and_a_number() {
        check("service1=3", Ok((1, 3)));
        check("service2=0", Ok((2, 0)));
        check("service1", Err("\"service1\": write it as service1=3"));
        check("service3=1", Err("\"service3=1\": the example's services are service1 and service2"));
        check("service1=251", Err("\"service1=251\": the number of instances is 0 to 250"));
        check("service1=x", Err("\"service1=x\": the number of instances is 0 to 250"));
    }
}
