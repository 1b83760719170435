//! What `doctor` found out, as data.

use std::borrow::Cow;

use serde::Serialize;

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DoctorView {
    /// Which kernel was asked.
    pub kernel: KernelView,
    /// What was found, by area.
    pub checks: Vec<Check>,
}

/// The running kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct KernelView {
    /// `6.12.0`, as `uname -r` says it.
    pub release: String,
    /// `x86_64`
    pub machine: String,
}

/// One thing that works or does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The group it belongs to.
    pub area: Area,
    /// What it is.
    pub name: Cow<'static, str>,
    /// Whether it works.
    pub state: State,
    /// What there is to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Why it does not work, or not all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The command or setting that changes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// A group of checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// Who may do what.
    Access,
    /// Switches of the kernel.
    Settings,
    /// What has to be mounted.
    FileSystems,
    /// Types of the kernel.
    Types,
    /// Where programs can be attached.
    Programs,
}

/// Whether something works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It does.
    Works,
    /// Not all of it does.
    Limited,
    /// It does not.
    No,
    /// The kernel's answer tells neither.
    Unknown,
}

impl State {
    /// As people read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Limited => "limited",
            Self::No => "no",
            Self::Unknown => "unknown",
        }
    }
}

impl Check {
    /// Something that works.
    #[must_use]
    pub fn works(area: Area, name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            area,
            name: name.into(),
            state: State::Works,
            detail: None,
            why: None,
            remedy: None,
        }
    }

    /// With what there is to know.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// In this state, because of that.
    #[must_use]
    pub fn but(mut self, state: State, why: impl Into<String>) -> Self {
        self.state = state;
        self.why = Some(why.into());
        self
    }

    /// With what changes it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}
