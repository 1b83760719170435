//! Tracepoints: programs that get what a tracepoint writes, through a perf event.

use super::perf::{self, PerfForm};
use super::{AttachError, Link};
use crate::tracefs::TraceFs;
use bpfsys::ProgFd;

/// A tracepoint, for programs of type `tracepoint`. Since Linux 4.7.
#[derive(Clone, Debug)]
#[doc(alias = "bpf_program__attach_tracepoint_opts")]
pub struct Tracepoint {
    category: String,
    name: String,
    cookie: u64,
    form: PerfForm,
}

impl Tracepoint {
    /// The tracepoint by its category and name: `sched`, `sched_switch`.
    pub fn new(category: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            category: category.into(),
            name: name.into(),
            cookie: 0,
            form: PerfForm::Best,
        }
    }

    /// What `bpf_get_attach_cookie` gives the program. Since Linux 5.15.
    #[must_use]
    pub fn cookie(mut self, cookie: u64) -> Self {
        self.cookie = cookie;
        self
    }

    /// By what the program is put on it.
    #[must_use]
    pub fn perf_form(mut self, form: PerfForm) -> Self {
        self.form = form;
        self
    }

    /// Attaches a program.
    ///
    /// # Errors
    /// There is no such tracepoint, tracefs is not mounted, or the program does not fit.
    pub fn attach(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        let id = TraceFs::find()?.event_id(&self.category, &self.name)?;
        let what = format!("tracepoint {}/{}", self.category, self.name);
        perf::on_tracepoint(
            id,
            prog,
            perf::all_processes(),
            self.form,
            self.cookie,
            what,
        )
    }
}
