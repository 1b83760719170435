//! Entries and exits of many functions by trampoline, in one link.

use super::functions;
use super::kprobe_multi::Cookies;
use super::{AttachError, Link, glob};
use crate::target::Target;
use bpfsys::cmd::LinkCreate;
use bpfsys::cmd::link::LinkTarget;
use bpfsys::{AttachType, ProgFd};
use btf::{Btf, Kind, Type, TypeId};
use std::collections::HashSet;
use std::fmt;

/// Arguments that a trampoline can pass on at most.
const MAX_ARGS: usize = 12;
/// Bytes of an argument that it can pass on at most.
const MAX_ARG_SIZE: u64 = 16;

/// Entries, exits or both of any number of functions, for programs that were loaded for that
/// (`fentry.multi`, `fexit.multi`, `fsession.multi`). Since Linux 7.2.
#[derive(Clone, Debug)]
#[doc(alias = "bpf_program__attach_tracing_multi")]
pub struct TracingMulti<'a> {
    attach_type: AttachType,
    what: String,
    ids: Vec<u32>,
    cookies: Cookies<'a>,
}

impl<'a> TracingMulti<'a> {
    /// Functions by their ids in the types of the kernel, or in those of the module that the
    /// program was loaded for.
    #[must_use]
    pub fn new(attach_type: AttachType, ids: &[u32]) -> Self {
        Self {
            attach_type,
            what: format!("{} functions", ids.len()),
            ids: ids.to_vec(),
            cookies: Cookies::None,
        }
    }

    /// Every function that a pattern fits and that can be traced, of the kernel proper, or of the
    /// module that the program was loaded for.
    ///
    /// # Errors
    /// There is none, or the types cannot be read.
    pub fn matching(
        attach_type: AttachType,
        pattern: &str,
        module: Option<&str>,
        kernel: &dyn Target,
    ) -> Result<Self, AttachError> {
        let module = module.filter(|module| *module != "vmlinux");
        let missing = |what, name: &str| AttachError::Missing {
            what,
            name: name.to_owned(),
        };
        let types = |source| AttachError::Types {
            source: Box::new(source),
        };
        let btf = match module {
            None => kernel.vmlinux().map_err(types)?,
            Some(name) => match kernel.module(name).map_err(types)? {
                Some(module) => &module.btf,
                None => return Err(missing("module", name)),
            },
        };
        // Types tell of functions that nothing can be attached to. Where the kernel says which
        // these are they are left out, and a plain name is left to its answer.
        let listed = match glob::is_pattern(pattern) {
            true => functions::all_names().ok(),
            false => None,
        };
        let listed: Option<HashSet<&[u8]>> = listed.as_deref().map(|list| {
            functions::names(list)
                .filter(|(_, of)| *of == module.map(str::as_bytes))
                .map(|(name, _)| name)
                .collect()
        });
        let ids = traceable(btf, pattern, |name| {
            listed.as_ref().is_none_or(|listed| listed.contains(name))
        });
        let what = match module {
            Some(module) => format!("{module}:{pattern}"),
            None => pattern.to_owned(),
        };
        if ids.is_empty() {
            return Err(missing("function to trace for", &what));
        }
        Ok(Self {
            attach_type,
            what,
            ids,
            cookies: Cookies::None,
        })
    }

    /// What `bpf_get_attach_cookie` gives the program, whichever function it is.
    #[must_use]
    pub fn cookie(mut self, cookie: u64) -> Self {
        self.cookies = Cookies::Same(cookie);
        self
    }

    /// What `bpf_get_attach_cookie` gives the program, in the order of [`ids`](Self::ids).
    #[must_use]
    pub fn cookies(mut self, cookies: &'a [u64]) -> Self {
        self.cookies = Cookies::Each(cookies);
        self
    }

    /// The functions.
    #[must_use]
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Attaches a program.
    ///
    /// # Errors
    /// One of the functions cannot be traced, or the program was loaded for something else.
    pub fn attach(&self, prog: &ProgFd) -> Result<Link, AttachError> {
        let target = LinkTarget::TracingMulti {
            attach_type: self.attach_type,
            ids: &self.ids,
            cookies: &self.cookies.list(self.ids.len()),
        };
        let what = self.to_string();
        match LinkCreate::new(prog, target).run() {
            Ok(link) => Ok(Link::new(what, link)),
            Err(source) => Err(AttachError::kernel(format!("attach to {what}"), source)),
        }
    }
}

impl fmt::Display for TracingMulti<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.attach_type {
            AttachType::TRACE_FENTRY_MULTI => "fentry.multi",
            AttachType::TRACE_FEXIT_MULTI => "fexit.multi",
            _ => "fsession.multi",
        };
        write!(f, "{kind} {}", self.what)
    }
}

/// The functions of these types, and not of their base, that a pattern fits and that a trampoline
/// can stand before.
fn traceable(btf: &Btf<'_>, pattern: &str, listed: impl Fn(&[u8]) -> bool) -> Vec<u32> {
    let functions = btf.types().filter_map(|(id, ty)| {
        let Type::Func(func) = &ty else {
            return None;
        };
        let name = func.name().or_empty();
        (glob::matches(pattern.as_bytes(), name) && passes(btf, func.proto()) && listed(name))
            .then(|| id.get())
    });
    functions.collect()
}

/// Whether arguments and result of a function are such that a trampoline can pass them on.
#[doc(alias = "btf_type_is_traceable_func")]
fn passes(btf: &Btf<'_>, proto: TypeId) -> bool {
    let Ok(Type::FuncProto(proto)) = btf.type_by_id(proto) else {
        return false;
    };
    if proto.params().len() > MAX_ARGS {
        return false;
    }
    let returns = match size(btf, proto.return_type()) {
        Some((kind, _)) => !matches!(kind, Kind::Struct | Kind::Union),
        None => false,
    };
    returns
        && proto.params().all(|param| {
            size(btf, param.type_id).is_some_and(|(_, size)| (1..=MAX_ARG_SIZE).contains(&size))
        })
}

/// What a value is in registers, and its bytes; nothing has none.
fn size(btf: &Btf<'_>, id: TypeId) -> Option<(Kind, u64)> {
    let (id, ty) = btf.resolve(id).ok()?;
    let kind = ty.kind();
    match kind {
        Kind::Void => Some((kind, 0)),
        Kind::Ptr | Kind::Int | Kind::Enum | Kind::Enum64 | Kind::Struct | Kind::Union => {
            Some((kind, btf.size_of(id).ok()?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use btf::Endian;
    use btf::build::Builder;
    use btf::encoding;

    /// Functions that can and cannot be traced, as their names say.
    fn types() -> Btf<'static> {
        let mut b = Builder::new(Endian::NATIVE);
        let int = b.add_int(b"int", 4, encoding::SIGNED);
        let pointer = b.add_ptr(TypeId::VOID);
        let small = b.add_struct(b"small", 16, &[]);
        let large = b.add_struct(b"large", 24, &[]);
        let alias = b.add_typedef(b"alias", small);
        let float = b.add_float(b"double", 8);
        let mut add = |name: &str, result, args: &[TypeId]| {
            let args: Vec<(&[u8], TypeId)> = args.iter().map(|id| (&b"a"[..], *id)).collect();
            let proto = b.add_func_proto(result, &args);
            b.add_func(name.as_bytes(), 1, proto);
        };
        add("yes_plain", int, &[int, pointer]);
        add("yes_void", TypeId::VOID, &[]);
        add("yes_small", int, &[alias]);
        add("yes_twelve", int, &[int; 12]);
        add("no_thirteen", int, &[int; 13]);
        add("no_large", int, &[large]);
        add("no_struct_result", small, &[]);
        add("no_float", int, &[float]);
        add("no_varargs", int, &[int, TypeId::VOID]);
        Btf::parse(b.finish().unwrap()).unwrap()
    }

    fn found(pattern: &str, listed: impl Fn(&[u8]) -> bool) -> Vec<String> {
        let btf = types();
        let names = traceable(&btf, pattern, listed).into_iter().map(|id| {
            let Ok(Type::Func(func)) = btf.type_by_id(TypeId(id)) else {
                panic!("{id} is no function");
            };
            func.name().to_text().into_owned()
        });
        names.collect()
    }

    #[test]
    fn only_what_a_trampoline_can_pass_on_is_traced() {
        let all = ["yes_plain", "yes_void", "yes_small", "yes_twelve"];
        assert_eq!(found("*", |_| true), all);
        assert_eq!(
            found("*", |name| name != b"yes_void"),
            ["yes_plain", "yes_small", "yes_twelve"]
        );
        assert_eq!(found("yes_?????", |_| true), ["yes_plain", "yes_small"]);
        assert!(found("int", |_| true).is_empty());
    }
}
