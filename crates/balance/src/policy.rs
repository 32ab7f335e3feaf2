//! How hosts are chosen, as configured.

/// A load balancing policy (`cluster.v3.Cluster.lb_policy`).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Policy {
    /// `ROUND_ROBIN`: one after the other, by weight.
    #[default]
    RoundRobin,
    /// `RANDOM`: any host with equal chance, whatever its weight.
    Random,
    /// `LEAST_REQUEST`: hosts with few requests under way first.
    LeastRequest(LeastRequest),
}

/// What there is to set for [`Policy::LeastRequest`] (`Cluster.LeastRequestLbConfig`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LeastRequest {
    pub(crate) choice_count: u32,
    active_request_bias: f64,
}

impl LeastRequest {
    /// Envoy's defaults.
    #[must_use]
    pub fn new() -> Self {
        Self { choice_count: 2, active_request_bias: 1.0 }
    }

    /// `choice_count`: how many hosts are drawn, with repetition, to take the least busy of; 2 by default. At least
    /// one is drawn.
    #[must_use]
    pub fn choice_count(self, choice_count: u32) -> Self {
        Self { choice_count: choice_count.max(1), ..self }
    }

    /// `active_request_bias`: how strongly requests under way reduce a host's weight, where weights are unequal; 1 by
    /// default, 0 is round robin. As in Envoy, a negative number or NaN counts as 1.
    #[must_use]
    pub fn active_request_bias(self, bias: f64) -> Self {
        Self { active_request_bias: if bias >= 0.0 { bias } else { 1.0 }, ..self }
    }

    /// The weight that is left of `weight` with so many requests under way.
    pub(crate) fn weight(&self, weight: f64, active: u64) -> f64 {
        // So little weight is left by no sensible bias; less would send a host away for good.
        const LEAST: f64 = 1e-9;
        let load = active as f64 + 1.0;
        let bias = self.active_request_bias;
        let divisor = if bias == 1.0 { load } else { load.powf(bias) };
        (weight / divisor).max(LEAST)
    }
}

impl Default for LeastRequest {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weight_under_load() {
        fn check(bias: f64, weight: f64, active: u64, expected: f64) {
            let policy = LeastRequest::new().active_request_bias(bias);
            assert_eq!(policy.weight(weight, active), expected, "{bias} {weight} {active}");
        }
        check(1.0, 6.0, 0, 6.0);
        check(1.0, 6.0, 2, 2.0);
        check(2.0, 18.0, 2, 2.0);
        check(0.0, 6.0, 100, 6.0);
        check(-1.0, 6.0, 2, 2.0);
        check(f64::NAN, 6.0, 2, 2.0);
        check(f64::INFINITY, 6.0, 2, 1e-9);
    }

    #[test]
    fn at_least_one_choice() {
        assert_eq!(LeastRequest::new().choice_count, 2);
        assert_eq!(LeastRequest::new().choice_count(0).choice_count, 1);
    }
}
