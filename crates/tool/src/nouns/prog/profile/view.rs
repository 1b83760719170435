//! What was counted while a program ran.

use serde::Serialize;

/// All metrics that were asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct ProfileView(pub Vec<MetricView>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricView {
    /// Its name.
    pub metric: &'static str,
    /// How often the program ran.
    pub run_cnt: u64,
    /// What was counted.
    pub value: u64,
    /// Nanoseconds in which it should have been counted.
    pub enabled: u64,
    /// Nanoseconds in which it was: there are fewer counters than metrics.
    pub running: u64,
    /// What text shows it in relation to.
    #[serde(skip)]
    pub ratio: Option<Ratio>,
}

/// A metric in relation to another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// The other one.
    pub to: &'static str,
    /// For so many of it.
    pub per: f64,
    /// `insns per cycle`
    pub unit: &'static str,
}

/// What a counter said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// Events.
    pub counter: u64,
    /// Nanoseconds since it was asked for.
    pub enabled: u64,
    /// Nanoseconds in which it counted.
    pub running: u64,
}
