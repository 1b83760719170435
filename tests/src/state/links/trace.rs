//! Trampolines: kernel functions, hooks of the security modules, other programs.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use bpfsys::cmd::{BtfLoad, LinkCreate, LinkTarget, ProgLoad, RawTracepointOpen};
use bpfsys::uapi::info::FuncInfo;
use bpfsys::{AttachType, BtfFd, LinkFd, ProgFd, ProgType};
use btf::{Btf, Kind};

use super::{ALWAYS, Ground, Held, LinkRecipe, link};
use crate::forge::{BtfForge, INT_SIGNED};
use crate::state::Lacking;
use crate::state::progs::asm;

/// Functions that the kernel calls for its own tests only.
pub(super) const QUIET_FUNCTIONS: [&str; 2] = ["bpf_fentry_test1", "bpf_fentry_test2"];
/// A module whose device nobody uses, and a function of it.
pub(super) const QUIET_MODULE: (&str, &str) = ("dummy", "dummy_xmit");

pub(super) const RECIPES: [LinkRecipe; 14] = [
    link("tracing fentry", ALWAYS, |g| {
        old(kernel(g, AttachType::TRACE_FENTRY)?)
    })
    .whole_machine(),
    link("tracing fexit", ALWAYS, |g| {
        old(kernel(g, AttachType::TRACE_FEXIT)?)
    })
    .whole_machine(),
    link("tracing fsession", (7, 0), |g| {
        old(kernel(g, AttachType::TRACE_FSESSION)?)
    })
    .whole_machine(),
    // Without error injection, only the hooks of the security modules may be changed.
    link("tracing fmod_ret", ALWAYS, |g| {
        let id = function(g.kernel, "security_sb_pivotroot")?;
        old(load(ProgType::TRACING, AttachType::MODIFY_RETURN, id)?)
    })
    .whole_machine(),
    link("tracing lsm", ALWAYS, |g| {
        let id = function(g.kernel, "bpf_lsm_sb_pivotroot")?;
        old(load(ProgType::LSM, AttachType::LSM_MAC, id)?)
    })
    .config("CONFIG_BPF_LSM")
    .whole_machine(),
    link("tracing cookie", (5, 19), |g| {
        cookie(kernel(g, AttachType::TRACE_FENTRY)?)
    })
    .whole_machine(),
    link("tracing module", (5, 11), module).whole_machine(),
    link("tracing freplace", ALWAYS, |_| freplace(old)).whole_machine(),
    link("tracing freplace at link", (5, 10), |_| freplace_at_link()).whole_machine(),
    link("tracing program's entry", ALWAYS, |_| program()).whole_machine(),
    link("tracing_multi fentry", (7, 2), |g| {
        multi(g, AttachType::TRACE_FENTRY_MULTI, &[7, 8])
    })
    .whole_machine(),
    link("tracing_multi fexit", (7, 2), |g| {
        multi(g, AttachType::TRACE_FEXIT_MULTI, &[])
    })
    .whole_machine(),
    link("tracing_multi fsession", (7, 2), |g| {
        multi(g, AttachType::TRACE_FSESSION_MULTI, &[1 << 40, u64::MAX])
    })
    .whole_machine(),
    link("tracing_multi module", (7, 2), multi_module).whole_machine(),
];

/// The type of a function of the kernel.
pub(super) fn function(btf: &Btf<'_>, name: &str) -> Result<u32> {
    let id = btf.find_by_name_kind(name.as_bytes(), Kind::Func);
    Ok(id.ok_or_else(|| Lacking(name.to_owned()))?.get())
}

fn load(prog_type: ProgType, at: AttachType, id: u32) -> Result<ProgFd> {
    let insns = asm("r0 = 0\nexit")?;
    ProgLoad::new(prog_type, &insns)
        .name("l_tracing")
        .expected_attach_type(at)
        .attach_btf_id(id)
        .run()
        .with_context(|| format!("load a program for {at}"))
}

fn kernel(g: &Ground<'_>, at: AttachType) -> Result<ProgFd> {
    load(
        ProgType::TRACING,
        at,
        function(g.kernel, QUIET_FUNCTIONS[0])?,
    )
}

/// By the call that all kernels have, though it is named after something else.
fn old(prog: ProgFd) -> Result<Held> {
    let link = RawTracepointOpen::new(None, &prog).run()?;
    Ok(Held::new(link, prog))
}

fn cookie(prog: ProgFd) -> Result<Held> {
    let target = LinkTarget::Tracing {
        attach_type: AttachType::TRACE_FENTRY,
        target: None,
        cookie: 0xfeed_beef_cafe,
    };
    let link = LinkCreate::new(&prog, target).run()?;
    Ok(Held::new(link, prog))
}

/// The BTF of [`QUIET_MODULE`]: the kernel's object, and its content.
fn module_btf() -> Result<(BtfFd, Btf<'static>)> {
    let (name, _) = QUIET_MODULE;
    for id in bpfsys::btf_ids() {
        let fd = BtfFd::by_id(id?)?;
        if fd.info()?.name.starts_with(name.as_bytes()) {
            let base = std::fs::read("/sys/kernel/btf/vmlinux").context("read the kernel's BTF")?;
            let base = Btf::parse(base).context("parse the kernel's BTF")?;
            let split = Btf::parse_split(fd.data()?, Arc::new(base)).context("parse its BTF")?;
            return Ok((fd, split));
        }
    }
    Err(Lacking(format!("module {name}")).into())
}

fn module(_: &Ground<'_>) -> Result<Held> {
    let (fd, btf) = module_btf()?;
    let insns = asm("r0 = 0\nexit")?;
    let prog = ProgLoad::new(ProgType::TRACING, &insns)
        .name("l_module")
        .expected_attach_type(AttachType::TRACE_FENTRY)
        .attach_btf_obj(&fd)
        .attach_btf_id(function(&btf, QUIET_MODULE.1)?)
        .run()
        .context("load a program for a module")?;
    old(prog)
}

/// A program of two functions, its BTF, and the type of the one that may be replaced.
struct Replaceable {
    prog: ProgFd,
    btf: BtfFd,
    main: u32,
    inner: u32,
}

fn replaceable() -> Result<Replaceable> {
    let mut f = BtfForge::new();
    let int = f.int("int", 4, INT_SIGNED);
    let pointer = f.ptr(0);
    let main = f.proto(int, &[("ctx", pointer)]);
    let main = f.func("l_main", main, 1);
    let inner = f.proto(int, &[("n", int)]);
    let inner = f.func("l_inner", inner, 1);
    let btf = BtfLoad::new(&f.bytes()).run().context("load BTF")?;
    let insns = asm("r1 = 1\ncall pc+1\nexit\nr0 = r1\nexit")?;
    let funcs = [(0, main), (3, inner)].map(|(insn_off, type_id)| FuncInfo { insn_off, type_id });
    let prog = ProgLoad::new(ProgType::SCHED_CLS, &insns)
        .name("l_main")
        .btf(&btf)
        .func_info(&funcs)
        .run()
        .context("load a program that can be replaced")?;
    Ok(Replaceable {
        prog,
        btf,
        main,
        inner,
    })
}

fn replacement(of: &Replaceable) -> Result<ProgFd> {
    let insns = asm("r0 = 7\nexit")?;
    let funcs = [FuncInfo {
        insn_off: 0,
        type_id: of.inner,
    }];
    ProgLoad::new(ProgType::EXT, &insns)
        .name("l_inner")
        .btf(&of.btf)
        .func_info(&funcs)
        .attach_prog(&of.prog)
        .attach_btf_id(of.inner)
        .run()
        .context("load a replacement")
}

fn freplace(attach: fn(ProgFd) -> Result<Held>) -> Result<Held> {
    let of = replaceable()?;
    Ok(attach(replacement(&of)?)?.with(of.prog).with(of.btf))
}

/// In another program than it was loaded for.
fn freplace_at_link() -> Result<Held> {
    let (of, other) = (replaceable()?, replaceable()?);
    let prog = replacement(&of)?;
    let target = LinkTarget::Tracing {
        attach_type: AttachType(0),
        target: Some((&other.prog, other.inner)),
        cookie: 0,
    };
    let link = LinkCreate::new(&prog, target).run()?;
    Ok(Held::new(link, prog).with(other.prog))
}

fn program() -> Result<Held> {
    let of = replaceable()?;
    let insns = asm("r0 = 0\nexit")?;
    let prog = ProgLoad::new(ProgType::TRACING, &insns)
        .name("l_entry")
        .expected_attach_type(AttachType::TRACE_FENTRY)
        .attach_prog(&of.prog)
        .attach_btf_id(of.main)
        .run()
        .context("load a program for a program")?;
    Ok(old(prog)?.with(of.prog))
}

fn multi_link(prog: &ProgFd, at: AttachType, ids: &[u32], cookies: &[u64]) -> Result<LinkFd> {
    let target = LinkTarget::TracingMulti {
        attach_type: at,
        ids,
        cookies,
    };
    Ok(LinkCreate::new(prog, target).run()?)
}

fn multi(g: &Ground<'_>, at: AttachType, cookies: &[u64]) -> Result<Held> {
    let prog = load(ProgType::TRACING, at, 0)?;
    let [first, second] = QUIET_FUNCTIONS;
    let ids = [function(g.kernel, first)?, function(g.kernel, second)?];
    let link = multi_link(&prog, at, &ids, cookies)?;
    Ok(Held::new(link, prog))
}

fn multi_module(_: &Ground<'_>) -> Result<Held> {
    let (fd, btf) = module_btf()?;
    let at = AttachType::TRACE_FENTRY_MULTI;
    let insns = asm("r0 = 0\nexit")?;
    let prog = ProgLoad::new(ProgType::TRACING, &insns)
        .name("l_module")
        .expected_attach_type(at)
        .attach_btf_obj(&fd)
        .run()
        .context("load a program for functions of a module")?;
    let link = multi_link(&prog, at, &[function(&btf, QUIET_MODULE.1)?], &[3])?;
    Ok(Held::new(link, prog))
}
