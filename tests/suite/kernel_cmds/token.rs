//! TOKEN_CREATE, which works in a user namespace only.

use std::fs::File;
use std::os::fd::AsRawFd as _;

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::{BtfLoad, MapCreate, ProgLoad, TokenCreate};
use bpfsys::{ErrorKind, MapType, ProgType};
use rbpftool_tests::forge::BtfForge;
use rbpftool_tests::state::progs::asm;
use rbpftool_tests::{Private, ensure_eq, skip};

use crate::delegate;
use crate::support::{Bench, older_than, only_since, refused};

pub(crate) fn add(bench: &mut Bench) {
    bench.cmd("token_create", token, token_errors);
    bench.one("token_create::info", token_info);
}

/// Runs this very program again, in a user namespace to which a bpffs delegates.
fn token(private: &Private) -> Result<()> {
    known(private)?;
    delegate::run_inside("use")?.map_err(anyhow::Error::msg)
}

fn token_info(private: &Private) -> Result<()> {
    known(private)?;
    let told = delegate::run_inside("info")?;
    if told.is_err() && older_than((6, 17))? {
        return Err(skip(format!(
            "what a token allows is told since Linux 6.17: {}",
            told.err().unwrap_or_default().trim()
        )));
    }
    told.map_err(anyhow::Error::msg)
}

/// A skip where the kernel knows no tokens.
fn known(private: &Private) -> Result<()> {
    if older_than((6, 9))? {
        let dir = File::open(private.bpffs()).context("open the bpffs")?;
        only_since((6, 9), "TOKEN_CREATE", TokenCreate::new(&dir).run())?;
    }
    Ok(())
}

/// What runs there, instead of the suite; `None` if this is not there.
pub(crate) fn inside() -> Option<Result<()>> {
    Some(match delegate::task_inside()?.as_str() {
        "info" => ask_token(),
        _ => use_token(),
    })
}

fn delegated() -> Result<File> {
    let mount = delegate::enter()?;
    // The mount's descriptor is for paths only; the call wants one that is open.
    File::open(format!("/proc/self/fd/{}", mount.as_raw_fd())).context("open the bpffs")
}

fn ask_token() -> Result<()> {
    let dir = delegated()?;
    let token = TokenCreate::new(&dir).run().context("make a token")?;
    let info = token.info().context("ask about the token")?;
    ensure!(
        info.allowed_cmds & 1 == 1 && info.allowed_maps & 2 == 2,
        "{info:?}"
    );
    Ok(())
}

fn use_token() -> Result<()> {
    let dir = delegated()?;
    let map = || MapCreate::new(MapType::HASH, 4, 8, 4);
    refused("a hash without token", map().run(), ErrorKind::Denied)?;
    refused(
        "an unknown flag",
        TokenCreate::new(&dir).flags(1).run(),
        ErrorKind::Invalid,
    )?;
    let token = TokenCreate::new(&dir).run().context("make a token")?;
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
    if older_than((6, 9))? {
        return only_since((6, 9), "TOKEN_CREATE", TokenCreate::new(&dir).run()).map(drop);
    }
    refused(
        "an unknown flag",
        TokenCreate::new(&dir).flags(1).run(),
        ErrorKind::Invalid,
    )?;
    let outside = TokenCreate::new(&dir).run();
    refused("outside a user namespace", outside, ErrorKind::Unsupported)
}
