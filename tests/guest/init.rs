//! The first process of a guest of `cargo xtask vm`: makes the place look like
//! a machine, runs what `/etc/job` lists and powers off.
//!
//! What the runs print goes to the second serial port, where nothing of the
//! kernel's own messages can get in between; lines that begin with `@guest`
//! are said by this program. A line of `/etc/job` is one of
//!
//! ```text
//! module PATH          loads a kernel module
//! env NAME VALUE       for everything that is run after it
//! run NAME PROGRAM...  runs a program to its end
//! shell PROGRAM...     the same, on the first serial port
//! ```

use std::ffi::CStr;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// (file system, where, options). Kernels differ in which they have.
const MOUNTS: &[(&str, &str, &str)] = &[
    ("proc", "/proc", ""),
    ("sysfs", "/sys", ""),
    ("devtmpfs", "/dev", ""),
    ("devpts", "/dev/pts", ""),
    ("tmpfs", "/dev/shm", ""),
    ("tmpfs", "/tmp", ""),
    ("tmpfs", "/run", ""),
    ("cgroup2", "/sys/fs/cgroup", ""),
    ("securityfs", "/sys/kernel/security", ""),
    ("debugfs", "/sys/kernel/debug", ""),
];

fn main() {
    let said = work();
    let mut port = said.0;
    if let Err(e) = said.1 {
        say(&mut port, &format!("error {e:#}"));
    }
    say(&mut port, "off");
    nix::unistd::sync();
    // Whichever the machine can do: with -no-reboot both end the emulator.
    for mode in [RebootMode::RB_POWER_OFF, RebootMode::RB_AUTOBOOT] {
        let _refused = reboot(mode);
    }
}

/// The port for results and how it went. The port is made first, or else
/// nothing can be told to anybody.
fn work() -> (Option<File>, Result<()>) {
    let mounted = mounts();
    let mut port = match results() {
        Ok(port) => Some(port),
        Err(e) => return (None, Err(e)),
    };
    for why in mounted {
        say(&mut port, &format!("lacks {why}"));
    }
    let done = jobs(&mut port);
    (port, done)
}

fn mounts() -> Vec<String> {
    let mut lacking = Vec::new();
    for (kind, at, options) in MOUNTS {
        let options = (!options.is_empty()).then_some(*options);
        // `/sys/fs/...` are there as soon as sysfs is, if the kernel has them.
        let _exists = std::fs::create_dir_all(at);
        if let Err(e) = mount(Some(*kind), *at, Some(*kind), MsFlags::empty(), options) {
            lacking.push(format!("{kind} on {at}: {e}"));
        }
    }
    lacking
}

fn results() -> Result<File> {
    let port = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/ttyS1")
        .context("open the second serial port")?;
    let mut modes = tcgetattr(&port).context("ask the serial port")?;
    cfmakeraw(&mut modes);
    tcsetattr(&port, SetArg::TCSANOW, &modes).context("make the serial port raw")?;
    Ok(port)
}

fn say(port: &mut Option<File>, text: &str) {
    // With nowhere to say it, the emulator's time limit will tell.
    if let Some(port) = port {
        drop(writeln!(port, "@guest {}", text.replace('\n', " ")));
    }
}

fn jobs(port: &mut Option<File>) -> Result<()> {
    let release = nix::sys::utsname::uname().context("uname")?;
    say(port, &format!("up {}", release.release().to_string_lossy()));
    setrlimit(Resource::RLIMIT_CORE, 0, 0).context("forbid core files")?;
    // Kernels before 5.11 charge maps and programs to it.
    setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY)
        .context("raise the limit of locked memory")?;
    let list = std::fs::read_to_string("/etc/job").context("read /etc/job")?;
    let mut settings: Vec<(String, String)> = Vec::new();
    for line in list.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        let rest: Vec<&str> = words.collect();
        match (first, rest.as_slice()) {
            ("module", [path]) => {
                if let Err(e) = load(Path::new(path)) {
                    say(port, &format!("lacks module {path}: {e:#}"));
                }
            }
            ("env", [name, value @ ..]) => settings.push(((*name).to_owned(), value.join(" "))),
            ("run", [name, program, args @ ..]) => {
                say(port, &format!("start {name}"));
                let out = port.as_ref().context("no port")?;
                let status = run(program, args, &settings, out)?;
                say(port, &format!("end {name} {status}"));
            }
            ("shell", [program, args @ ..]) => {
                let console = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .open("/dev/ttyS0")
                    .context("open the console")?;
                run(program, args, &settings, &console)?;
            }
            _ => anyhow::bail!("/etc/job: cannot understand '{line}'"),
        }
    }
    Ok(())
}

fn load(path: &Path) -> Result<()> {
    let module = File::open(path).context("open it")?;
    let none: &CStr = c"";
    match finit_module(&module, none, ModuleInitFlags::empty()) {
        Ok(()) | Err(nix::errno::Errno::EEXIST) => Ok(()),
        Err(e) => Err(e).context("load it"),
    }
}

/// Runs a program to its end; its exit status, 128 + N after signal N.
///
/// As the first process this one is the parent of every orphan, so all that
/// ends meanwhile is collected.
fn run(program: &str, args: &[&str], settings: &[(String, String)], out: &File) -> Result<i32> {
    let child = Command::new(program)
        .args(args)
        .envs(settings.iter().map(|(k, v)| (k, v)))
        .stdin(if program.ends_with("setsid") {
            Stdio::from(out.try_clone().context("duplicate the port")?)
        } else {
            Stdio::null()
        })
        .stdout(out.try_clone().context("duplicate the port")?)
        .stderr(out.try_clone().context("duplicate the port")?)
        .spawn()
        .with_context(|| format!("start {program}"))?;
    let wanted = Pid::from_raw(i32::try_from(child.id()).context("a process id")?);
    loop {
        match waitpid(None, Some(WaitPidFlag::__WALL)).context("wait")? {
            WaitStatus::Exited(pid, status) if pid == wanted => return Ok(status),
            WaitStatus::Signaled(pid, signal, _) if pid == wanted => {
                return Ok(128 + signal as i32);
            }
            _ => {}
        }
    }
}
