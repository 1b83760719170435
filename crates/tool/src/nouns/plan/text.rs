//! Plans as text: the loader's own.

use std::io::{self, Write};

use loader::relocate::LoadPlan;
use serde::{Serialize, Serializer};

use super::view::PlanView;
use crate::render::View;

/// A plan in both its forms.
#[derive(Debug)]
pub(super) struct Shown<'p> {
    pub(super) plan: &'p LoadPlan,
    pub(super) view: &'p PlanView,
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.view.serialize(serializer)
    }
}

impl View for Shown<'_> {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{}", self.plan)
    }
}
