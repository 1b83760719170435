//! Programs that attach to what their load resolved in the kernel's types: entries and exits of
//! functions, BTF tracepoints, security hooks, functions of other programs.

use super::{AttachError, Link};
use bpfsys::BtfFd;
use bpfsys::cmd::link::LinkTarget;
use bpfsys::cmd::{LinkCreate, RawTracepointOpen};
use bpfsys::{AttachType, ProgFd};
use btf::{Btf, Kind};
use nix::errno::Errno;

/// Where a program's load said that it goes: fentry, fexit, fmod_ret, fsession, tp_btf, lsm,
/// freplace. Since Linux 5.5.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "bpf_program__attach_trace")]
#[doc(alias = "bpf_program__attach_lsm")]
#[doc(alias = "bpf_program__attach_freplace")]
pub struct Tracing<'a> {
    attach_type: AttachType,
    what: &'a str,
    cookie: u64,
    target: Option<(&'a ProgFd, u32)>,
}

impl<'a> Tracing<'a> {
    /// For a program that was loaded with this attach type (0 for freplace).
    #[must_use]
    pub fn new(attach_type: AttachType) -> Self {
        Self {
            attach_type,
            what: "what the program was loaded for",
            cookie: 0,
            target: None,
        }
    }

    /// What it is called in messages: `fentry/do_nanosleep`.
    #[must_use]
    pub fn named(mut self, what: &'a str) -> Self {
        self.what = what;
        self
    }

    /// What `bpf_get_attach_cookie` gives the program. Since Linux 5.19, for BTF tracepoints
    /// since 6.10.
    #[must_use]
    pub fn cookie(mut self, cookie: u64) -> Self {
        self.cookie = cookie;
        self
    }

    /// Another program than the one named at load, and the id of the function in its types. Since
    /// Linux 5.10.
    #[must_use]
    pub fn target(mut self, prog: &'a ProgFd, func: u32) -> Self {
        self.target = Some((prog, func));
        self
    }

    /// Attaches a program.
    ///
    /// # Errors
    /// The kernel does not let programs run there, something with which this does not go together
    /// is there already, or the program was loaded for something else.
    pub fn attach(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        let what = self.what;
        let target = LinkTarget::Tracing {
            attach_type: self.attach_type,
            target: self.target,
            cookie: self.cookie,
        };
        let made = match LinkCreate::new(prog, target).run() {
            // Links of this kind came later than the programs, first without the raw kinds. The
            // older command takes a cookie for those only, and drops that of others.
            Err(error)
                if self.target.is_none()
                    && (self.cookie == 0 || self.attach_type == AttachType::TRACE_RAW_TP)
                    && (error.is(Errno::EINVAL) || error.is(Errno::EOPNOTSUPP)) =>
            {
                let raw = RawTracepointOpen::new(None, prog).cookie(self.cookie);
                raw.run().map_err(|_second_answer| error)
            }
            made => made,
        };
        match made {
            Ok(link) => Ok(Link::new(what, link)),
            Err(source) => Err(AttachError::kernel(format!("attach to {what}"), source)),
        }
    }
}

/// The id of a function in the types of a loaded program, for [`Tracing::target`].
///
/// # Errors
/// The program has no types, or none of a function with that name.
#[doc(alias = "libbpf_find_prog_btf_id")]
pub fn function_of(prog: &ProgFd, name: &str) -> Result<u32, AttachError> {
    let missing = || AttachError::Missing {
        what: "function of the program named",
        name: name.to_owned(),
    };
    let failed = |source| AttachError::kernel("read the types of a program", source);
    let id = prog.info().map_err(failed)?.btf_id;
    let id = bpfsys::BtfId::new(id).ok_or_else(missing)?;
    let data = BtfFd::by_id(id).and_then(|types| types.data());
    let types = Btf::parse(data.map_err(failed)?).map_err(|_damaged| missing())?;
    let found = types.find_by_name_kind(name.as_bytes(), Kind::Func);
    found.map(btf::TypeId::get).ok_or_else(missing)
}
