//! What the tools are made to list and dump.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use bpfsys::cmd::{MapCreate, MapUpdateBatch, MapUpdateElem, ObjPin, ProgLoad};
use bpfsys::insn::asm::assemble;
use bpfsys::{MapFd, MapId, MapType, ProgFd, ProgType};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Every object is held by this process, so that it shows as a holder.
fn raise_open_files() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("ask for the open-files limit")?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("raise the open-files limit")
}

pub(crate) fn id(map: &MapFd) -> Result<MapId> {
    map.info()?.id().context("a map without id")
}

/// A hash of `len` elements, u32 to u64.
pub(crate) fn hash(len: u32) -> Result<MapFd> {
    let map = MapCreate::new(MapType::HASH, 4, 8, len)
        .name("bench_hash")
        .run()?;
    let numbers: Vec<u32> = (0..len).collect();
    for chunk in numbers.chunks(8192) {
        let keys: Vec<u8> = chunk.iter().flat_map(|n| n.to_ne_bytes()).collect();
        let values: Vec<u8> = chunk
            .iter()
            .flat_map(|n| (u64::from(*n).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16).to_ne_bytes())
            .collect();
        MapUpdateBatch::new(&map, &keys, &values).run()?;
    }
    Ok(map)
}

/// A program of nearly 100,000 instructions, which become as many of the machine.
pub(crate) fn large_prog() -> Result<ProgFd> {
    let mut text = "r0 = 0\n".to_owned();
    for n in 0..16_000 {
        text.push_str(&format!(
            "r0 += {n}\nr1 = r0\nr1 <<= 3\nr0 ^= r1\nw1 = w0\nr0 |= r1\n"
        ));
    }
    text.push_str("exit");
    let insns = assemble(&text).context("assemble the large program")?;
    ProgLoad::new(ProgType::SOCKET_FILTER, &insns)
        .license("GPL")
        .name("large")
        .run()
        .context("load the large program")
}

/// A per-CPU hash of `len` elements, u32 to u64.
pub(crate) fn percpu_hash(len: u32) -> Result<MapFd> {
    let map = MapCreate::new(MapType::PERCPU_HASH, 4, 8, len)
        .name("bench_percpu")
        .run()?;
    let value: Vec<u8> = (0..map.shape()?.value_buf_len)
        .map(|i| i.to_le_bytes()[0])
        .collect();
    for key in 0..len {
        MapUpdateElem::new(&map, &key.to_ne_bytes(), &value).run()?;
    }
    Ok(map)
}

/// Many small objects, and a few pins.
pub(crate) struct Crowd {
    _progs: Vec<ProgFd>,
    _maps: Vec<MapFd>,
}

impl Crowd {
    pub(crate) fn new(bpffs: &Path, len: usize) -> Result<Self> {
        let insns = assemble("r0 = 0\nexit").context("assemble")?;
        let mut progs = Vec::new();
        let mut maps = Vec::new();
        for n in 0..len {
            let name = format!("bench_{n}");
            progs.push(
                ProgLoad::new(ProgType::SOCKET_FILTER, &insns)
                    .license("GPL")
                    .name(&name)
                    .run()?,
            );
            maps.push(MapCreate::new(MapType::ARRAY, 4, 8, 4).name(&name).run()?);
        }
        for (n, (prog, map)) in progs.iter().zip(&maps).take(20).enumerate() {
            ObjPin::new(prog, &bpffs.join(format!("prog_{n}"))).run()?;
            ObjPin::new(map, &bpffs.join(format!("map_{n}"))).run()?;
        }
        Ok(Self {
            _progs: progs,
            _maps: maps,
        })
    }
}

/// A process that holds a crowd, so that the one that measures has few
/// descriptors to close in each child it starts.
pub(crate) struct Holder {
    child: Child,
    stdin: Option<ChildStdin>,
}

impl Holder {
    /// Starts it and waits until all is there.
    pub(crate) fn start(bpffs: &Path, len: usize) -> Result<Self> {
        let me = std::env::current_exe().context("find this executable")?;
        let mut child = Command::new(me)
            .arg("--hold")
            .arg(bpffs)
            .arg(len.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the holder")?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().context("no stdout")?;
        let holder = Self { child, stdin };
        let mut line = String::new();
        BufReader::new(stdout)
            .read_line(&mut line)
            .context("read from the holder")?;
        ensure!(line == "ready\n", "the holder said '{}'", line.trim());
        Ok(holder)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // The end of its input is what it waits for.
        self.stdin = None;
        let _ended = self.child.wait();
    }
}

/// What `--hold BPFFS LEN` does.
pub(crate) fn hold(bpffs: &Path, len: usize) -> Result<()> {
    raise_open_files()?;
    let crowd = Crowd::new(bpffs, len)?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "ready")
        .and_then(|()| stdout.flush())
        .context("say that all is there")?;
    std::io::stdin()
        .read_to_end(&mut Vec::new())
        .context("wait for the end of input")?;
    drop(crowd);
    Ok(())
}
