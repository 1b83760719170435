//! TOKEN_CREATE, which works in a user namespace only.

use std::fs::File;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::{BtfLoad, MapCreate, ProgLoad, TokenCreate};
use bpfsys::{ErrorKind, MapType, ProgType};
use rbpftool_tests::forge::BtfForge;
use rbpftool_tests::state::progs::asm;
use rbpftool_tests::{Private, ensure_eq, requires, root, run};

use crate::support::{Bench, refused};

/// Set for the process in the user namespace.
const DIR: &str = "RBPF_TOKEN_DIR";

pub(crate) fn add(bench: &mut Bench) {
    bench.cmd("token_create", token, token_errors);
}

/// Runs this very program again, in a user namespace to which a bpffs delegates.
fn token(_: &Private) -> Result<()> {
    let python = Command::new("python3").arg("--version").output();
    requires!(
        python.is_ok(),
        "needs python3, to make a bpffs that delegates"
    );
    let script = root().join("tests/suite/kernel_cmds/delegate.py");
    let me = std::env::current_exe().context("find this executable")?;
    let out = run(Command::new("python3").arg(script).arg(me), b"")?;
    let refused_namespace = out.status == 1 && out.err().contains("unshare:");
    requires!(
        !refused_namespace,
        "user namespaces are not allowed here: {}",
        out.err()
    );
    let too_old = out.status == 1 && out.err().contains("delegate_cmds");
    requires!(!too_old, "bpffs cannot delegate (Linux 6.9): {}", out.err());
    ensure!(out.status == 0, "{}{}", out.out(), out.err());
    Ok(())
}

/// What runs there, instead of the suite; `None` if this is not there.
pub(crate) fn inside() -> Option<Result<()>> {
    let number = std::env::var(DIR).ok()?;
    Some(use_token(&number))
}

fn use_token(number: &str) -> Result<()> {
    let dir = File::open(format!("/proc/self/fd/{number}")).context("open the bpffs")?;
    let map = || MapCreate::new(MapType::HASH, 4, 8, 4);
    refused("a hash without token", map().run(), ErrorKind::Denied)?;
    refused(
        "an unknown flag",
        TokenCreate::new(&dir).flags(1).run(),
        ErrorKind::Invalid,
    )?;
    let token = TokenCreate::new(&dir).run().context("make a token")?;
    let info = token.info().context("ask about the token")?;
    ensure!(
        info.allowed_cmds & 1 == 1 && info.allowed_maps & 2 == 2,
        "{info:?}"
    );
    let made = map()
        .token(&token)
        .run()
        .context("make a hash with the token")?;
    ensure_eq!(made.info()?.type_(), MapType::HASH);
    let mut forge = BtfForge::new();
    forge.int("int", 4, 1);
    BtfLoad::new(&forge.bytes())
        .token(&token)
        .run()
        .context("load BTF with the token")?;
    let insns = asm("r0 = 0\nexit")?;
    ProgLoad::new(ProgType::XDP, &insns)
        .license("GPL")
        .token(&token)
        .run()
        .context("load a program with the token")?;
    Ok(())
}

fn token_errors(private: &Private) -> Result<()> {
    let file = File::open("/proc/self/status").context("open a file")?;
    ensure!(
        TokenCreate::new(&file).run().is_err(),
        "a token of a plain file"
    );
    let dir = File::open(private.bpffs()).context("open the bpffs")?;
    refused(
        "an unknown flag",
        TokenCreate::new(&dir).flags(1).run(),
        ErrorKind::Invalid,
    )?;
    let outside = TokenCreate::new(&dir).run();
    refused("outside a user namespace", outside, ErrorKind::Unsupported)
}
