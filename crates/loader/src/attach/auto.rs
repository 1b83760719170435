//! Programs that attach to what the name of their section says.

use super::way::{Way, way};
use super::{
    AttachError, AttachTarget, Iter, Kprobe, KprobeMulti, Ksyscall, Link, Links, RawTracepoint,
    Tracepoint, Tracing, TracingMulti, Uprobe, UprobeMulti, Usdt, UsdtMaps, tracing,
};
use crate::kernel::{Loaded, LoadedProgram};
use crate::target::Running;
use bpfsys::ProgFd;
use std::collections::BTreeMap;

/// How one program attaches, beyond what its section says.
#[derive(Clone, Debug, Default)]
pub struct AutoOptions<'a> {
    /// What `bpf_get_attach_cookie` gives the program; 0 for nothing.
    pub cookie: u64,
    /// What it attaches to, for kinds whose sections do not say that.
    pub target: Option<AttachTarget<'a>>,
}

/// How the programs of an object attach.
#[derive(Clone, Debug, Default)]
pub struct AttachOptions<'a> {
    /// By name of the program, where there is something to say.
    pub programs: BTreeMap<String, AutoOptions<'a>>,
    /// Programs and maps, by their names, that are left as they are.
    pub leave: Vec<String>,
}

/// Attaches a program to what its section names. Nothing happens to one whose section names
/// nothing: that is not an error, and there is no link.
///
/// # Errors
/// The section names something that is not there, or the kernel refuses. Static probes also need
/// maps of the object: those attach by [`Loaded::attach_program`].
#[doc(alias = "bpf_program__attach")]
pub fn auto(program: &LoadedProgram) -> Result<Option<Link>, AttachError> {
    auto_with(program, &AutoOptions::default())
}

/// As [`auto`], with a cookie or a target.
///
/// # Errors
/// As [`auto`]; or the target is not of the kind that the program attaches to.
pub fn auto_with(
    program: &LoadedProgram,
    options: &AutoOptions<'_>,
) -> Result<Option<Link>, AttachError> {
    let ground = Ground {
        loaded: None,
        kernel: Running::new(),
    };
    ground.one(program, options)
}

/// What attaching may need to know beside the program.
struct Ground<'l> {
    loaded: Option<&'l Loaded>,
    kernel: Running,
}

impl Loaded {
    /// Attaches all programs whose sections say to what, and registers all struct_ops. If one of
    /// them fails, the others are detached.
    ///
    /// ```no_run
    /// use loader::kernel::LoadOptions;
    ///
    /// let object = loader::open("counter.bpf.o".as_ref())?;
    /// let loaded = object.load(&LoadOptions::new())?;
    /// let links = loaded.attach()?;
    /// println!("{} places", links.len());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// One of them cannot be attached.
    #[doc(alias = "bpf_object__attach_skeleton")]
    pub fn attach(&self) -> Result<Links, AttachError> {
        self.attach_with(&AttachOptions::default())
    }

    /// As [`attach`](Self::attach), with cookies and targets.
    ///
    /// # Errors
    /// One of them cannot be attached, or an option is for a program that is not there.
    pub fn attach_with(&self, options: &AttachOptions<'_>) -> Result<Links, AttachError> {
        for name in options.programs.keys() {
            if self.program(name).is_none() {
                return Err(AttachError::Missing {
                    what: "loaded program",
                    name: name.clone(),
                });
            }
        }
        let left = |name: &str| options.leave.iter().any(|left| left == name);
        let plain = AutoOptions::default();
        let ground = Ground {
            loaded: Some(self),
            kernel: Running::new(),
        };
        let mut links = Links::new();
        for program in self.programs() {
            if left(program.name()) || program.fd().is_none() {
                continue;
            }
            let how = options.programs.get(program.name()).unwrap_or(&plain);
            if let Some(link) = ground.one(program, how)? {
                links.push(link);
            }
        }
        for map in self.maps() {
            if map.is_struct_ops() && map.fd().is_some() && !left(map.symbol()) {
                links.push(self.struct_ops(map.symbol())?.attach()?);
            }
        }
        Ok(links)
    }

    /// Attaches one program of the object, as [`auto_with`].
    ///
    /// # Errors
    /// There is no such program, or as [`auto_with`].
    pub fn attach_program(
        &self,
        name: &str,
        options: &AutoOptions<'_>,
    ) -> Result<Option<Link>, AttachError> {
        let program = self.program(name).ok_or_else(|| AttachError::Missing {
            what: "loaded program",
            name: name.to_owned(),
        })?;
        let ground = Ground {
            loaded: Some(self),
            kernel: Running::new(),
        };
        ground.one(program, options)
    }
}

impl Ground<'_> {
    fn one(
        &self,
        program: &LoadedProgram,
        options: &AutoOptions<'_>,
    ) -> Result<Option<Link>, AttachError> {
        let Some(fd) = program.fd() else {
            return Err(AttachError::Program {
                program: program.name().to_owned(),
                why: "has no descriptor any more".into(),
            });
        };
        self.attach(program, fd, options)
            .map_err(|source| AttachError::Auto {
                program: program.name().to_owned(),
                section: program.section().to_owned(),
                source: Box::new(source),
            })
    }

    fn attach(
        &self,
        program: &LoadedProgram,
        prog: &ProgFd,
        options: &AutoOptions<'_>,
    ) -> Result<Option<Link>, AttachError> {
        let cookie = options.cookie;
        let section = program.section();
        let way = way(section)?;
        if let Some(target) = &options.target {
            return to_target(&way, program, prog, target, cookie).map(Some);
        }
        let link = match way {
            Way::Open => return Ok(None),
            Way::Kprobe {
                function,
                offset,
                returns,
            } => {
                let kprobe = Kprobe::new(function).offset(offset).cookie(cookie);
                if returns { kprobe.returns() } else { kprobe }.attach(prog)
            }
            Way::Ksyscall { name, returns } => {
                let call = Ksyscall::new(name).cookie(cookie);
                if returns { call.returns() } else { call }.attach(prog)
            }
            Way::KprobeMulti {
                pattern,
                returns,
                session,
            } => {
                let mut many = KprobeMulti::matching(pattern).cookie(cookie);
                if returns {
                    many = many.returns();
                }
                if session {
                    many = many.session();
                }
                many.attach(prog)
            }
            Way::Tracepoint { category, name } => {
                Tracepoint::new(category, name).cookie(cookie).attach(prog)
            }
            Way::RawTracepoint(name) => RawTracepoint::new(name).cookie(cookie).attach(prog),
            Way::Resolved => Tracing::new(program.attach_type())
                .named(section)
                .cookie(cookie)
                .attach(prog),
            Way::Iter => Iter::all().attach(prog),
            Way::TracingMulti { module, pattern } => {
                let module = module.or_else(|| program.module());
                TracingMulti::matching(program.attach_type(), pattern, module, &self.kernel)?
                    .cookie(cookie)
                    .attach(prog)
            }
            Way::Uprobe {
                path,
                function,
                offset,
                returns,
            } => {
                let uprobe = Uprobe::new(path)
                    .symbol(function)
                    .plus(offset)
                    .cookie(cookie);
                if returns { uprobe.returns() } else { uprobe }.attach(prog)
            }
            Way::UprobeMulti {
                path,
                pattern,
                returns,
                session,
            } => {
                let mut many = UprobeMulti::new(path).matching(pattern).cookie(cookie);
                if returns {
                    many = many.returns();
                }
                if session {
                    many = many.session();
                }
                many.attach(prog)
            }
            Way::Usdt {
                path,
                provider,
                name,
            } => {
                let loaded = self.loaded.ok_or_else(|| AttachError::Program {
                    program: program.name().to_owned(),
                    why: "is for a static probe, and attaches with the maps of its object".into(),
                })?;
                let maps = UsdtMaps::of(loaded)?;
                Usdt::new(path, provider, name)
                    .cookie(cookie)
                    .attach(&maps, prog)
            }
        };
        link.map(Some)
    }
}

/// Attaches to what the caller says instead of the section.
fn to_target(
    way: &Way<'_>,
    program: &LoadedProgram,
    prog: &ProgFd,
    target: &AttachTarget<'_>,
    cookie: u64,
) -> Result<Link, AttachError> {
    match (way, target) {
        (Way::Iter, AttachTarget::Iter(spec)) => Iter::over(*spec).attach(prog),
        (Way::Resolved, AttachTarget::Program { prog: of, function }) => {
            Tracing::new(program.attach_type())
                .named(program.section())
                .target(of, tracing::function_of(of, function)?)
                .cookie(cookie)
                .attach(prog)
        }
        _ => target.attach(program, prog, cookie),
    }
}
