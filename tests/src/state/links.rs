//! Links of every kind that can be made here, on targets of our own.

mod iter;
mod net;
mod ops;
mod probe;
mod trace;

use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result};
use bpfsys::cmd::RawTracepointOpen;
use bpfsys::{AttachType, LinkFd, MapFd, ProgFd, ProgType};
use btf::Btf;

use super::Needs;
use super::progs::{simple_of, tracing};
use super::types::Types;
use crate::Private;

pub use ops::congestion_control;

/// A link with what must live as long as it.
#[derive(Debug)]
pub struct Held {
    /// What kind it is, for messages.
    pub label: &'static str,
    /// The link.
    pub link: LinkFd,
    /// Its program; a `struct_ops` link has none.
    pub prog: Option<ProgFd>,
    /// Events, directories, maps, and what else is in the way of the link's end.
    _with: Vec<OwnedFd>,
}

impl Held {
    fn new(link: LinkFd, prog: ProgFd) -> Self {
        Self {
            label: "",
            link,
            prog: Some(prog),
            _with: Vec::new(),
        }
    }

    fn with(mut self, held: impl Into<OwnedFd>) -> Self {
        self._with.push(held.into());
        self
    }
}

/// What links are made of and attached to.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// Where it happens.
    pub private: &'a Private,
    /// The types of the running kernel.
    pub kernel: &'a Btf<'a>,
    /// Types of our own.
    pub types: &'a Types,
    /// A map whose elements can be walked.
    pub map: &'a MapFd,
}

/// How to make a kind of link.
#[derive(Debug, Clone, Copy)]
pub struct LinkRecipe {
    /// The name of its type, and what tells it from others of that type.
    pub label: &'static str,
    /// The first kernel that has it, where not every supported one does.
    pub since: (u16, u16),
    /// The option that the kernel must be built with, where not every one is.
    pub config: Option<&'static str>,
    /// Does it change how the kernel itself runs? That is done to guests only.
    pub whole_machine: bool,
    /// Does nothing of what is shown of it differ from what is shown of another?
    pub alike: bool,
    /// Have stable kernels taken it over, so that some before `since` have it?
    pub backported: bool,
    make: fn(&Ground<'_>) -> Result<Held>,
}

const fn link(
    label: &'static str,
    since: (u16, u16),
    make: fn(&Ground<'_>) -> Result<Held>,
) -> LinkRecipe {
    LinkRecipe {
        label,
        since,
        config: None,
        whole_machine: false,
        alike: false,
        backported: false,
        make,
    }
}

impl LinkRecipe {
    const fn config(self, option: &'static str) -> Self {
        Self {
            config: Some(option),
            ..self
        }
    }

    const fn whole_machine(self) -> Self {
        Self {
            whole_machine: true,
            ..self
        }
    }

    const fn alike(self) -> Self {
        Self {
            alike: true,
            ..self
        }
    }

    const fn backported(self) -> Self {
        Self {
            backported: true,
            ..self
        }
    }

    /// Makes the link.
    ///
    /// # Errors
    ///
    /// The kernel's, with a [`Needs`] in the chain; a skip where this machine is not ours to
    /// change.
    pub fn make(&self, ground: &Ground<'_>) -> Result<Held> {
        let made = if self.whole_machine && std::env::var_os("RBPF_GUEST").is_none() {
            Err(crate::skip("is attached to the kernel itself: guests only"))
        } else {
            (self.make)(ground)
        };
        let label = self.label;
        made.map(|held| Held { label, ..held })
            .context(Needs(self.since))
    }
}

/// Since ever, as far as this toolkit is concerned.
const ALWAYS: (u16, u16) = (0, 0);

/// Every kind of link.
#[must_use]
pub fn link_recipes() -> Vec<LinkRecipe> {
    let mut all = vec![
        link("raw_tracepoint", ALWAYS, |_| raw_tracepoint(0)),
        link("raw_tracepoint cookie", (6, 10), |_| raw_tracepoint(0x1122)),
        link("raw_tracepoint with BTF", ALWAYS, |g| tp_btf(g.kernel)),
    ];
    all.extend(iter::RECIPES);
    all.extend(net::RECIPES);
    all.extend(probe::RECIPES);
    all.extend(trace::RECIPES);
    all.extend(ops::RECIPES);
    all
}

/// A link, or why there is none: the label of its kind, and the link. Every error has a
/// [`Needs`] in its chain.
pub type Attempt = (&'static str, Result<Held>);

/// One of each kind that is shown in a way of its own. What cannot be made is an error of its
/// own.
pub fn one_of_each(
    private: &Private,
    kernel: &Btf<'_>,
    types: &Types,
    map: &MapFd,
) -> Vec<Attempt> {
    let ground = Ground {
        private,
        kernel,
        types,
        map,
    };
    link_recipes()
        .iter()
        .filter(|recipe| !recipe.alike)
        .map(|recipe| (recipe.label, recipe.make(&ground)))
        .collect()
}

/// A tracepoint that hardly ever fires, so that nothing on the machine slows
/// down while a program is attached to it.
pub const QUIET_TRACEPOINT: &str = "xdp_exception";

fn raw_tracepoint(cookie: u64) -> Result<Held> {
    let prog = simple_of(ProgType::RAW_TRACEPOINT)?;
    let link = RawTracepointOpen::new(Some(QUIET_TRACEPOINT), &prog)
        .cookie(cookie)
        .run()?;
    Ok(Held::new(link, prog))
}

fn tp_btf(kernel: &Btf<'_>) -> Result<Held> {
    let target = format!("btf_trace_{QUIET_TRACEPOINT}");
    let prog = tracing(kernel, "l_tp_btf", AttachType::TRACE_RAW_TP, &target)?;
    let link = RawTracepointOpen::new(None, &prog).run()?;
    Ok(Held::new(link, prog))
}
